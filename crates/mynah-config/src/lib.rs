//! The configuration: YAML to a validated model.
pub mod model;
