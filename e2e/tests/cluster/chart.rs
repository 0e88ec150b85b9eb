//! The life of a chart's release, by helm: installed, tested, upgraded, uninstalled.

use std::net::SocketAddr;
use std::path::Path;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;

use crate::kit::namespace::name;
use crate::kit::{Namespace, Release, TestEnvironment, eventually, example, on_the_cluster, told};

/// The recipe without the folder of the node, which PodSecurity `restricted` does not admit.
const RESTRICTED: [&str; 1] = ["logs.hostPath="];

#[test]
fn the_recipe_is_installed_tested_upgraded_and_uninstalled_where_restricted_is_enforced() {
    on_the_cluster(async {
        let namespace = Namespace::restricted("chart").await;
        let test = TestEnvironment::start(&namespace).await;
        let release = Release::of(example("entrance"), "entrance", &namespace).values("entrance-values.yaml");
        release.install(&RESTRICTED).await;
        let pods = namespace.ready("name=entrance", 4).await;
        release.test().await;

        // An upgrade that changes another number of pods leaves those that are there alone.
        release.install(&[RESTRICTED[0], "mirrorReplicaCount=2"]).await;
        let after = namespace.ready("name=entrance", 5).await;
        assert!(
            pods.iter()
                .all(|pod| after.iter().any(|other| name(other) == name(pod))),
            "a pod was replaced"
        );
        let copies = test.stats().await.requests;
        let node = SocketAddr::from(([198, 18, 0, 11], 30081));
        let load = crate::kit::Load {
            to: node,
            prefix: "/entrance",
        };
        crate::kit::application::all_answer(&load, &after).await;
        let tally = load.send(500).await.unharmed();
        test.has_exactly(copies + tally.from("entrance-mirror-")).await;

        // The load balancer's chart, where no cloud is: a plain Service before the same test environment.
        let chart = Path::new(&told("MYNAH_E2E_REPO")).join("charts/mynah-test-entrance");
        let balancer = Release::of(chart, "balancer", &namespace);
        balancer.install(&["selector.app=test", "targetPort=30081"]).await;
        balancer.test().await;
        balancer.uninstall().await;

        release.uninstall().await;
        eventually("nothing of it is left", async || {
            let left = namespace
                .api::<Pod>()
                .list(&ListParams::default().labels("name=entrance"))
                .await;
            match left.map_err(|error| error.to_string())?.items.len() {
                0 => Ok(()),
                pods => Err(format!("{pods} pods")),
            }
        })
        .await;
    });
}
