//! Mynah in Kubernetes: what `mynah inject` adds to manifests and `mynah eject` takes away, and the takeover in a pod.
//!
//! [`inject()`] is pure: manifests as text and what is wanted go in, manifests as text come out. It asks no cluster; an object
//! from a cluster is text as well. In the order of the work: `manifest` finds the objects in the text, `site` the place
//! where Mynah belongs (workload, Service, port, container), `share` decides how many pods copy which part of their
//! requests, `pod` edits the pod, `added` puts new objects beside the workload. `yaml` reads and edits the text.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod added;
#[cfg(feature = "cluster")]
pub mod cluster;
mod eject;
pub mod inject;
mod manifest;
mod pod;
mod probes;
mod refusal;
mod share;
mod site;
pub mod takeover;
mod yaml;

pub use crate::eject::{Ejected, eject};
pub use crate::inject::{Injected, Options, inject};
pub use crate::manifest::{Kind, Workload};
pub use crate::refusal::{Error, Refusal};
pub use crate::share::Amount;
pub use crate::yaml::SyntaxError;
