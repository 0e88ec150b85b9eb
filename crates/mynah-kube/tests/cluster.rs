//! A real client against a double of the API server, which plays a script: every call must be in it, in its order, and every
//! call of it must come.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use mynah_kube::cluster::{Cluster, ClusterError};
use mynah_kube::inject::{Mode, Options, Takeover};
use mynah_kube::{Amount, Workload};
use serde_json::{Value, json};
use tower::service_fn;

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/shop/deployments/web";
const MIRROR: &str = "/apis/apps/v1/namespaces/shop/deployments/web-mirror";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/shop/deployments";
const SERVICES: &str = "/api/v1/namespaces/shop/services";
const CONFIG_MAP: &str = "/api/v1/namespaces/shop/configmaps/web-mynah";
const CONFIG_MAPS: &str = "/api/v1/namespaces/shop/configmaps";
const PODS: &str = "/api/v1/namespaces/shop/pods";

/// A call that must come, and its answer.
struct Call(Method, &'static str, u16, Value);

/// The API server.
#[derive(Clone, Default)]
struct Server {
    script: Arc<Mutex<VecDeque<Call>>>,
    /// The bodies that were sent.
    sent: Arc<Mutex<Vec<Value>>>,
}

impl Server {
    fn play(calls: impl IntoIterator<Item = Call>) -> (Self, Cluster) {
        let server = Self::default();
        server.script.lock().unwrap().extend(calls);
        let double = server.clone();
        let service = service_fn(move |request: Request<Body>| {
            let double = double.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap();
                let call = double.script.lock().unwrap().pop_front();
                let Some(Call(method, path, status, answer)) = call else {
                    panic!("{} {} is not in the script", parts.method, parts.uri);
                };
                assert_eq!((&parts.method, parts.uri.path()), (&method, path));
                if !body.is_empty() {
                    double.sent.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                }
                let response = Response::builder()
                    .status(status)
                    .body(Body::from(answer.to_string().into_bytes()));
                Ok::<_, std::convert::Infallible>(response.unwrap())
            }
        });
        (server, Cluster::new(Client::new(service, "shop"), "shop"))
    }

    /// Ends the test: no call of the script may be missing.
    fn finish(self) -> Vec<Value> {
        let missing: Vec<_> = self
            .script
            .lock()
            .unwrap()
            .iter()
            .map(|call| format!("{} {}", call.0, call.1))
            .collect();
        assert!(missing.is_empty(), "did not come: {missing:?}");
        self.sent.lock().unwrap().clone()
    }
}

fn get(path: &'static str, answer: Value) -> Call {
    Call(Method::GET, path, 200, answer)
}

fn absent(path: &'static str) -> Call {
    Call(Method::GET, path, 404, failure(404, "not found"))
}

fn failure(code: u16, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": "x", "code": code})
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "resourceVersion": "7", "uid": "u", "generation": 1,
            "managedFields": [{"manager": "kubectl"}], "annotations": {"deployment.kubernetes.io/revision": "1"}},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}, "creationTimestamp": null},
            "spec": {"containers": [{"name": "web", "image": "x", "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]}]}}},
        "status": {"replicas": 3},
    })
}

