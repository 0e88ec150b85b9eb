//! Waits until every pod of a workload is as it should be.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::api::Cluster;
use super::error::ClusterError;
use crate::manifest::{Kind, Workload};

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

impl Cluster {
    /// Returns once the newest state of the workload is rolled out and every pod is available.
    pub async fn wait_ready(&self, workload: &Workload, limit: Duration) -> Result<(), ClusterError> {
        let until = Instant::now() + limit;
        loop {
            let object = self.workload(workload).await?;
            let Some(state) = missing(workload.kind, &object) else {
                return Ok(());
            };
            if Instant::now() + INTERVAL > until {
                let pods = self.pods(&object["spec"]["selector"]["matchLabels"]).await;
                return Err(ClusterError::NotReady {
                    workload: workload.to_string(),
                    seconds: limit.as_secs(),
                    state,
                    pods: pods.unwrap_or_default().iter().flat_map(waiting).collect(),
                });
            }
            sleep(INTERVAL).await;
        }
    }
}

/// What is still missing; none when it is ready.
fn missing(kind: Kind, object: &Value) -> Option<String> {
    let status = &object["status"];
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    if number(&status["observedGeneration"]) < number(&object["metadata"]["generation"]) {
        return Some("its controller has not seen it yet".to_owned());
    }
    let (wanted, updated, ready) = match kind {
        Kind::Deployment => (
            object["spec"]["replicas"].as_u64().unwrap_or(1),
            number(&status["updatedReplicas"]),
            number(&status["availableReplicas"]),
        ),
        Kind::StatefulSet => (
            object["spec"]["replicas"].as_u64().unwrap_or(1),
            number(&status["updatedReplicas"]),
            number(&status["readyReplicas"]),
        ),
        Kind::DaemonSet => (
            number(&status["desiredNumberScheduled"]),
            number(&status["updatedNumberScheduled"]),
            number(&status["numberAvailable"]),
        ),
    };
    let old = kind == Kind::Deployment && number(&status["replicas"]) > updated;
    if updated >= wanted && ready >= wanted && !old {
        return None;
    }
    Some(format!("of {wanted} pods {updated} are new, {ready} ready"))
}

/// What the containers of a pod wait for.
fn waiting(pod: &Value) -> Vec<String> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let lists = ["initContainerStatuses", "containerStatuses"];
    let statuses = lists
        .iter()
        .flat_map(|list| pod["status"][list].as_array().into_iter().flatten());
    let mut found: Vec<_> = statuses
        .filter_map(|status| {
            let waiting = &status["state"]["waiting"];
            let reason = waiting["reason"].as_str()?;
            let usual = ["PodInitializing", "ContainerCreating"].contains(&reason);
            let message = waiting["message"]
                .as_str()
                .map(|text| format!(": {text}"))
                .unwrap_or_default();
            (!usual).then(|| {
                format!(
                    "pod {name}, container {}: {reason}{message}",
                    status["name"].as_str().unwrap_or_default()
                )
            })
        })
        .collect();
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    found.extend(
        conditions
            .filter(|condition| condition["reason"] == "Unschedulable")
            .map(|condition| {
                format!(
                    "pod {name}: {}",
                    condition["message"].as_str().unwrap_or("it finds no node")
                )
            }),
    );
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_is_ready_when_no_old_pod_is_left() {
        let mut object = json!({"metadata": {"generation": 2}, "spec": {"replicas": 2},
            "status": {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 2}});
        assert!(missing(Kind::Deployment, &object).unwrap().contains("not seen"));
        object["status"]["observedGeneration"] = json!(2);
        assert!(missing(Kind::Deployment, &object).is_some());
        object["status"]["replicas"] = json!(2);
        assert_eq!(missing(Kind::Deployment, &object), None);
        object["status"]["availableReplicas"] = json!(1);
        assert_eq!(
            missing(Kind::Deployment, &object).unwrap(),
            "of 2 pods 2 are new, 1 ready"
        );
    }

    #[test]
    fn what_a_pod_waits_for_is_told() {
        let pod = json!({"metadata": {"name": "a-1"}, "status": {"initContainerStatuses": [
            {"name": "mynah", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}],
            "containerStatuses": [{"name": "app", "state": {"waiting": {"reason": "PodInitializing"}}}]}});
        assert_eq!(waiting(&pod), ["pod a-1, container mynah: ErrImagePull: no such image"]);
    }
}
