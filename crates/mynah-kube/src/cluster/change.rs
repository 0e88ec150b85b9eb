//! What is to be changed in a cluster: shown, tried, done, undone.

use serde_json::Value;
use similar::TextDiff;

use super::api::Cluster;
use super::error::ClusterError;
use crate::manifest;

/// One call to the API server.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Create(Value),
    /// The object as it is to be, and as it was read.
    Replace(Value, Value),
    Delete(Value),
}

/// What is to be changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// For people: what stands there now, and what would.
    pub diff: String,
    /// The objects as they would be, as YAML.
    pub manifests: String,
    steps: Vec<Step>,
}

impl Change {
    /// From the texts of the objects before and after; `live` are those before as they were read.
    pub(crate) fn between(before: &str, after: &str, live: &[Value]) -> Result<Self, ClusterError> {
        let read = |text: &str| manifest::objects(text).map_err(|error| ClusterError::Manifest(error.into()));
        let (old, new) = (read(before)?, read(after)?);
        let same = |one: &Value, other: &Value| {
            one["kind"] == other["kind"] && one["metadata"]["name"] == other["metadata"]["name"]
        };
        let mut steps = Vec::new();
        for object in &new {
            let before = old.iter().find(|before| same(&before.value, &object.value));
            match (before, live.iter().find(|live| same(live, &object.value))) {
                (Some(before), _) if before.value == object.value => {}
                (Some(_), Some(live)) => steps.push(Step::Replace(with(live, &object.value), live.clone())),
                _ => steps.push(Step::Create(object.value.clone())),
            }
        }
        // The workload goes before its configuration.
        for object in old.iter().rev() {
            if !new.iter().any(|kept| same(&kept.value, &object.value)) {
                steps.push(Step::Delete(object.value.clone()));
            }
        }
        let diff = TextDiff::from_lines(before, after);
        Ok(Self {
            diff: diff
                .unified_diff()
                .context_radius(3)
                .header("live", "changed")
                .to_string(),
            manifests: after.to_owned(),
            steps,
        })
    }
}

impl Cluster {
    /// Takes the steps; if one fails, those before it are undone. A dry run asks the API server and changes nothing.
    pub async fn apply(&self, change: &Change, dry_run: bool) -> Result<(), ClusterError> {
        for (done, step) in change.steps.iter().enumerate() {
            let result = match step {
                Step::Create(object) => self.create(object, dry_run).await,
                Step::Replace(object, _) => self.replace(object, dry_run).await,
                Step::Delete(object) => self.delete(object, dry_run).await,
            };
            if let Err(error) = result {
                if !dry_run {
                    self.undo(&change.steps[..done]).await?;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Undoes a change that was applied.
    pub async fn roll_back(&self, change: &Change) -> Result<(), ClusterError> {
        self.undo(&change.steps).await
    }

    async fn undo(&self, steps: &[Step]) -> Result<(), ClusterError> {
        for step in steps.iter().rev() {
            match step {
                Step::Create(object) => self.delete(object, false).await?,
                Step::Delete(object) => self.create(object, false).await?,
                // What others have changed meanwhile, such as its status, is not ours to undo; its place is.
                Step::Replace(_, before) => {
                    if let Some(current) = self.find(before).await? {
                        self.replace(&with(&current, before), false).await?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The object that the cluster has, with what people write of it taken from another.
fn with(live: &Value, written: &Value) -> Value {
    let mut object = live.clone();
    for key in ["labels", "annotations"] {
        match (&written["metadata"][key], object["metadata"].as_object_mut()) {
            (Value::Null, Some(metadata)) => {
                metadata.remove(key);
            }
            (value, Some(metadata)) => {
                metadata.insert(key.to_owned(), value.clone());
            }
            _ => {}
        }
    }
    object["spec"] = written["spec"].clone();
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    object
}
