//! What the tests share.

use mynah_kube::Amount;
use mynah_kube::inject::{Mode, Options, Takeover};
use serde_json::{Value, json};

/// Nothing but what must be said.
pub(crate) fn options(mode: Mode, takeover: Option<Takeover>) -> Options {
    Options {
        target: None,
        namespace: None,
        mode,
        takeover,
        mirrors: vec![("staging".to_owned(), "http://test.example.internal".to_owned())],
        amount: Amount::default(),
        port: None,
        service: None,
        container: None,
        app_port: None,
        listen_port: None,
        app_env: Vec::new(),
        app_args: Vec::new(),
        preserve_source: false,
        image: "mynah:test".to_owned(),
        native: None,
    }
}

/// A Deployment of three pods whose port 8080 is called `http`.
pub(crate) fn manifest() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "a"}},
            "template": {
                "metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "app", "image": "example/app", "ports": [{"name": "http", "containerPort": 8080}]}]},
            },
        },
    })
}
