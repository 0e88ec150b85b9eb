//! What cannot be done right is not done: why, and what to do instead.

use crate::yaml::SyntaxError;
use crate::yaml::edit::EditError;

/// Why an object is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {reason}\n  {remedy}")]
pub struct Refusal {
    /// Which object.
    pub object: String,
    /// Why.
    pub reason: String,
    /// What to do instead.
    pub remedy: String,
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The manifests are not YAML.
    #[error("cannot read the manifests: {0}")]
    Syntax(#[from] SyntaxError),
    /// It could not be done right.
    #[error("{0}")]
    Refused(Box<Refusal>),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl Refusal {
    pub(crate) fn new(object: impl ToString, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            object: object.to_string(),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    /// For a place that the text does not allow to edit.
    pub(crate) fn edit(object: impl ToString, error: &EditError) -> Self {
        Self::new(
            object,
            format!("cannot edit: {error}"),
            "write that part in plain YAML, without anchors, and try again",
        )
    }
}
