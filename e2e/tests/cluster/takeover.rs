//! Takeover by name and by redirection, with an application that was not told anything. (Takeover of the port is the
//! recipe's: see `recipe.rs`.)

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::kit::application::{all_answer, stats};
use crate::kit::namespace::address;
use crate::kit::{Load, Namespace, Release, TestEnvironment, on_the_cluster, own};

/// The Service of the chart `shop`.
pub(crate) async fn shop(namespace: &Namespace) -> Load {
    let service = namespace
        .api::<k8s_openapi::api::core::v1::Service>()
        .get("shop")
        .await
        .expect("it is installed");
    let address = service
        .spec
        .and_then(|spec| spec.cluster_ip)
        .expect("it has an address");
    Load {
        to: format!("{address}:80").parse().expect("an address"),
        prefix: "",
    }
}

/// What the chart is installed with for a takeover by name, but for the mirror.
pub(crate) const NAMED: [&str; 2] = ["mynah.takeover=named", "mynah.portName=http"];
/// The mirror.
pub(crate) const MIRROR: &str = "mynah.mirrors.test=http://test";

#[test]
fn by_name_an_application_that_was_told_nothing_is_mirrored_and_restricted_admits_it() {
    on_the_cluster(async {
        let namespace = Namespace::restricted("named").await;
        let test = TestEnvironment::start(&namespace).await;
        for native in ["native=true", "native=false"] {
            let release = Release::of(own("shop"), "shop", &namespace);
            release.install(&[&NAMED[..], &[MIRROR, native]].concat()).await;
            namespace.rolled_out("shop").await;
            let pods = namespace.ready("app=shop", 2).await;
            let load = shop(&namespace).await;
            all_answer(&load, &pods).await;

            let (before, copies) = (stats(&pods, 8080).await, test.stats().await.requests);
            load.send(500).await.unharmed();
            let after = stats(&pods, 8080).await;
            assert_eq!(
                (after.requests - before.requests, after.double, after.torn),
                (500, 0, 0),
                "{native}"
            );
            test.has_exactly(copies + 500).await;
            release.uninstall().await;
        }
    });
}

/// What the chart is installed with: the Service sends to the application's port by its number.
const REDIRECT: [&str; 3] = [
    "mynah.takeover=redirect",
    "targetPort=8080",
    "mynah.mirrors.test=http://test",
];

#[test]
fn by_redirection_an_application_that_was_told_nothing_is_mirrored() {
    on_the_cluster(async {
        let namespace = Namespace::new("redirect").await;
        let test = TestEnvironment::start(&namespace).await;
        Release::of(own("shop"), "shop", &namespace).install(&REDIRECT).await;
        let pods = namespace.ready("app=shop", 2).await;
        let load = shop(&namespace).await;
        all_answer(&load, &pods).await;

        let tally = load.send(500).await.unharmed();
        assert!(
            tally.remotes.iter().all(IpAddr::is_loopback),
            "not all came through Mynah"
        );
        test.has_exactly(500).await;
        let seen = stats(&pods, 8080).await;
        assert_eq!((seen.requests, seen.double, seen.torn), (500, 0, 0));
    });
}

#[test]
fn by_redirection_the_application_sees_the_address_of_its_client_where_that_is_asked_for() {
    on_the_cluster(async {
        let namespace = Namespace::new("source").await;
        let test = TestEnvironment::start(&namespace).await;
        let release = Release::of(own("shop"), "shop", &namespace);
        release
            .install(&[&REDIRECT[..], &["replicas=1", "mynah.preserveSource=true"]].concat())
            .await;
        let pods = namespace.ready("app=shop", 1).await;
        // To the pod itself: on the way through a Service the node's address takes the place of the client's.
        let load = Load {
            to: SocketAddr::new(address(&pods[0]), 8080),
            prefix: "",
        };

        let tally = load.send(200).await.unharmed();
        let clients: Vec<_> = (100..108).map(|n| IpAddr::V4(Ipv4Addr::new(198, 18, 0, n))).collect();
        assert!(
            tally.remotes.iter().all(|remote| clients.contains(remote)),
            "{:?}",
            tally.remotes
        );
        test.has_exactly(200).await;
    });
}
