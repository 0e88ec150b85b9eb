//! The served description of the API is what the API does: every call that it describes is made, and every answer held
//! against its schema.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use mynah_testkit::application::Application;
use mynah_testkit::raw::Collector;
use serde_json::Value;

use crate::admin::{Answer, call, get};
use crate::harness::{Operated, mirrored};

struct Contract {
    document: Value,
    made: BTreeSet<String>,
}

impl Contract {
    /// Makes a call that is described, and checks that its answer is as described.
    async fn call(&mut self, admin: SocketAddr, method: &str, path: &str, values: (&str, &str)) -> Answer {
        let (mirror, body) = values;
        let described = self.document["paths"][path][method.to_ascii_lowercase()].clone();
        assert!(described.is_object(), "{method} {path} is not described");
        let fields = if described["requestBody"].is_object() {
            "Content-Type: application/json\r\n"
        } else {
            ""
        };
        let answer = call(admin, method, &path.replace("{mirror}", mirror), fields, body).await;
        let responses = &described["responses"];
        let status = answer.status.to_string();
        let response = responses.get(&status).unwrap_or(&responses["default"]);
        let kind = if responses.get(&status).is_some() {
            self.made.insert(format!("{method} {path}"));
            "application/json"
        } else {
            "application/problem+json"
        };
        assert!(answer.head.contains(&format!("content-type: {kind}\r\n")), "{answer:?}");
        let schema = &response["content"][kind]["schema"];
        self.fits(&answer.json(), schema, &format!("{method} {path}"));
        answer
    }

    /// The part of JSON Schema that the document uses.
    fn fits(&self, value: &Value, schema: &Value, at: &str) {
        let known = [
            "$ref",
            "anyOf",
            "oneOf",
            "const",
            "enum",
            "type",
            "properties",
            "required",
            "items",
            "additionalProperties",
            "description",
            "format",
            "minimum",
            "maximum",
            "default",
            "title",
        ];
        for key in schema
            .as_object()
            .unwrap_or_else(|| panic!("{at}: no schema: {schema}"))
            .keys()
        {
            assert!(known.contains(&key.as_str()), "{at}: the check does not know {key}");
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let pointer = reference.strip_prefix('#').unwrap();
            let found = self
                .document
                .pointer(pointer)
                .unwrap_or_else(|| panic!("{at}: no {reference}"));
            return self.fits(value, found, at);
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(parts) = schema[choice].as_array() {
                let fitting = parts
                    .iter()
                    .any(|part| part["const"] == *value || part["type"] == kind(value));
                assert!(fitting, "{at}: {value} is none of {parts:?}");
            }
        }
        if let Some(words) = schema["enum"].as_array() {
            assert!(words.contains(value), "{at}: {value} is none of {words:?}");
        }
        let kinds = match &schema["type"] {
            Value::Array(kinds) => kinds.clone(),
            Value::Null => return,
            kind => vec![kind.clone()],
        };
        let is = |wanted: &Value| *wanted == kind(value) || *wanted == "number" && value.is_number();
        assert!(kinds.iter().any(is), "{at}: {value} is no {kinds:?}");
        if let Some(entries) = value.as_object() {
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(
                    entries.contains_key(name.as_str().unwrap()),
                    "{at}: {name} is missing in {value}"
                );
            }
            for (name, value) in entries {
                let schema = match &schema["properties"][name] {
                    Value::Null => &schema["additionalProperties"],
                    schema => schema,
                };
                assert!(schema.is_object(), "{at}.{name} is not described");
                self.fits(value, schema, &format!("{at}.{name}"));
            }
        }
        for item in value.as_array().into_iter().flatten() {
            self.fits(item, &schema["items"], &format!("{at}[]"));
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[tokio::test]
async fn every_call_is_described_and_answers_as_described() {
    let app = Application::start().await;
    let mirror = Collector::start().await.unwrap();
    let mut operated = Operated::start(&mirrored(app.address(), &[("staging", mirror.address(), "")])).await;
    let admin = operated.mynah.admin();
    let served = get(admin, "/openapi.json").await;
    assert!(served.head.contains("content-type: application/json\r\n"), "{served:?}");
    let document = served.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut contract = Contract {
        document,
        made: BTreeSet::new(),
    };
    let mut caller = mynah_testkit::caller::Caller::connect(operated.mynah.address())
        .await
        .unwrap();
    caller.ask().await.unwrap();
    mirror.until(|copies| copies.len() == 1).await;
    let plain = ("staging", "");
    for (method, path, values, status) in [
        ("GET", "/api/v1/status", plain, 200),
        ("GET", "/api/v1/mirrors", plain, 200),
        ("GET", "/api/v1/mirrors/{mirror}", plain, 200),
        ("GET", "/api/v1/mirrors/{mirror}", ("other", ""), 404),
        (
            "PUT",
            "/api/v1/mirrors/{mirror}/ratio",
            ("staging", r#"{"ratio": "5%"}"#),
            200,
        ),
        (
            "PUT",
            "/api/v1/mirrors/{mirror}/ratio",
            ("other", r#"{"ratio": "5%"}"#),
            404,
        ),
        (
            "PUT",
            "/api/v1/mirrors/{mirror}/ratio",
            ("staging", r#"{"ratio": "5"}"#),
            422,
        ),
        (
            "PUT",
            "/api/v1/mirrors/{mirror}/ratio",
            ("staging", r#"{"ratio": 5}"#),
            400,
        ),
        (
            "PUT",
            "/api/v1/mirrors/{mirror}/ratio",
            ("staging", r#"{"ratio": "5%", "more": 1}"#),
            400,
        ),
        ("PUT", "/api/v1/mirrors/{mirror}/ratio", ("staging", "{"), 400),
        ("POST", "/api/v1/mirrors/{mirror}/pause", plain, 200),
        ("POST", "/api/v1/mirrors/{mirror}/pause", ("other", ""), 404),
        ("POST", "/api/v1/mirrors/{mirror}/resume", plain, 200),
        ("POST", "/api/v1/pause", plain, 200),
        ("POST", "/api/v1/resume", plain, 200),
        ("GET", "/api/v1/config", plain, 200),
        ("POST", "/api/v1/reload", plain, 200),
        ("GET", "/api/v1/log-level", plain, 200),
        ("PUT", "/api/v1/log-level", ("", r#"{"level": "warn"}"#), 200),
    ] {
        let answer = contract.call(admin, method, path, values).await;
        assert_eq!(answer.status, status, "{method} {path} {values:?}: {answer:?}");
    }
    operated.refuse("listeners: []\n").await;
    let refused = contract.call(admin, "POST", "/api/v1/reload", plain).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    // The held connection keeps the process from ending before it has answered.
    assert_eq!(contract.call(admin, "POST", "/api/v1/drain", plain).await.status, 202);

    let paths = contract.document["paths"].as_object().unwrap();
    let described: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_ascii_uppercase()))
        })
        .collect();
    assert_eq!(
        contract.made, described,
        "calls that are described and those that were made"
    );
}