fn services() -> Value {
    let service = json!({"metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}], "clusterIP": "10.0.0.1"}});
    json!({"kind": "ServiceList", "items": [service]})
}

/// What inject reads before it decides.
fn reading() -> Vec<Call> {
    vec![
        get("/version", json!({"major": "1", "minor": "34+"})),
        get(DEPLOYMENT, deployment()),
        get(SERVICES, services()),
        absent(CONFIG_MAP),
        absent(MIRROR),
    ]
}

fn options(mode: Mode) -> Options {
    Options {
        target: Some(web()),
        namespace: None,
        mode,
        takeover: Some(Takeover::Redirect),
        mirrors: vec![("staging".to_owned(), "http://test.internal".to_owned())],
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

fn web() -> Workload {
    "deployment/web".parse().unwrap()
}

#[tokio::test]
async fn the_workload_beside_is_created_after_its_configuration() {
    let mut calls = reading();
    calls.push(Call(Method::POST, CONFIG_MAPS, 201, json!({})));
    calls.push(Call(Method::POST, DEPLOYMENTS, 201, json!({})));
    let (server, cluster) = Server::play(calls);
    let (change, injected) = cluster.plan_inject(&options(Mode::Beside)).await.unwrap();
    assert_eq!(injected.mirroring.to_string(), "deployment/web-mirror");
    assert!(change.diff.contains("+  name: web-mirror"), "{}", change.diff);
    assert!(!change.diff.contains("managedFields"));
    cluster.apply(&change, false).await.unwrap();
    let sent = server.finish();
    assert_eq!(sent[0]["kind"], "ConfigMap");
    assert_eq!(sent[1]["metadata"]["namespace"], "shop");
    assert_eq!(
        sent[1]["spec"]["template"]["metadata"]["labels"]["mynah.dev/workload"],
        "web-mirror"
    );
    assert_eq!(sent[1]["metadata"]["resourceVersion"], Value::Null);
}

#[tokio::test]
async fn missing_rights_are_explained_and_what_was_done_before_is_undone() {
    let mut calls = reading();
    calls.push(Call(Method::POST, CONFIG_MAPS, 201, json!({})));
    calls.push(Call(
        Method::POST,
        DEPLOYMENTS,
        403,
        failure(403, "deployments is forbidden"),
    ));
    calls.push(Call(Method::DELETE, CONFIG_MAP, 200, json!({})));
    let (server, cluster) = Server::play(calls);
    let (change, _) = cluster.plan_inject(&options(Mode::Beside)).await.unwrap();
    let error = cluster.apply(&change, false).await.unwrap_err();
    assert!(matches!(error, ClusterError::Forbidden { .. }));
    assert!(
        error.to_string().contains("the verb 'create' on deployments"),
        "{error}"
    );
    server.finish();
}

#[tokio::test]
async fn injecting_in_place_and_ejecting_leaves_what_was_there_before() {
    let mut calls = reading();
    calls.push(Call(Method::POST, CONFIG_MAPS, 201, json!({})));
    calls.push(Call(Method::PUT, DEPLOYMENT, 200, json!({})));
    let (server, cluster) = Server::play(calls);
    let (change, _) = cluster.plan_inject(&options(Mode::InPlace)).await.unwrap();
    cluster.apply(&change, false).await.unwrap();
    let sent = server.finish();
    let (config_map, injected) = (sent[0].clone(), sent[1].clone());
    assert_eq!(
        injected["metadata"]["resourceVersion"], "7",
        "a change in between would be a conflict"
    );
    assert_eq!(
        injected["spec"]["template"]["spec"]["initContainers"][1]["restartPolicy"],
        "Always"
    );

    let (server, cluster) = Server::play([
        get(DEPLOYMENT, injected),
        get(CONFIG_MAP, config_map),
        absent(MIRROR),
        Call(Method::PUT, DEPLOYMENT, 200, json!({})),
        Call(Method::DELETE, CONFIG_MAP, 200, json!({})),
    ]);
    let change = cluster.plan_eject(&web()).await.unwrap();
    cluster.apply(&change, false).await.unwrap();
    let sent = server.finish();
    assert_eq!(sent[0]["spec"], deployment()["spec"]);
    assert_eq!(sent[0]["metadata"], deployment()["metadata"]);
}

#[tokio::test]
async fn rolling_back_takes_the_newest_version_of_the_workload() {
    let mut calls = reading();
    let mut newer = deployment();
    newer["metadata"]["resourceVersion"] = json!("9");
    calls.push(get(DEPLOYMENT, newer));
    calls.push(Call(Method::PUT, DEPLOYMENT, 200, json!({})));
    calls.push(Call(Method::DELETE, CONFIG_MAP, 200, json!({})));
    let (server, cluster) = Server::play(calls);
    let (change, _) = cluster.plan_inject(&options(Mode::InPlace)).await.unwrap();
    cluster.roll_back(&change).await.unwrap();
    let sent = server.finish();
    assert_eq!(sent[0]["metadata"]["resourceVersion"], "9");
    assert_eq!(sent[0]["spec"], deployment()["spec"]);
}

#[tokio::test]
async fn what_is_injected_already_is_refused() {
    let mut calls = reading();
    calls.truncate(3);
    let record = json!({"mynah.dev/inject": "{\"version\":1,\"workload\":\"deployment/web\"}"});
    calls.push(get(
        CONFIG_MAP,
        json!({"metadata": {"name": "web-mynah", "namespace": "shop", "annotations": record}, "data": {}}),
    ));
    calls.push(absent(MIRROR));
    let (server, cluster) = Server::play(calls);
    let error = cluster.plan_inject(&options(Mode::Beside)).await.unwrap_err();
    assert!(error.to_string().contains("injected already"), "{error}");
    server.finish();
}

#[tokio::test(start_paused = true)]
async fn a_workload_that_does_not_get_ready_says_what_its_pods_wait_for() {
    let mut object = deployment();
    object["status"] = json!({"observedGeneration": 1, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 2});
    let pod = json!({"metadata": {"name": "web-1"}, "status": {"initContainerStatuses": [
        {"name": "mynah", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]}});
    let mut calls: Vec<_> = (0..3).map(|_| get(DEPLOYMENT, object.clone())).collect();
    calls.push(get(PODS, json!({"items": [pod]})));
    let (server, cluster) = Server::play(calls);
    let error = cluster.wait_ready(&web(), Duration::from_secs(2)).await.unwrap_err();
    let told = error.to_string();
    assert!(told.contains("of 3 pods 1 are new, 2 ready"), "{told}");
    assert!(
        told.contains("pod web-1, container mynah: ImagePullBackOff: no such image"),
        "{told}"
    );
    server.finish();
}

#[tokio::test]
async fn every_pod_is_asked_through_the_api_server() {
    let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    let pods = json!({"items": [
        {"metadata": {"name": "web-a"}, "spec": {"containers": [{"name": "web"}]}, "status": ready},
        {"metadata": {"name": "web-b"}, "spec": {"containers": [{"name": "web"}], "initContainers": [{"name": "mynah"}]}, "status": ready},
    ]});
    let metrics = "/api/v1/namespaces/shop/pods/web-b:9471/proxy/metrics";
    let (server, cluster) = Server::play([
        get(DEPLOYMENT, deployment()),
        get(PODS, pods),
        Call(Method::GET, metrics, 403, failure(403, "pods/proxy is forbidden")),
    ]);
    let status = cluster.status(&web()).await.unwrap();
    assert_eq!(status.pods[0].counts, None);
    let error = status.pods[1].counts.clone().unwrap().unwrap_err();
    assert!(error.contains("the verb 'get' on pods/proxy"), "{error}");
    server.finish();
}
