//! Applications in pods: their counts, and a test environment to send copies to.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use mynah_e2e::ledger::Stats;
use serde_json::json;

use super::namespace::{address, name};
use super::{Load, Namespace, eventually, load};

/// What the applications in these pods count, summed.
pub(crate) async fn stats(pods: &[Pod], port: u16) -> Stats {
    let mut sum = Stats::default();
    for pod in pods {
        let page = load::get(SocketAddr::new(address(pod), port), "/stats")
            .await
            .expect("the application answers");
        let stats: Stats = serde_json::from_str(&page).expect("its counts");
        sum.requests += stats.requests;
        sum.double += stats.double;
        sum.torn += stats.torn;
        sum.probes += stats.probes;
    }
    sum
}

/// Waits until each of these pods has answered through the Service: it knows of them later than they are ready.
pub(crate) async fn all_answer(load: &Load, pods: &[Pod]) {
    let expected: BTreeSet<_> = pods.iter().map(name).collect();
    let mut seen = BTreeSet::new();
    eventually("every pod has answered through the Service", async || {
        for _ in 0..20 {
            seen.insert(load::get(load.to, &format!("{}/whoami", load.prefix)).await?);
        }
        if seen.is_superset(&expected) {
            Ok(())
        } else {
            Err(format!("{seen:?} have, of {expected:?}"))
        }
    })
    .await;
}

/// A metric of Mynah in these pods, summed over them and over the lines that contain each of the labels.
pub(crate) async fn metric(pods: &[Pod], metric: &str, labels: &[&str]) -> f64 {
    let mut sum = 0.0;
    for pod in pods {
        let page = load::get(SocketAddr::new(address(pod), 9471), "/metrics")
            .await
            .expect("Mynah answers");
        let lines = page.lines().filter(|line| {
            line.strip_prefix(metric)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        });
        sum += lines
            .map(|line| {
                line.rsplit(' ')
                    .next()
                    .and_then(|n| n.parse::<f64>().ok())
                    .unwrap_or(0.0)
            })
            .sum::<f64>();
    }
    sum
}

/// A test environment: a Deployment and a Service, both called `test`.
pub(crate) struct TestEnvironment<'n> {
    namespace: &'n Namespace,
}

impl<'n> TestEnvironment<'n> {
    const PORT: u16 = 30081;

    /// Starts one.
    pub(crate) async fn start(namespace: &'n Namespace) -> Self {
        let labels = json!({"app": "test"});
        let service = json!({"metadata": {"name": "test"}, "spec": {
            "selector": labels, "ports": [{"port": 80, "targetPort": Self::PORT}],
        }});
        let deployment = json!({"metadata": {"name": "test"}, "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [{
                    "name": "test", "image": "cluster.local/app:1", "args": ["-host", format!("0.0.0.0:{}", Self::PORT)],
                    "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                    "readinessProbe": {"httpGet": {"path": "/healthz", "port": Self::PORT}, "periodSeconds": 1},
                    "securityContext": {
                        "runAsNonRoot": true, "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                }],
            }},
        }});
        namespace.apply::<Service>("test", service).await;
        namespace.apply::<Deployment>("test", deployment).await;
        namespace.ready("app=test", 1).await;
        Self { namespace }
    }

    /// Its counts.
    pub(crate) async fn stats(&self) -> Stats {
        stats(&self.namespace.pods("app=test").await, Self::PORT).await
    }

    /// Waits until it has this many requests, and asserts that they are whole, none double, and that there are no more.
    pub(crate) async fn has_exactly(&self, copies: u64) {
        let count = eventually(&format!("the test environment has {copies} copies"), async || {
            let stats = self.stats().await;
            if stats.requests >= copies {
                Ok(stats)
            } else {
                Err(format!("{stats:?}"))
            }
        })
        .await;
        let expected = Stats {
            requests: copies,
            ..Stats::default()
        };
        assert_eq!(Stats { probes: 0, ..count }, expected);
    }

    /// `well`, `hung` or `failing`.
    pub(crate) async fn behave(&self, how: &str) {
        for pod in self.namespace.ready("app=test", 1).await {
            let to = SocketAddr::new(address(&pod), Self::PORT);
            load::get(to, &format!("/behave?{how}")).await.expect("it can be told");
        }
    }

    /// Stops every pod of it: the Service refuses connections.
    pub(crate) async fn stop(&self) {
        self.namespace.scale("test", 0).await;
    }

    /// Removes it, Service and all: its name does not resolve any more.
    pub(crate) async fn delete(&self) {
        let now = kube::api::DeleteParams::default();
        self.namespace
            .api::<Service>()
            .delete("test", &now)
            .await
            .expect("it was there");
        self.namespace
            .api::<Deployment>()
            .delete("test", &now)
            .await
            .expect("it was there");
    }
}
