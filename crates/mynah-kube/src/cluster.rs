//! Injects into a workload that runs in a cluster, and ejects again.
//!
//! An object from the API server is written as YAML, goes through the same [`inject`](crate::inject::inject) and
//! [`eject`](crate::eject()) as a file, and is read back; so there is one way to decide and one to edit. What comes out is a
//! [`Change`]: a diff for people, and steps that are taken in order, each undone if a later one fails.

mod api;
mod change;
mod error;
mod ready;
mod status;

use serde_json::{Value, json};

pub use self::api::Cluster;
pub use self::change::Change;
pub use self::error::ClusterError;
pub use self::status::{MirrorCounts, PodCounts, PodStatus, Status};
use crate::inject::Options;
use crate::manifest::{self, Workload};
use crate::yaml::emit;
use crate::{eject, inject};

/// The first minor version of Kubernetes with native sidecars.
const NATIVE: u32 = 29;
/// The first in which Services find a port's name on a native sidecar.
const NATIVE_NAMED: u32 = 33;

impl Cluster {
    /// What injecting into a workload would change, and what was decided.
    pub async fn plan_inject(&self, options: &Options) -> Result<(Change, inject::Injected), ClusterError> {
        let target = options.target.clone().expect("a workload of a cluster is named");
        let minor = self.minor_version().await?;
        let mut options = options.clone();
        options.namespace = None;
        options.native = options.native.or(match minor {
            minor if minor < NATIVE => Some(false),
            minor if minor >= NATIVE_NAMED => Some(true),
            _ => None,
        });
        let live = self.workload(&target).await?;
        let services = self.services().await?;
        let ours = self.ours(&target).await?;
        let services: String = services.iter().map(document).collect();
        let before: String = ours.iter().chain([&live]).map(document).collect();
        let injected = inject::inject(&format!("{services}{before}"), &options)?;
        let after = &injected.text[services.len()..];
        let change = Change::between(&before, after, &[live])?;
        Ok((change, injected))
    }

    /// What ejecting from a workload would change.
    pub async fn plan_eject(&self, target: &Workload) -> Result<Change, ClusterError> {
        let live = self.workload(target).await?;
        let mut objects = self.ours(target).await?;
        objects.push(live);
        let before: String = objects.iter().map(document).collect();
        let ejected = eject::eject(&before, Some(target))?;
        Change::between(&before, &ejected.text, &objects)
    }

    /// What inject has added for a workload, as far as it is there.
    async fn ours(&self, target: &Workload) -> Result<Vec<Value>, ClusterError> {
        let mut ours = Vec::new();
        for object in [
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("{}-mynah", target.name)}}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": format!("{}-mirror", target.name)}}),
        ] {
            let record = manifest::ANNOTATION;
            match self.find(&object).await? {
                Some(found) if found["metadata"]["annotations"][record].is_string() => ours.push(found),
                _ => {}
            }
        }
        Ok(ours)
    }
}

/// What people write of an object; what the cluster adds is left out.
fn document(object: &Value) -> String {
    let mut metadata = json!({});
    for key in ["name", "namespace", "labels", "annotations"] {
        if !object["metadata"][key].is_null() {
            metadata[key] = object["metadata"][key].clone();
        }
    }
    let mut written = json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": metadata});
    for key in ["spec", "data"] {
        if !object[key].is_null() {
            written[key] = object[key].clone();
        }
    }
    format!("---\n{}", emit::block(&written, 0))
}
