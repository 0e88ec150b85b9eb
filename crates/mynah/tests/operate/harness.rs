//! A proxy whose configuration is in a volume, and what can be seen of it.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;

use mynah_testkit::binary::{Metrics, Mynah};
use mynah_testkit::volume::Volume;

/// The binary under test; another build of it when the environment names one.
pub(crate) fn binary() -> PathBuf {
    env::var_os("MYNAH_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_mynah").into(), PathBuf::from)
}

/// A running proxy and the volume with its configuration.
pub(crate) struct Operated {
    pub(crate) mynah: Mynah,
    pub(crate) volume: Volume,
}

impl Operated {
    /// Runs by this configuration, with two workers and an admin address on a free port.
    pub(crate) async fn start(config: &str) -> Self {
        Self::start_with(&[("mynah.yaml", whole(config))]).await
    }

    /// Runs by the `mynah.yaml` of these files, which is complete.
    pub(crate) async fn start_with(files: &[(&str, String)]) -> Self {
        let volume = Volume::new(&borrowed(files)).unwrap();
        let args = ["--config".to_owned(), volume.file("mynah.yaml").display().to_string()];
        let mynah = Mynah::run(&binary(), &args).await.unwrap();
        Self { mynah, volume }
    }

    /// Replaces all files at once.
    pub(crate) fn update(&mut self, files: &[(&str, String)]) {
        self.volume.update(&borrowed(files)).unwrap();
    }

    /// Writes another configuration, without waiting for what becomes of it.
    pub(crate) fn write(&mut self, config: &str) {
        self.volume.update(&[("mynah.yaml", &whole(config))]).unwrap();
    }

    /// Writes another configuration and waits until it is in force.
    pub(crate) async fn change(&mut self, config: &str) -> Metrics {
        let generation = generation(&self.mynah.metrics().await.unwrap());
        self.write(config);
        let taken_up = |metrics: &Metrics| self::generation(metrics) > generation;
        self.mynah
            .until("reloaded", taken_up)
            .await
            .unwrap_or_else(|error| panic!("{error}; {}", self.mynah.output()))
    }

    /// Writes a configuration that is refused, and waits until it is.
    pub(crate) async fn refuse(&mut self, config: &str) -> Metrics {
        let before = reloads(&self.mynah.metrics().await.unwrap(), "failure");
        self.write(config);
        let refused = |metrics: &Metrics| reloads(metrics, "failure") > before;
        self.mynah
            .until("refused", refused)
            .await
            .unwrap_or_else(|error| panic!("{error}; {}", self.mynah.output()))
    }

    /// The addresses of listeners opened by reloads, the oldest first.
    pub(crate) fn opened(&self) -> Vec<SocketAddr> {
        let output = self.mynah.output();
        let lines = output.lines().filter(|line| line.contains("listener opened"));
        lines
            .map(|line| line.rsplit_once("address=").unwrap().1.trim().parse().unwrap())
            .collect()
    }
}

fn borrowed<'f>(files: &'f [(&'f str, String)]) -> Vec<(&'f str, &'f str)> {
    files.iter().map(|(name, text)| (*name, text.as_str())).collect()
}

fn whole(config: &str) -> String {
    let mut whole = config.to_owned();
    for (key, line) in [("workers:", "workers: 2\n"), ("admin:", "admin: 127.0.0.1:0\n")] {
        if !config.lines().any(|line| line.starts_with(key)) {
            whole.push_str(line);
        }
    }
    whole
}

/// One listener on a free port before `upstream`.
pub(crate) fn before(upstream: SocketAddr) -> String {
    format!("listeners: [127.0.0.1:0]\nupstream: http://{upstream}\n")
}

/// The same with mirrors: name, address, and what else is to be said.
pub(crate) fn mirrored(upstream: SocketAddr, mirrors: &[(&str, SocketAddr, &str)]) -> String {
    let mut config = before(upstream) + "mirrors:\n";
    for (name, address, more) in mirrors {
        config.push_str(&format!("  {name}: {{url: http://{address}{more}}}\n"));
    }
    config
}

pub(crate) fn generation(metrics: &Metrics) -> u64 {
    metrics.sum("mynah_config_generation", &[])
}

pub(crate) fn reloads(metrics: &Metrics, result: &str) -> u64 {
    metrics.sum("mynah_config_reloads_total", &[("result", result)])
}
