//! A namespace of the cluster, empty when a test begins.

use std::net::IpAddr;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace as Object, Node, Pod};
use kube::api::{DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use super::{eventually, told};

/// What every namespace of ours is labelled with.
const OURS: &str = "mynah-e2e=test";

/// A namespace.
#[derive(Clone)]
pub(crate) struct Namespace {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Namespace {
    /// A new one; those of earlier tests are removed first.
    pub(crate) async fn new(name: &str) -> Self {
        Self::create(name, "privileged").await
    }

    /// A new one that admits only what PodSecurity `restricted` does.
    pub(crate) async fn restricted(name: &str) -> Self {
        Self::create(name, "restricted").await
    }

    async fn create(name: &str, security: &str) -> Self {
        let kubeconfig = Kubeconfig::read_from(told("MYNAH_E2E_KUBECONFIG")).expect("a kubeconfig");
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let client = Client::try_from(config.expect("it is complete")).expect("a client");
        let namespaces: Api<Object> = Api::all(client.clone());
        let ours = ListParams::default().labels(OURS);
        for old in namespaces.list(&ours).await.expect("namespaces").items {
            let old = old.metadata.name.expect("it has a name");
            let pods: Api<Pod> = Api::namespaced(client.clone(), &old);
            let at_once = DeleteParams::default().grace_period(0);
            namespaces.delete(&old, &DeleteParams::default()).await.ok();
            eventually("the namespace of the test before is gone", async || {
                pods.delete_collection(&at_once, &ListParams::default()).await.ok();
                let left = namespaces.get_opt(&old).await.map_err(|error| error.to_string())?;
                left.map_or(Ok(()), |_| Err(format!("{old} is there")))
            })
            .await;
        }
        let object = json!({"metadata": {"name": name, "labels": {
            "mynah-e2e": "test", "pod-security.kubernetes.io/enforce": security,
        }}});
        let object = serde_json::from_value(object).expect("a namespace");
        namespaces
            .create(&PostParams::default(), &object)
            .await
            .expect("it is new");
        let this = Self {
            client,
            name: name.to_owned(),
        };
        let accounts = this.api::<k8s_openapi::api::core::v1::ServiceAccount>();
        eventually("its service account exists", async || {
            accounts.get("default").await.map_err(|error| error.to_string())
        })
        .await;
        this
    }

    /// Objects of a kind in it.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Creates or changes an object.
    pub(crate) async fn apply<K>(&self, name: &str, object: Value)
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::Serialize
            + serde::de::DeserializeOwned,
        K::DynamicType: Default,
    {
        let object: K = serde_json::from_value(object).expect("an object of this kind");
        let patch = Patch::Apply(serde_json::to_value(object).expect("it came from there"));
        let ours = PatchParams::apply("mynah-e2e").force();
        self.api::<K>()
            .patch(name, &ours, &patch)
            .await
            .expect("the API server takes it");
    }

    /// The pods with these labels that are not ending.
    pub(crate) async fn pods(&self, labels: &str) -> Vec<Pod> {
        let all = self
            .api::<Pod>()
            .list(&ListParams::default().labels(labels))
            .await
            .expect("pods");
        all.items
            .into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .collect()
    }

    /// Waits until exactly this many pods with these labels are there, and all of them ready.
    pub(crate) async fn ready(&self, labels: &str, count: usize) -> Vec<Pod> {
        eventually(&format!("{count} pods with {labels} are ready"), async || {
            let pods = self.pods(labels).await;
            let ready = pods.iter().filter(|pod| is_ready(pod)).count();
            if (pods.len(), ready) == (count, count) {
                return Ok(pods);
            }
            Err(format!(
                "{ready} of {} are; {}",
                pods.len(),
                pods.iter().map(state).collect::<Vec<_>>().join("; ")
            ))
        })
        .await
    }

    /// Waits until a Deployment runs what it was told, and nothing else.
    pub(crate) async fn rolled_out(&self, name: &str) {
        let deployments = self.api::<Deployment>();
        eventually(&format!("{name} is rolled out"), async || {
            let deployment = deployments.get(name).await.map_err(|error| error.to_string())?;
            let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
            let status = deployment.status.unwrap_or_default();
            let counts = [status.replicas, status.updated_replicas, status.available_replicas];
            let current = status.observed_generation == deployment.metadata.generation;
            if current && counts.iter().all(|count| count.unwrap_or(0) == wanted) {
                return Ok(());
            }
            Err(format!("{counts:?} of {wanted}"))
        })
        .await;
    }

    /// Starts every pod of a Deployment anew.
    pub(crate) async fn restart(&self, deployment: &str) {
        self.api::<Deployment>().restart(deployment).await.expect("it exists");
        self.rolled_out(deployment).await;
    }

    /// Changes how many pods a Deployment has.
    pub(crate) async fn scale(&self, deployment: &str, replicas: i32) {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let deployments = self.api::<Deployment>();
        deployments
            .patch(deployment, &PatchParams::default(), &patch)
            .await
            .expect("it exists");
        self.rolled_out(deployment).await;
    }

    /// Takes a node out of use and evicts what this namespace has on it. Give it back with [`Self::uncordon`].
    pub(crate) async fn drain(&self, node: &str) {
        let nodes: Api<Node> = Api::all(self.client.clone());
        nodes.cordon(node).await.expect("the node exists");
        let on_it = ListParams::default().fields(&format!("spec.nodeName={node}"));
        for pod in self.api::<Pod>().list(&on_it).await.expect("pods") {
            let name = pod.metadata.name.expect("it has a name");
            self.api::<Pod>()
                .evict(&name, &EvictParams::default())
                .await
                .expect("nothing protects it");
        }
        eventually(&format!("{node} is empty"), async || {
            let left = self
                .api::<Pod>()
                .list(&on_it)
                .await
                .map_err(|error| error.to_string())?
                .items
                .len();
            if left == 0 {
                Ok(())
            } else {
                Err(format!("{left} pods are left"))
            }
        })
        .await;
    }

    /// Lets pods onto a node again.
    pub(crate) async fn uncordon(&self, node: &str) {
        let nodes: Api<Node> = Api::all(self.client.clone());
        nodes.uncordon(node).await.expect("the node exists");
    }
}

/// Its name.
pub(crate) fn name(pod: &Pod) -> String {
    pod.metadata.name.clone().expect("it has a name")
}

/// Its address.
pub(crate) fn address(pod: &Pod) -> IpAddr {
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
    address.expect("it runs").parse().expect("an address")
}

/// How often its containers were started again.
pub(crate) fn restarts(pod: &Pod) -> i32 {
    let status = pod.status.iter();
    let containers = status.flat_map(|status| [&status.container_statuses, &status.init_container_statuses]);
    containers
        .flatten()
        .flatten()
        .map(|container| container.restart_count)
        .sum()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Why it is not ready, for people.
fn state(pod: &Pod) -> String {
    let waiting = pod.status.iter().flat_map(|status| {
        let all = [&status.init_container_statuses, &status.container_statuses];
        all.into_iter().flatten().flatten().filter_map(|container| {
            let state = container.state.as_ref()?;
            let reason = state.waiting.as_ref().and_then(|waiting| waiting.reason.clone());
            Some(format!(
                "{} {}",
                container.name,
                reason.unwrap_or_else(|| if container.ready { "ready" } else { "not ready" }.to_owned())
            ))
        })
    });
    format!("{}: {}", name(pod), waiting.collect::<Vec<_>>().join(", "))
}
