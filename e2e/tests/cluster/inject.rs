//! `mynah inject` and `mynah eject` on an application that runs, under load.

use std::process::Stdio;

use k8s_openapi::api::apps::v1::Deployment;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::kit::application::all_answer;
use crate::kit::namespace::name;
use crate::kit::{Namespace, TestEnvironment, eventually, on_the_cluster, own, told};
use crate::takeover::shop;

const IMAGE: &str = "ghcr.io/mynah-mirror/mynah:0.1.0";

/// Runs a program with something to read, and returns what it prints.
async fn piped(program: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program exists");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    let write = async {
        stdin
            .write_all(input.as_bytes())
            .await
            .and(stdin.shutdown().await)
            .map(|()| drop(stdin))
    };
    let (written, output) = tokio::join!(write, child.wait_with_output());
    let output = output.expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && written.is_ok(),
        "{program} {}: {said}",
        arguments.join(" ")
    );
    String::from_utf8(output.stdout).expect("it prints text")
}

async fn apply(namespace: &Namespace, manifests: &str) {
    piped(
        &told("MYNAH_E2E_KUBECTL"),
        &["apply", "-n", &namespace.name, "-f", "-"],
        manifests,
    )
    .await;
}

#[test]
fn an_application_is_injected_beside_and_in_place_and_ejected_under_load_without_a_failed_request() {
    on_the_cluster(async {
        let namespace = Namespace::new("inject").await;
        let test = TestEnvironment::start(&namespace).await;
        let mynah = told("MYNAH_E2E_MYNAH");
        let original = std::fs::read_to_string(own("../manifests/shop.yaml")).expect("it is there");
        apply(&namespace, &original).await;
        let load = shop(&namespace).await;
        all_answer(&load, &namespace.ready("app=shop", 3).await).await;
        let mirror = [
            "-f",
            "-",
            "--mirror",
            "test=http://test",
            "--takeover",
            "named",
            "--image",
            IMAGE,
        ];

        let (tally, ()) = load
            .during(async {
                let beside = piped(
                    &mynah,
                    &[&["inject", "--beside", "--share", "10%"], &mirror[..]].concat(),
                    &original,
                )
                .await;
                apply(&namespace, &beside).await;
                namespace.rolled_out("shop-mirror").await;
                all_answer(&load, &namespace.ready("app=shop", 4).await).await;
                let before = test.stats().await.requests;
                load.send(1_000).await.unharmed();
                eventually("something is copied", async || {
                    if test.stats().await.requests > before {
                        Ok(())
                    } else {
                        Err("nothing is".to_owned())
                    }
                })
                .await;
                assert_eq!(
                    piped(&mynah, &["eject", "-f", "-"], &beside).await,
                    original,
                    "eject is not the identity"
                );
                namespace
                    .api::<Deployment>()
                    .delete("shop-mirror", &Default::default())
                    .await
                    .expect("it is there");
                namespace.ready("app=shop", 3).await;

                let in_place = piped(&mynah, &[&["inject", "--in-place"], &mirror[..]].concat(), &original).await;
                apply(&namespace, &in_place).await;
                namespace.rolled_out("shop").await;
                let injected: Vec<_> = namespace.ready("app=shop", 3).await.iter().map(name).collect();
                let before = test.stats().await.requests;
                let tally = load.send(200).await.unharmed();
                // A node may go on sending to pods that are ending for a moment.
                let expected: u64 = injected.iter().map(|name| tally.from(name)).sum();
                assert!(expected > 0, "no request reached a pod with a mirror");
                eventually("everything that reached a pod with a mirror is copied", async || {
                    let copied = test.stats().await.requests - before;
                    if copied >= expected {
                        Ok(())
                    } else {
                        Err(format!("{copied} of {expected}"))
                    }
                })
                .await;
                let ejected = piped(&mynah, &["eject", "-f", "-"], &in_place).await;
                assert_eq!(ejected, original, "eject is not the identity");
                apply(&namespace, &ejected).await;
                namespace.rolled_out("shop").await;
            })
            .await;
        let answered = tally.unharmed().total();
        assert!(answered > 200, "only {answered} requests: that shows nothing");
        let seen = test.stats().await;
        assert_eq!((seen.double, seen.torn), (0, 0));
    });
}
