//! The description of the API (OpenAPI 3.1), made from the table of calls and the types that they take and return.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use super::api::{Action, CALLS};
use super::problem::Problem;
use super::view::{Config, Draining, LogLevel, Mirror, Mirrors, Ratio, Reloaded, Status};

/// The whole document.
pub(super) fn document(version: &str) -> Value {
    let mut schemas = SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
        .into_generator();
    let mut paths = serde_json::Map::new();
    for (method, path, action) in CALLS {
        let described = describe(action, path.contains("{mirror}"), &mut schemas);
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        methods[method.as_str().to_ascii_lowercase()] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Mynah admin API",
            "version": version,
            "description": "What is changed here lasts until the next reload of the configuration, which says what it \
                replaced. A reload because a certificate alone has changed replaces nothing.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {
                "type": "http",
                "scheme": "bearer",
                "description": "The content of admin.token_file, when there is one.",
            }},
            "schemas": schemas.take_definitions(true),
        },
    })
}

/// What a call does, in one line; its body; the status and body of its answer.
fn describe(action: Action, of_mirror: bool, schemas: &mut SchemaGenerator) -> Value {
    let (id, summary) = match action {
        Action::Status => ("getStatus", "Everything at a glance"),
        Action::Mirrors => ("listMirrors", "The mirrors and what they have seen since the start"),
        Action::Mirror => ("getMirror", "One mirror"),
        Action::SetRatio => ("setRatio", "Sets a mirror's ratio, from the next request on"),
        Action::PauseMirror => ("pauseMirror", "Pauses copies to a mirror; those in flight are shed"),
        Action::ResumeMirror => ("resumeMirror", "Resumes copies to a mirror"),
        Action::PauseAll => ("pause", "Pauses copies to every mirror; those in flight are shed"),
        Action::ResumeAll => ("resume", "Resumes copies to every mirror"),
        Action::Config => ("getConfig", "The running configuration, with secrets hidden"),
        Action::Reload => (
            "reload",
            "Reads the configuration again; one that is wrong changes nothing",
        ),
        Action::Drain => (
            "drain",
            "Accepts no more clients, lets requests end, and stops; there is no way back",
        ),
        Action::LogLevel => ("getLogLevel", "What is logged"),
        Action::SetLogLevel => ("setLogLevel", "Changes what is logged, until the next start"),
    };
    let (status, answer) = match action {
        Action::Status => ("200", content::<Status>(schemas)),
        Action::Mirrors | Action::PauseAll | Action::ResumeAll => ("200", content::<Mirrors>(schemas)),
        Action::Mirror | Action::SetRatio | Action::PauseMirror | Action::ResumeMirror => {
            ("200", content::<Mirror>(schemas))
        }
        Action::Config => ("200", content::<Config>(schemas)),
        Action::Reload => ("200", content::<Reloaded>(schemas)),
        Action::Drain => ("202", content::<Draining>(schemas)),
        Action::LogLevel | Action::SetLogLevel => ("200", content::<LogLevel>(schemas)),
    };
    let body = match action {
        Action::SetRatio => Some(content::<Ratio>(schemas)),
        Action::SetLogLevel => Some(content::<LogLevel>(schemas)),
        _ => None,
    };
    let problem = schemas.subschema_for::<Problem>();
    let mut described = json!({
        "operationId": id,
        "summary": summary,
        "responses": {
            status: {"description": "Done", "content": answer},
            "default": {"description": "Not done", "content": {"application/problem+json": {"schema": problem}}},
        },
    });
    if let Some(body) = body {
        described["requestBody"] = json!({"required": true, "content": body});
    }
    if of_mirror {
        described["parameters"] = json!([{
            "name": "mirror",
            "in": "path",
            "required": true,
            "description": "The mirror's name",
            "schema": {"type": "string"},
        }]);
    }
    described
}

fn content<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    json!({"application/json": {"schema": schemas.subschema_for::<T>()}})
}
