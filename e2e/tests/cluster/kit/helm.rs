//! Charts, installed as people do: by helm.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{Namespace, told};

/// A chart of `examples/`.
pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(&told("MYNAH_E2E_REPO")).join("examples").join(name)
}

/// A chart or a file of values that only these tests have.
pub(crate) fn own(name: &str) -> PathBuf {
    Path::new(&told("MYNAH_E2E_REPO")).join("e2e/charts").join(name)
}

/// A release.
pub(crate) struct Release<'n> {
    namespace: &'n Namespace,
    name: String,
    chart: PathBuf,
    values: Option<PathBuf>,
}

impl<'n> Release<'n> {
    /// A chart under a name; nothing is installed yet.
    pub(crate) fn of(chart: PathBuf, name: &str, namespace: &'n Namespace) -> Self {
        Self {
            namespace,
            name: name.to_owned(),
            chart,
            values: None,
        }
    }

    /// With a file of values.
    pub(crate) fn values(mut self, file: &str) -> Self {
        self.values = Some(own(file));
        self
    }

    /// Installs it, or changes what is installed, and waits until it is ready. Values are given as for `helm --set`.
    pub(crate) async fn install(&self, set: &[&str]) {
        self.run(&["dependency", "build", &self.chart.to_string_lossy()]).await;
        let mut arguments = vec!["upgrade", "--install", &self.name];
        let chart = self.chart.to_string_lossy();
        arguments.extend([&*chart, "--wait", "--timeout", "3m"]);
        let file = self.values.as_ref().map(|file| file.to_string_lossy().into_owned());
        if let Some(file) = &file {
            arguments.extend(["--values", file]);
        }
        for value in set {
            arguments.extend(["--set", value]);
        }
        self.run(&arguments).await;
    }

    /// Runs its tests.
    pub(crate) async fn test(&self) {
        self.run(&["test", &self.name, "--timeout", "3m"]).await;
    }

    /// Removes it.
    pub(crate) async fn uninstall(&self) {
        self.run(&["uninstall", &self.name, "--wait", "--timeout", "3m"]).await;
    }

    async fn run(&self, arguments: &[&str]) {
        let mut command = Command::new(told("MYNAH_E2E_HELM"));
        command.args(arguments).args(["--namespace", &self.namespace.name]);
        let output = command.output().await.expect("helm runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "helm {}: {said}", arguments.join(" "));
    }
}
