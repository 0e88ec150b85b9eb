//! What a call could not do, as `application/problem+json` (RFC 9457) with a code that stays the same.

use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Answer, with_type};

/// Why a call was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    /// The body is not what the call takes.
    InvalidBody,
    /// The token is missing or wrong.
    Unauthorized,
    /// The API is off at an address that others reach and that has no token.
    ApiOff,
    /// The request comes from a page of another site.
    ForeignOrigin,
    /// The request was sent to a name that is not this host's.
    ForeignHost,
    /// There is no such call.
    NotFound,
    /// There is no mirror of this name.
    UnknownMirror,
    /// The call takes another method.
    MethodNotAllowed,
    /// The body did not arrive in time.
    BodyTimeout,
    /// There is no file to read again.
    NoFile,
    /// The proxy is stopping.
    Stopping,
    /// The body is too large.
    BodyTooLarge,
    /// The body is of another type than JSON.
    UnsupportedMediaType,
    /// The value cannot be used.
    InvalidValue,
    /// The configuration is wrong; the running one stays.
    ConfigRefused,
    /// The file with the token cannot be used.
    TokenUnavailable,
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Self::InvalidBody => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::ApiOff | Self::ForeignOrigin | Self::ForeignHost => StatusCode::FORBIDDEN,
            Self::NotFound | Self::UnknownMirror => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::NoFile | Self::Stopping => StatusCode::CONFLICT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::InvalidValue | Self::ConfigRefused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TokenUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// What a call could not do (RFC 9457).
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// The status in words.
    title: &'static str,
    /// The status.
    status: u16,
    /// What was wrong, and what was expected.
    detail: String,
    /// Which problem it is, for programs.
    code: Code,
    /// With `config_refused`: every error with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    errors: Vec<String>,
    #[serde(skip)]
    allow: &'static str,
}

impl Problem {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        let status = code.status();
        Self {
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            errors: Vec::new(),
            allow: "",
        }
    }

    /// Another method was expected.
    pub(super) fn method(allow: &'static str) -> Self {
        Self {
            allow,
            ..Self::new(Code::MethodNotAllowed, format!("expected {allow}"))
        }
    }

    /// With a list of errors.
    pub(super) fn with_errors(self, errors: impl IntoIterator<Item = String>) -> Self {
        Self {
            errors: errors.into_iter().collect(),
            ..self
        }
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut answer = with_type(problem.code.status(), "application/problem+json", body);
        let headers = answer.headers_mut();
        if problem.code == Code::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if !problem.allow.is_empty() {
            headers.insert(header::ALLOW, HeaderValue::from_static(problem.allow));
        }
        // What was sent with a refused request is not read.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        answer
    }
}
