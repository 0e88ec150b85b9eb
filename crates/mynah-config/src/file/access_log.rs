//! `access_log` and `request_id`

use std::collections::BTreeMap;

use mynah_core::{ByteSize, LogField, LogFormat};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::{Credentials, SHORT};
use crate::value::{FieldName, Text};

/// An access log: its path, or a mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = short_for_path)]
pub(crate) struct AccessLog {
    /// The file that lines are appended to, or `stdout`. Paths start in the folder of the configuration file. SIGUSR1 opens
    /// it anew.
    pub(crate) path: String,
    /// `combined` as nginx has it, `json`, or a text with fields such as `{time} {client} "{method} {path}" {status}`. A
    /// query or header value is only logged where it is named; `combined` names the query, `Referer` and `User-Agent`.
    #[serde(default = "format")]
    pub(crate) format: Text<LogFormat>,
    /// What a JSON line has, in this order; with another format, none. The constants follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fields: Option<Vec<Text<LogField>>>,
    /// Values that are the same in every line, by name: `pod: ${POD_NAME}`.
    #[serde(default)]
    pub(crate) constants: BTreeMap<String, String>,
    /// Query parameters whose values are masked, besides those that are masked on copies.
    #[serde(default)]
    pub(crate) mask_query: Vec<String>,
    /// What a line says where `Authorization`, `Cookie` or `Proxy-Authorization` is named.
    #[serde(default = "credentials")]
    pub(crate) credentials: Credentials,
    /// Bytes of lines that may wait to be written. Past it whole lines are dropped.
    #[serde(default = "buffer")]
    pub(crate) buffer: Text<ByteSize>,
}

/// The header field that joins a request to its copies: its name, or a mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = short_for_header)]
pub(crate) struct RequestId {
    /// Its name.
    pub(crate) header: Text<FieldName>,
    /// A request without it gets a random one, in access logs and on its copies. The application does not see it.
    #[serde(default)]
    pub(crate) generate: bool,
}

fn format() -> Text<LogFormat> {
    Text(LogFormat::Json)
}

fn credentials() -> Credentials {
    Credentials::Hash
}

fn buffer() -> Text<ByteSize> {
    Text(ByteSize::from_bytes(1024 * 1024))
}

fn short_for_path(schema: &mut Schema) {
    schema.insert(SHORT.to_owned(), "path".into());
}

fn short_for_header(schema: &mut Schema) {
    schema.insert(SHORT.to_owned(), "header".into());
}
