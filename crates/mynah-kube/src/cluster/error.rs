//! Why something could not be done in a cluster, and what helps.

use crate::refusal::Error;

/// Why something could not be done in a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// It is not known where the cluster is, or who one is there.
    #[error("cannot use the kubeconfig: {0}\n  say --kubeconfig and --context, or set KUBECONFIG")]
    Kubeconfig(String),
    /// What was asked for cannot be done right.
    #[error(transparent)]
    Manifest(#[from] Error),
    /// The rights are missing.
    #[error(
        "not allowed to {verb} {path}: {message}\n  ask for a Role with the verb '{verb}' on {resource} in this namespace"
    )]
    Forbidden {
        /// As in a Role.
        verb: &'static str,
        /// What was asked for.
        path: String,
        /// As in a Role.
        resource: String,
        /// What the API server says.
        message: String,
    },
    /// Someone else was there first.
    #[error(
        "{path} has changed meanwhile or is there already: {message}\n  run the command again; nothing was changed by it"
    )]
    Conflict {
        /// What was to be written.
        path: String,
        /// What the API server says.
        message: String,
    },
    /// It is not there.
    #[error("{path} is not there\n  check the name, -n and --context")]
    NotFound {
        /// What was asked for.
        path: String,
    },
    /// The API server said no for another reason, or nothing.
    #[error("cannot {verb} {path}: {message}")]
    Api {
        /// As in a Role.
        verb: &'static str,
        /// What was asked for.
        path: String,
        /// Why.
        message: String,
    },
    /// It did not get ready in time.
    #[error("{workload} is not ready after {seconds} s: {state}{}", pods.iter().map(|pod| format!("\n  {pod}")).collect::<String>())]
    NotReady {
        /// The workload.
        workload: String,
        /// How long it had.
        seconds: u64,
        /// How far it got.
        state: String,
        /// What its pods wait for.
        pods: Vec<String>,
    },
}

impl ClusterError {
    /// From an answer of the API server.
    pub(crate) fn from_api(verb: &'static str, path: &str, error: &kube::Error) -> Self {
        let path = path.to_owned();
        let kube::Error::Api(status) = error else {
            let message = chain(error);
            return Self::Api { verb, path, message };
        };
        let message = status.message.clone();
        match status.code {
            403 => Self::Forbidden {
                verb,
                resource: resource(&path),
                path,
                message,
            },
            404 => Self::NotFound { path },
            409 => Self::Conflict { path, message },
            _ => Self::Api { verb, path, message },
        }
    }
}

/// The resource of a path, as a Role names it: `…/namespaces/shop/pods/web-1:9471/proxy/metrics` is `pods/proxy`.
fn resource(path: &str) -> String {
    let after = path.split_once("/namespaces/").map_or(path, |(_, rest)| rest);
    let mut parts = after.split('?').next().unwrap_or_default().split('/').skip(1);
    let kind = parts.next().unwrap_or_default();
    match parts.nth(1) {
        Some(sub) => format!("{kind}/{sub}"),
        None => kind.to_owned(),
    }
}

/// An error with its causes, each told once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::resource;

    #[test]
    fn a_resource_is_called_as_in_a_role() {
        assert_eq!(
            resource("/apis/apps/v1/namespaces/shop/deployments/web?dryRun=All"),
            "deployments"
        );
        assert_eq!(
            resource("/api/v1/namespaces/shop/pods/web-1:9471/proxy/metrics"),
            "pods/proxy"
        );
        assert_eq!(resource("/api/v1/namespaces/shop/services"), "services");
    }
}
