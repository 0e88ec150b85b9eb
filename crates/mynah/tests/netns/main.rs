//! The takeover in a network namespace of its own, with real traffic, and with Debian's `nft` as an independent reader of
//! what was written. Needs root, `ip` and `nft`: `make netns`.
#![allow(clippy::unwrap_used, reason = "tests")]

mod pod;

use std::net::{IpAddr, SocketAddr};

use crate::pod::{Answer, Pod};

const RULES: &[&str] = &["takeover", "--port", "8080", "--to", "9480"];

fn outside(pod: &Pod) -> [SocketAddr; 2] {
    [SocketAddr::new(pod.v4, 8080), SocketAddr::new(pod.v6, 8080)]
}

#[test]
#[ignore = "needs root and network namespaces: make netns"]
fn inbound_connections_go_to_mynah_and_those_from_inside_the_pod_do_not() {
    let pod = Pod::new("redirect");
    pod.mynah(RULES);
    pod.run("upstream: http://127.0.0.1:8080");
    for (i, address) in outside(&pod).into_iter().enumerate() {
        let answer = pod.ask_from_client(address);
        assert!(
            answer.peer.ip().is_loopback(),
            "the application is asked by Mynah: {answer:?}"
        );
        pod.wait_for_copies(i + 1);
    }
    for inside in [
        "127.0.0.1:8080".parse().unwrap(),
        "[::1]:8080".parse().unwrap(),
        outside(&pod)[0],
        outside(&pod)[1],
    ] {
        pod.ask_from_inside(inside);
    }
    // A last one from outside: what would have been copied from inside came before it.
    pod.ask_from_client(outside(&pod)[0]);
    pod.wait_for_copies(3);
    assert_eq!(pod.copies(), 3);
}

#[test]
#[ignore = "needs root and network namespaces: make netns"]
fn doing_it_twice_is_doing_it_once_and_undo_leaves_nothing() {
    let pod = Pod::new("twice");
    pod.mynah(RULES);
    let once = pod.nft();
    pod.mynah(RULES);
    assert_eq!(pod.nft(), once);
    let printed = pod.mynah(&[RULES, &["--dry-run"]].concat());
    assert_eq!(once, printed, "nft reads what --dry-run prints");
    pod.mynah(&["takeover", "--undo"]);
    assert_eq!(pod.nft(), "");
    pod.mynah(&["takeover", "--undo"]);
    let answer = pod.ask_from_client(outside(&pod)[0]);
    assert_eq!(
        answer.peer.ip(),
        pod.client_v4,
        "without rules the application is asked directly"
    );
}

#[test]
#[ignore = "needs root and network namespaces: make netns"]
fn rules_of_others_stay_as_they_are() {
    let pod = Pod::new("others");
    pod.nft_script("table inet theirs { chain input { type filter hook input priority 0; tcp dport 81 drop; }; }");
    let theirs = pod.nft();
    pod.mynah(RULES);
    assert!(pod.nft().contains("table inet theirs"));
    pod.mynah(&["takeover", "--undo"]);
    assert_eq!(pod.nft(), theirs);
}

#[test]
#[ignore = "needs root and network namespaces: make netns"]
fn the_application_sees_the_client_where_that_is_asked_for() {
    let pod = Pod::new("source");
    pod.mynah(&[RULES, &["--preserve-source"]].concat());
    pod.mynah(&[RULES, &["--preserve-source"]].concat());
    let listed = pod.nft();
    let printed = pod.mynah(&[RULES, &["--preserve-source", "--dry-run"]].concat());
    assert!(
        printed.starts_with(&listed),
        "nft reads what --dry-run prints: {listed}"
    );
    pod.run("upstream: {url: \"http://127.0.0.1:8080\", preserve_source: true}");
    let mut asked = 0;
    for address in outside(&pod) {
        let client: IpAddr = if address.is_ipv4() {
            pod.client_v4
        } else {
            pod.client_v6
        };
        for _ in 0..40 {
            let Answer { peer, own } = pod.ask_from_client(address);
            assert_eq!(peer.ip(), client);
            assert_eq!(peer.port(), own.port(), "the port as well");
            asked += 1;
        }
    }
    pod.wait_for_copies(asked);
    // Connections from inside the pod are not changed by the rules either.
    assert!(
        pod.ask_from_inside("127.0.0.1:8080".parse().unwrap())
            .peer
            .ip()
            .is_loopback()
    );
    pod.mynah(&["takeover", "--undo"]);
    assert_eq!(pod.nft(), "");
    assert!(!pod.ip(&["rule"]).contains("28025"));
    assert_eq!(pod.ip(&["-6", "route", "show", "table", "28025"]), "");
}
