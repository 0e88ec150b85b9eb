//! `mynah status deployment/NAME`: a line for each pod and mirror, and the share of all requests that is copied.

use std::fmt::Write;

use mynah_kube::cluster::{PodStatus, Status};
use serde_json::{Value, json};

use crate::output;

/// For people.
pub(super) fn table(status: &Status) -> String {
    let head = [
        "POD",
        "READY",
        "MIRROR",
        "REQUESTS",
        "COPIES",
        "DELIVERED",
        "FAILED",
        "SHED",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(status.pods.iter().flat_map(of_pod));
    let mut text = output::table(&rows, 3);
    for pod in &status.pods {
        if let Some(Err(error)) = &pod.counts {
            writeln!(text, "{}: {error}", pod.name).expect("a string takes everything");
        }
    }
    let shares = status.shares();
    if shares.is_empty() {
        text.push_str("no requests yet: nothing is known of the share that is copied\n");
    }
    for (mirror, share) in shares {
        let percent = share * 100.0;
        writeln!(text, "{mirror} gets copies of {percent:.2} % of all requests").expect("a string takes everything");
    }
    text
}

fn of_pod(pod: &PodStatus) -> Vec<[String; 8]> {
    let ready = if pod.ready { "yes" } else { "no" };
    let row = |mirror: &str, counts: [String; 5]| {
        let [requests, copies, delivered, failed, shed] = counts;
        let words = [pod.name.as_str(), ready, mirror].map(str::to_owned);
        let [name, ready, mirror] = words;
        [name, ready, mirror, requests, copies, delivered, failed, shed]
    };
    let none = || ["-"; 5].map(str::to_owned);
    match &pod.counts {
        None => vec![row("none: a plain pod", none())],
        Some(Err(_)) => vec![row("not reached", none())],
        Some(Ok(counts)) => counts
            .mirrors
            .iter()
            .map(|(mirror, of)| {
                let numbers = [counts.requests, of.copies, of.delivered, of.failed, of.shed];
                row(mirror, numbers.map(|n| n.to_string()))
            })
            .collect(),
    }
}

/// For programs.
pub(super) fn json(status: &Status) -> Value {
    let pods = status.pods.iter().map(|pod| {
        let mut shown = json!({"name": pod.name, "ready": pod.ready});
        match &pod.counts {
            None => {}
            Some(Err(error)) => shown["error"] = json!(error),
            Some(Ok(counts)) => {
                shown["requests"] = json!(counts.requests);
                for (mirror, of) in &counts.mirrors {
                    shown["mirrors"][mirror] = json!({
                        "copies": of.copies, "delivered": of.delivered, "failed": of.failed, "shed": of.shed,
                    });
                }
            }
        }
        shown
    });
    json!({"pods": pods.collect::<Vec<_>>(), "shares": status.shares()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use mynah_kube::cluster::{MirrorCounts, PodCounts};

    #[test]
    fn plain_pods_and_those_that_do_not_answer_are_seen_beside_the_others() {
        let staging = MirrorCounts {
            copies: 40,
            delivered: 38,
            failed: 0,
            shed: 2,
        };
        let pod = |name: &str, counts| PodStatus {
            name: name.to_owned(),
            ready: true,
            counts,
        };
        let status = Status {
            pods: vec![
                pod("shop-1", None),
                pod(
                    "shop-mirror-1",
                    Some(Ok(PodCounts {
                        requests: 100,
                        mirrors: [("staging".to_owned(), staging)].into(),
                    })),
                ),
                pod("shop-mirror-2", Some(Err("connection refused".to_owned()))),
            ],
        };
        let expected = "\
POD            READY  MIRROR             REQUESTS  COPIES  DELIVERED  FAILED  SHED
shop-1         yes    none: a plain pod         -       -          -       -     -
shop-mirror-1  yes    staging                 100      40         38       0     2
shop-mirror-2  yes    not reached               -       -          -       -     -
shop-mirror-2: connection refused
staging gets copies of 13.33 % of all requests
";
        assert_eq!(table(&status), expected);
        assert_eq!(json(&status)["pods"][1]["mirrors"]["staging"]["copies"], 40);
    }
}
