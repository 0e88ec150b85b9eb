//! What every pod of a workload has served and copied, and the share of all requests that results.

use std::collections::BTreeMap;

use super::api::Cluster;
use super::error::ClusterError;
use crate::manifest::Workload;
use crate::pod::{CONTAINER, METRICS_PORT};

/// The pods that a workload's Services send to, those of the workload beside among them.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// In the order of their names.
    pub pods: Vec<PodStatus>,
}

/// A pod.
#[derive(Debug, Clone, PartialEq)]
pub struct PodStatus {
    /// Its name.
    pub name: String,
    /// Whether Services send to it.
    pub ready: bool,
    /// What its Mynah counts; none for a plain pod; the error where it does not answer.
    pub counts: Option<Result<PodCounts, String>>,
}

/// What a pod's Mynah counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PodCounts {
    /// Production requests, the kubelet's probes left out.
    pub requests: u64,
    /// By the mirror's name.
    pub mirrors: BTreeMap<String, MirrorCounts>,
}

/// Copies to a mirror.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MirrorCounts {
    /// Copies made.
    pub copies: u64,
    /// Those that were delivered.
    pub delivered: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those given up on purpose.
    pub shed: u64,
}

impl Cluster {
    /// Asks every pod of a workload, through the API server.
    pub async fn status(&self, workload: &Workload) -> Result<Status, ClusterError> {
        let object = self.workload(workload).await?;
        let mut pods = Vec::new();
        for pod in self.pods(&object["spec"]["selector"]["matchLabels"]).await? {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let lists = ["containers", "initContainers"];
            let mut containers = lists
                .iter()
                .flat_map(|list| pod["spec"][list].as_array().into_iter().flatten());
            let counts = match containers.any(|container| container["name"] == CONTAINER) {
                false => None,
                true => Some(
                    self.ask_pod(&name, METRICS_PORT, "/metrics")
                        .await
                        .map(|page| counts(&page))
                        .map_err(|error| error.to_string()),
                ),
            };
            let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
            let ready = conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
            pods.push(PodStatus { name, ready, counts });
        }
        pods.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Status { pods })
    }
}

impl Status {
    /// The share of all requests that is copied to each mirror: the pods that mirror among those that are ready, times the
    /// copies per request in them. None before there was a request.
    pub fn shares(&self) -> BTreeMap<&str, f64> {
        let ready = self.pods.iter().filter(|pod| pod.ready).count();
        let counted = |pod: &PodStatus| pod.counts.as_ref().and_then(|counts| counts.as_ref().ok()).cloned();
        let mirroring: Vec<_> = self.pods.iter().filter(|pod| pod.ready).filter_map(counted).collect();
        let requests: u64 = mirroring.iter().map(|counts| counts.requests).sum();
        let mut copies: BTreeMap<&str, u64> = BTreeMap::new();
        for pod in &self.pods {
            let Some(Ok(counts)) = &pod.counts else { continue };
            for (mirror, counts) in &counts.mirrors {
                *copies.entry(mirror).or_default() += if pod.ready { counts.copies } else { 0 };
            }
        }
        if requests == 0 {
            return BTreeMap::new();
        }
        let pods = mirroring.len() as f64 / ready as f64;
        let share = |copies: u64| pods * copies as f64 / requests as f64;
        copies
            .into_iter()
            .map(|(mirror, copies)| (mirror, share(copies)))
            .collect()
    }
}

/// Reads the metrics of a Mynah.
fn counts(page: &str) -> PodCounts {
    let mut counts = PodCounts::default();
    let mut requests = 0;
    // Every mirror counts the same probes.
    let mut probes: BTreeMap<_, u64> = BTreeMap::new();
    for line in page.lines() {
        let Some((series, value)) = line.rsplit_once(' ') else {
            continue;
        };
        let Some(value) = value.parse::<f64>().ok().filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let value = value as u64;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let label = |key: &str| {
            let at = labels.find(&format!("{key}=\""))? + key.len() + 2;
            labels[at..].split('"').next().map(str::to_owned)
        };
        let mirror = label("mirror");
        match (name, mirror) {
            ("mynah_requests_total", _) => requests += value,
            ("mynah_requests_not_copied_total", _) if label("reason").as_deref() == Some("probe") => {
                *probes.entry(label("mirror")).or_default() += value;
            }
            ("mynah_copies_started_total", Some(mirror)) => counts.mirrors.entry(mirror).or_default().copies += value,
            ("mynah_copies_total", Some(mirror)) => {
                let counts = counts.mirrors.entry(mirror).or_default();
                match label("outcome").as_deref() {
                    Some("delivered") => counts.delivered += value,
                    Some("failed") => counts.failed += value,
                    Some("shed") => counts.shed += value,
                    _ => {}
                }
            }
            _ => {}
        }
    }
    counts.requests = requests.saturating_sub(probes.into_values().max().unwrap_or(0));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE mynah_requests counter\nmynah_requests_total 110\n\
        mynah_requests_not_copied_total{mirror=\"m\",reason=\"probe\"} 10\n\
        mynah_requests_not_copied_total{mirror=\"n\",reason=\"probe\"} 10\nmynah_copies_started_total{mirror=\"m\"} 40\n\
        mynah_copies_total{mirror=\"m\",outcome=\"delivered\",reason=\"\"} 38\n\
        mynah_copies_total{mirror=\"m\",outcome=\"shed\",reason=\"rate\"} 2\n# EOF\n";

    #[test]
    fn the_share_is_that_of_the_pods_times_that_in_them() {
        let pod = |name: &str, ready, counts| PodStatus {
            name: name.to_owned(),
            ready,
            counts,
        };
        let mirroring = counts(PAGE);
        assert_eq!(mirroring.requests, 100);
        assert_eq!(
            mirroring.mirrors["m"],
            MirrorCounts {
                copies: 40,
                delivered: 38,
                failed: 0,
                shed: 2
            }
        );
        let status = Status {
            pods: vec![
                pod("a", true, None),
                pod("b", true, None),
                pod("c", true, None),
                pod("d", true, Some(Ok(mirroring.clone()))),
                pod("e", false, Some(Ok(mirroring))),
            ],
        };
        assert!((status.shares()["m"] - 0.1).abs() < 1e-9, "{:?}", status.shares());
        assert!(Status { pods: Vec::new() }.shares().is_empty());
    }
}
