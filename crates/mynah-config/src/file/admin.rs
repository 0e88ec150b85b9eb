//! `admin`

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::SHORT;
use crate::model::AdminAddress;
use crate::value::Text;

/// Where Mynah is operated: its address, or a mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = short_for_address)]
pub(crate) struct Admin {
    /// Address of the admin API, the dashboard, metrics and health checks, or `unix:/path` for a socket that only the user
    /// Mynah runs as may use. On an address that others reach, the API and the dashboard answer only when there is a
    /// `token_file`; metrics and health checks always do.
    pub(crate) address: Text<AdminAddress>,
    /// File with a token of at least 16 characters. Calls of the API must then carry `Authorization: Bearer TOKEN`, also on
    /// loopback. It is read at every call, so that it can be replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
    /// A further address that answers metrics and health checks and nothing else, for Prometheus and the kubelet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metrics: Option<Text<SocketAddr>>,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            address: Text(AdminAddress::default()),
            token_file: None,
            metrics: None,
        }
    }
}

fn short_for_address(schema: &mut Schema) {
    schema.insert(SHORT.to_owned(), "address".into());
}
