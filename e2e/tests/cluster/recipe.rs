//! The recipe: one Service over 3 pods without a mirror and 1 with. First as people run it today, with nginx; then with
//! Mynah in its place, from the same values.

use std::net::SocketAddr;

use crate::kit::application::{all_answer, metric};
use crate::kit::{Load, Namespace, Release, TestEnvironment, example, on_the_cluster, own};

/// The Service's port on a node; requests come from outside the cluster.
const ENTRANCE: Load = Load {
    to: SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 18, 0, 11)), 30081),
    prefix: "/entrance",
};
const REQUESTS: u64 = 8_000;

/// Sends requests, and asserts that the test environment gets a copy of each that a pod with a mirror answered.
async fn copies_of(requests: u64, test: &TestEnvironment<'_>) -> u64 {
    let before = test.stats().await.requests;
    let tally = ENTRANCE.send(requests).await.unharmed();
    assert_eq!(tally.total(), requests);
    let copied = tally.from("entrance-mirror-");
    test.has_exactly(before + copied).await;
    copied
}

/// Of 8,000 requests, each of which reaches the one pod of four with probability 1/4, 2,000 are expected with a standard
/// deviation of √(8,000 × 1/4 × 3/4) = 38.7. 1.5 % of them all is 120, or 3.1 deviations: a sound cluster passes 998 of
/// 1,000 times.
fn assert_a_quarter(copied: u64) {
    assert!(
        (1_880..=2_120).contains(&copied),
        "{copied} of {REQUESTS} were copied, a quarter is 2,000"
    );
}

#[test]
fn mynah_takes_the_place_of_nginx_with_the_same_values_and_the_same_counts() {
    on_the_cluster(async {
        let namespace = Namespace::new("recipe").await;
        let test = TestEnvironment::start(&namespace).await;

        let nginx = Release::of(own("entrance-nginx"), "entrance", &namespace).values("entrance-values.yaml");
        nginx.install(&[]).await;
        all_answer(&ENTRANCE, &namespace.ready("name=entrance", 4).await).await;
        assert_a_quarter(copies_of(REQUESTS, &test).await);

        // The same release, so that this is the upgrade of someone who has the recipe.
        let mynah = Release::of(example("entrance"), "entrance", &namespace).values("entrance-values.yaml");
        mynah.install(&[]).await;
        namespace.rolled_out("entrance-mirror").await;
        all_answer(&ENTRANCE, &namespace.ready("name=entrance", 4).await).await;
        assert_a_quarter(copies_of(REQUESTS, &test).await);
    });
}

#[test]
fn a_ratio_of_40_percent_in_one_pod_of_four_copies_a_tenth() {
    on_the_cluster(async {
        let namespace = Namespace::new("ratio").await;
        let test = TestEnvironment::start(&namespace).await;
        let entrance = Release::of(example("entrance"), "entrance", &namespace).values("entrance-values.yaml");
        entrance.install(&["mirrorRatio=40%"]).await;
        all_answer(&ENTRANCE, &namespace.ready("name=entrance", 4).await).await;

        let mirrored = namespace.pods("mirror=yes").await;
        let copies = async || metric(&mirrored, "mynah_copies_started_total", &[]).await as u64;
        let (before, made) = (test.stats().await.requests, copies().await);
        let tally = ENTRANCE.send(REQUESTS).await.unharmed();
        let copied = copies().await - made;
        test.has_exactly(before + copied).await;
        // Exact but for one per worker, of which the pod has no more than the machine has cores.
        let expected = tally.from("entrance-mirror-") * 2 / 5;
        let slack = std::thread::available_parallelism().map_or(64, |cores| cores.get() as u64);
        assert!(
            copied.abs_diff(expected) <= slack,
            "{copied} copies, {expected} expected"
        );
        // A tenth of all: 800, with a standard deviation of 0.4 × 38.7 = 15.5; 1 % of them all is 80, or 5.2 deviations.
        assert!(
            (720..=880).contains(&copied),
            "{copied} of {REQUESTS} were copied, a tenth is 800"
        );
    });
}
