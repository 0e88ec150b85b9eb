//! Pods that end under load: not one request fails.
//!
//! Without Mynah, requests fail during a rolling restart unless a pod goes on serving until every node knows that it is
//! ending: kube-proxy hears of it at the same time as the pod. So the charts wait in `preStop`, the application too.

use std::time::Duration;

use kube::api::DeleteParams;

use crate::kit::application::all_answer;
use crate::kit::namespace::name;
use crate::kit::{Load, Namespace, Release, TestEnvironment, on_the_cluster, own};
use crate::takeover::{MIRROR, NAMED, shop};

/// Installs the chart `shop` with a mirror in each of three pods.
async fn start(namespace: &Namespace, native: &str) -> Load {
    let release = Release::of(own("shop"), "shop", namespace);
    release
        .install(&[&NAMED[..], &[MIRROR, "replicas=3", native]].concat())
        .await;
    let load = shop(namespace).await;
    all_answer(&load, &namespace.ready("app=shop", 3).await).await;
    load
}

/// Long enough that requests meet what has just happened.
async fn a_while() {
    tokio::time::sleep(Duration::from_secs(2)).await;
}

async fn through_everything(namespace: &Namespace, native: &str) {
    let test = TestEnvironment::start(namespace).await;
    let load = start(namespace, native).await;
    let before = test.stats().await.requests;
    let (tally, ()) = load
        .during(async {
            a_while().await;
            namespace.restart("shop").await;
            a_while().await;
            namespace.scale("shop", 5).await;
            a_while().await;
            namespace.scale("shop", 2).await;
            a_while().await;
            let victim = name(&namespace.ready("app=shop", 2).await[0]);
            let pods = namespace.api::<k8s_openapi::api::core::v1::Pod>();
            pods.delete(&victim, &DeleteParams::default())
                .await
                .expect("it is there");
            namespace.rolled_out("shop").await;
            a_while().await;
        })
        .await;
    let answered = tally.unharmed().total();
    assert!(answered > 200, "only {answered} requests: that shows nothing");
    // Every pod mirrors everything, those that have ended too: as many copies as answers.
    test.has_exactly(before + answered).await;
}

#[test]
fn a_native_sidecar_loses_no_request_when_pods_are_restarted_added_removed_and_deleted() {
    on_the_cluster(async { through_everything(&Namespace::new("ending-native").await, "native=true").await });
}

#[test]
fn a_container_loses_no_request_when_pods_are_restarted_added_removed_and_deleted() {
    on_the_cluster(async { through_everything(&Namespace::new("ending").await, "native=false").await });
}

#[test]
fn a_node_that_is_drained_loses_no_request() {
    on_the_cluster(async {
        let namespace = Namespace::new("drain").await;
        let test = TestEnvironment::start(&namespace).await;
        let load = start(&namespace, "native=true").await;
        let pods = namespace.pods("app=shop").await;
        let test_node = node(&namespace.pods("app=test").await[0]);
        // Not node 1, where requests come in, nor the one that counts copies.
        let node = pods
            .iter()
            .map(node)
            .find(|node| node != "n1" && *node != test_node)
            .unwrap_or_else(|| "n3".to_owned());
        let before = test.stats().await.requests;
        let (tally, ()) = load
            .during(async {
                a_while().await;
                namespace.drain(&node).await;
                namespace.rolled_out("shop").await;
                a_while().await;
            })
            .await;
        namespace.uncordon(&node).await;
        let answered = tally.unharmed().total();
        test.has_exactly(before + answered).await;
    });
}

fn node(pod: &k8s_openapi::api::core::v1::Pod) -> String {
    pod.spec
        .as_ref()
        .and_then(|spec| spec.node_name.clone())
        .expect("it runs")
}
