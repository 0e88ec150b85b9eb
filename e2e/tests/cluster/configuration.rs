//! The configuration in its ConfigMap, changed while pods run.

use std::time::Instant;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::kit::application::{all_answer, metric};
use crate::kit::namespace::{name, restarts};
use crate::kit::{Namespace, Release, TestEnvironment, eventually, on_the_cluster, own};
use crate::takeover::{NAMED, shop};

/// Changes an annotation of each pod, upon which the kubelet looks at its volumes without waiting for its next round.
async fn look_now(namespace: &Namespace, pods: &[Pod], why: &str) {
    for pod in pods {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {"mynah-e2e/look": why}}}));
        namespace
            .api::<Pod>()
            .patch(&name(pod), &PatchParams::default(), &patch)
            .await
            .expect("it is there");
    }
}

#[test]
fn a_changed_configmap_is_applied_by_every_pod_without_a_restart_and_a_broken_one_changes_nothing() {
    on_the_cluster(async {
        let namespace = Namespace::new("configuration").await;
        let test = TestEnvironment::start(&namespace).await;
        let release = Release::of(own("shop"), "shop", &namespace);
        let half = ["mynah.mirrors.half.url=http://test", "mynah.mirrors.half.ratio=100%"];
        release.install(&[&NAMED[..], &half].concat()).await;
        let pods = namespace.ready("app=shop", 2).await;
        let load = shop(&namespace).await;
        all_answer(&load, &pods).await;

        // An upgrade by helm that changes nothing but the ratio, under load; nobody hurries the kubelet.
        let changed = Instant::now();
        let (tally, ()) = load
            .during(async {
                release
                    .install(&[&NAMED[..], &half[..1], &["mynah.mirrors.half.ratio=50%"]].concat())
                    .await;
                eventually("every pod has the new ratio", async || {
                    match metric(&pods, "mynah_mirror_ratio", &[]).await {
                        1.0 => Ok(()),
                        sum => Err(format!("the ratios' sum is {sum}, 0.5 for each of 2 pods is 1")),
                    }
                })
                .await;
            })
            .await;
        tally.unharmed();
        println!(
            "a changed ConfigMap was applied by every pod after {:?}",
            changed.elapsed()
        );
        let before = test.stats().await.requests;
        load.send(1_000).await.unharmed();
        eventually("half of 1,000 have come, but for one per worker", async || {
            let copied = test.stats().await.requests - before;
            if (480..=520).contains(&copied) {
                Ok(())
            } else {
                Err(format!("{copied}"))
            }
        })
        .await;

        let broken =
            Patch::Merge(json!({"data": {"mynah.yaml": "listeners: [\":15080\"]\nupstraem: http://127.0.0.1:8080\n"}}));
        let maps = namespace.api::<ConfigMap>();
        maps.patch("shop-mynah", &PatchParams::default(), &broken)
            .await
            .expect("it is there");
        look_now(&namespace, &pods, "broken").await;
        for pod in &pods {
            eventually("the pod has seen it and said so", async || {
                let pod = std::slice::from_ref(pod);
                match metric(pod, "mynah_config_reloads_total", &["result=\"failure\""]).await {
                    0.0 => Err("it has not".to_owned()),
                    _ => Ok(()),
                }
            })
            .await;
        }
        load.send(500).await.unharmed();
        assert_eq!(
            metric(&pods, "mynah_mirror_ratio", &[]).await,
            1.0,
            "the broken configuration changed a ratio"
        );
        let now = namespace.ready("app=shop", 2).await;
        assert_eq!(
            now.iter().map(name).collect::<Vec<_>>(),
            pods.iter().map(name).collect::<Vec<_>>(),
            "a pod was replaced"
        );
        assert_eq!(
            now.iter().map(restarts).sum::<i32>(),
            0,
            "a container was started again"
        );
    });
}
