//! The objects in a text: where each stands, and what it says.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::yaml::edit::Place;
use crate::yaml::value::Anchors;
use crate::yaml::{self, Path, SyntaxError};

/// The annotation of everything that inject has changed or added; its value is a `Record`.
pub(crate) const ANNOTATION: &str = "mynah.dev/inject";
/// The label that tells the pods of the workload beside from those of the workload.
pub(crate) const LABEL: &str = "mynah.dev/workload";

/// Kinds of workload that Mynah can be put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `Deployment`
    Deployment,
    /// `StatefulSet`
    StatefulSet,
    /// `DaemonSet`
    DaemonSet,
}

impl Kind {
    /// As manifests write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "deployment" | "deployments" | "deploy" | "deployment.apps" => Some(Self::Deployment),
            "statefulset" | "statefulsets" | "sts" | "statefulset.apps" => Some(Self::StatefulSet),
            "daemonset" | "daemonsets" | "ds" | "daemonset.apps" => Some(Self::DaemonSet),
            _ => None,
        }
    }
}

/// A workload as `kubectl` names it: `deployment/entrance`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.name().to_ascii_lowercase(), self.name)
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once('/')
            .and_then(|(kind, name)| Some((Kind::from_name(kind)?, name)))
            .filter(|(_, name)| !name.is_empty() && !name.contains('/'))
            .map(|(kind, name)| Self {
                kind,
                name: name.to_owned(),
            })
            .ok_or_else(|| "expected deployment/NAME, statefulset/NAME or daemonset/NAME".to_owned())
    }
}

/// An object.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

impl Object {
    pub(crate) fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        self.value["metadata"]["namespace"].as_str()
    }

    /// As a workload, if it is one of those that Mynah can be put into.
    pub(crate) fn workload(&self) -> Option<Workload> {
        let kinds = [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet];
        let kind = kinds.into_iter().find(|kind| kind.name() == self.kind())?;
        Some(Workload {
            kind,
            name: self.name().to_owned(),
        })
    }

    /// The text of the annotation of ours.
    pub(crate) fn record(&self) -> Option<&str> {
        self.value["metadata"]["annotations"][ANNOTATION].as_str()
    }

    /// The labels of the pods of a workload.
    pub(crate) fn pod_labels(&self) -> &Value {
        &self.value["spec"]["template"]["metadata"]["labels"]
    }

    /// The pod of a workload.
    pub(crate) fn pod(&self) -> &Value {
        &self.value["spec"]["template"]["spec"]
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind().to_ascii_lowercase(), self.name())
    }
}

/// The objects of a text, those in a `List` one by one.
pub(crate) fn objects(text: &str) -> Result<Vec<Object>, SyntaxError> {
    let mut objects = Vec::new();
    for (document, content) in yaml::parse(text)?.iter().enumerate() {
        let Some(root) = &content.root else { continue };
        let value = Anchors::of(root).value(root);
        let place = Place {
            document,
            prefix: Path::default(),
        };
        let is_list = value["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        match value {
            Value::Object(mut list) if is_list && list.get("items").is_some_and(Value::is_array) => {
                let Some(Value::Array(items)) = list.remove("items") else {
                    continue;
                };
                for (index, value) in items.into_iter().enumerate() {
                    let prefix = Path::keys("items").index(index);
                    objects.push(Object {
                        place: Place { document, prefix },
                        value,
                    });
                }
            }
            value => objects.push(Object { place, value }),
        }
    }
    Ok(objects)
}
