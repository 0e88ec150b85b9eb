//! A log's format, compiled: what can be told when a request begins, and what only when it has ended.

use std::borrow::Cow;

use mynah_config::model::{AccessLog, Credentials};
use mynah_core::{CopyRewrite, CredentialPolicy, FieldAction, LogField, LogFormat, LogMask, LogPart, RequestView};

use super::escape::{Style, number};
use super::id::GeneratedId;
use crate::lane::OwnField;
use crate::worker::Peer;

/// What a line looks like: a run that is known when the request begins, something that is known when it ends, a run, and
/// so on, with a run at the end.
#[derive(Debug)]
pub(crate) struct Template {
    pub(super) style: Style,
    mask: LogMask,
    runs: Vec<Vec<Early>>,
    pub(super) late: Vec<LogField>,
}

#[derive(Debug)]
enum Early {
    Literal(Vec<u8>),
    Field(LogField),
}

/// A request as a line tells it.
pub(crate) trait Subject {
    /// Who asked, and where.
    fn peer(&self) -> &Peer;
    /// The method; empty if there was none that could be read, and then nothing else either.
    fn method(&self) -> &[u8];
    /// Path and query.
    fn path_and_query(&self) -> Cow<'_, [u8]>;
    /// What the request line has in their place.
    fn target(&self) -> Cow<'_, [u8]>;
    /// The protocol, as a request line has it.
    fn protocol(&self) -> &'static str;
    /// The host.
    fn host(&self) -> Option<&[u8]>;
    /// Calls with every value of a field.
    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8]));
    /// The identifier that it did not come with.
    fn generated_id(&self) -> Option<&GeneratedId>;
}

/// A request of production, with what a line says more than a decision needs.
pub(crate) trait Logged: RequestView {
    /// Who asked, and where.
    fn peer(&self) -> &Peer;
    /// The target, in whatever form.
    fn target(&self) -> &[u8];
    /// The protocol, as a request line has it.
    fn protocol(&self) -> &'static str;
    /// The identifier that it did not come with.
    fn generated_id(&self) -> Option<&GeneratedId>;
}

impl<L: Logged> Subject for L {
    fn peer(&self) -> &Peer {
        self.peer()
    }

    fn method(&self) -> &[u8] {
        RequestView::method(self)
    }

    fn path_and_query(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(RequestView::path_and_query(self))
    }

    fn target(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.target())
    }

    fn protocol(&self) -> &'static str {
        self.protocol()
    }

    fn host(&self) -> Option<&[u8]> {
        RequestView::host(self)
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        RequestView::header(self, name).for_each(each);
    }

    fn generated_id(&self) -> Option<&GeneratedId> {
        self.generated_id()
    }
}

/// A copy, as it is sent.
pub(crate) struct CopySubject<'a, L> {
    pub(crate) request: &'a L,
    pub(crate) rewrite: &'a CopyRewrite,
    /// Fields that no other copy has.
    pub(crate) own: &'a [OwnField],
    pub(crate) http2: bool,
}

impl<L: Logged> Subject for CopySubject<'_, L> {
    fn peer(&self) -> &Peer {
        self.request.peer()
    }

    fn method(&self) -> &[u8] {
        RequestView::method(self.request)
    }

    fn path_and_query(&self) -> Cow<'_, [u8]> {
        self.rewrite.target(RequestView::path_and_query(self.request))
    }

    fn target(&self) -> Cow<'_, [u8]> {
        self.path_and_query()
    }

    fn protocol(&self) -> &'static str {
        if self.http2 { "HTTP/2.0" } else { "HTTP/1.1" }
    }

    fn host(&self) -> Option<&[u8]> {
        match self.rewrite.host() {
            Some(host) => Some(host.as_bytes()),
            None => RequestView::host(self.request),
        }
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        for value in RequestView::header(self.request, name) {
            match self.rewrite.field(name.as_bytes(), value) {
                FieldAction::Keep => each(value),
                FieldAction::Remove => {}
                FieldAction::Replace(value) => each(&value),
            }
        }
        let appended = self.rewrite.appended().iter().chain(self.own);
        appended
            .filter(|(appended, _)| &**appended == name)
            .for_each(|(_, value)| each(value));
    }

    /// It is among the copy's own fields.
    fn generated_id(&self) -> Option<&GeneratedId> {
        None
    }
}

/// Something that was no request.
pub(super) struct Nothing<'a>(pub(super) &'a Peer);

impl Subject for Nothing<'_> {
    fn peer(&self) -> &Peer {
        self.0
    }

    fn method(&self) -> &[u8] {
        b""
    }

    fn path_and_query(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(b"")
    }

    fn target(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(b"")
    }

    fn protocol(&self) -> &'static str {
        ""
    }

    fn host(&self) -> Option<&[u8]> {
        None
    }

    fn header(&self, _name: &str, _each: &mut dyn FnMut(&[u8])) {}

    fn generated_id(&self) -> Option<&GeneratedId> {
        None
    }
}

impl Template {
    /// For production, or for a mirror.
    pub(super) fn compile(config: &AccessLog, mirror: Option<&str>) -> Self {
        let style = Style::of(&config.format);
        let credentials = match config.credentials {
            Credentials::Keep => CredentialPolicy::Keep,
            Credentials::Drop => CredentialPolicy::Drop,
            Credentials::Hash => CredentialPolicy::Hash,
        };
        let mut template = Self {
            style,
            mask: LogMask::new(config.mask_query.iter().cloned(), credentials),
            runs: vec![Vec::new()],
            late: Vec::new(),
        };
        let constant = |name: &str| {
            let found = config.constants.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_bytes())
        };
        for part in parts(config) {
            match part {
                LogPart::Literal(text) => template.literal(text.as_bytes()),
                LogPart::Field(LogField::Mirror) => template.constant(mirror.map(str::as_bytes)),
                LogPart::Field(LogField::Constant(name)) => template.constant(constant(&name)),
                LogPart::Field(field) if is_late(&field) => {
                    template.late.push(field);
                    template.runs.push(Vec::new());
                }
                LogPart::Field(field) => template.run().push(Early::Field(field)),
            }
        }
        template.literal(b"\n");
        template
    }

    fn run(&mut self) -> &mut Vec<Early> {
        self.runs.last_mut().expect("there is one from the start")
    }

    fn literal(&mut self, bytes: &[u8]) {
        match self.run().last_mut() {
            Some(Early::Literal(before)) => before.extend_from_slice(bytes),
            _ => self.run().push(Early::Literal(bytes.to_vec())),
        }
    }

    fn constant(&mut self, value: Option<&[u8]>) {
        let mut bytes = Vec::new();
        self.style.value(value, &mut bytes);
        self.literal(&bytes);
    }

    /// Writes all that is known when a request begins, and puts down where each run ends.
    pub(super) fn begin(
        &self,
        subject: &impl Subject,
        route: Option<usize>,
        id: Option<&str>,
        out: &mut Vec<u8>,
        ends: &mut Vec<u32>,
    ) {
        for run in &self.runs {
            for part in run {
                match part {
                    Early::Literal(bytes) => out.extend_from_slice(bytes),
                    Early::Field(field) => self.early(field, subject, route, id, out),
                }
            }
            ends.push(out.len() as u32);
        }
    }

    fn early(
        &self,
        field: &LogField,
        subject: &impl Subject,
        route: Option<usize>,
        id: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        use std::io::Write as _;
        let style = self.style;
        let some = |bytes: &[u8], out: &mut Vec<u8>| style.value((!bytes.is_empty()).then_some(bytes), out);
        // Writing into memory cannot fail, and an address has nothing to escape.
        let quote = |out: &mut Vec<u8>| out.extend_from_slice(if style == Style::Json { b"\"" } else { b"" });
        match field {
            LogField::Client => {
                quote(out);
                let _ = write!(out, "{}", subject.peer().client.ip().to_canonical());
                quote(out);
            }
            LogField::ClientPort => number(subject.peer().client.port().into(), out),
            LogField::Listener => {
                let local = subject.peer().local;
                quote(out);
                let _ = write!(
                    out,
                    "{}",
                    std::net::SocketAddr::new(local.ip().to_canonical(), local.port())
                );
                quote(out);
            }
            LogField::Method => some(subject.method(), out),
            LogField::Path | LogField::Query => {
                let target = subject.path_and_query();
                let target = self.mask.target(&target);
                let at = memchr::memchr(b'?', &target);
                match field {
                    LogField::Path => some(&target[..at.unwrap_or(target.len())], out),
                    _ => style.value(at.map(|at| &target[at + 1..]), out),
                }
            }
            LogField::Target => some(&self.mask.target(&subject.target()), out),
            LogField::Request if subject.method().is_empty() => style.value(None, out),
            LogField::Request => {
                quote(out);
                style.part(subject.method(), out);
                out.push(b' ');
                style.part(&self.mask.target(&subject.target()), out);
                out.push(b' ');
                style.part(subject.protocol().as_bytes(), out);
                quote(out);
            }
            LogField::Protocol => some(subject.protocol().as_bytes(), out),
            LogField::Host => style.value(subject.host(), out),
            LogField::Route => match route {
                Some(route) => number(route as u64, out),
                None => style.value(None, out),
            },
            LogField::RequestId => match (subject.generated_id(), id) {
                (Some(id), _) => style.value(Some(id.value()), out),
                (None, Some(name)) => self.header(name, subject, out),
                (None, None) => style.value(None, out),
            },
            LogField::Header(name) => self.header(name, subject, out),
            // The rest is known later, or was known before.
            _ => {}
        }
    }

    /// Every value of a field, as one.
    fn header(&self, name: &str, subject: &impl Subject, out: &mut Vec<u8>) {
        let style = self.style;
        let mut found = false;
        subject.header(name, &mut |value| {
            if let Some(value) = self.mask.field(name, value) {
                match (found, style) {
                    (true, _) => out.extend_from_slice(b", "),
                    (false, Style::Json) => out.push(b'"'),
                    (false, Style::Text) => {}
                }
                found = true;
                style.part(&value, out);
            }
        });
        match (found, style) {
            (false, _) => style.value(None, out),
            (true, Style::Json) => out.push(b'"'),
            (true, Style::Text) => {}
        }
    }
}

/// The parts of a line; those of JSON with their keys.
fn parts(config: &AccessLog) -> Vec<LogPart> {
    if let Some(parts) = config.format.parts() {
        return parts;
    }
    debug_assert_eq!(config.format, LogFormat::Json);
    let constants = config
        .constants
        .iter()
        .map(|(name, _)| LogField::Constant(name.clone()));
    let constants = constants.filter(|constant| !config.fields.contains(constant));
    let fields: Vec<LogField> = config.fields.iter().cloned().chain(constants).collect();
    let mut parts = Vec::new();
    for (i, field) in fields.into_iter().enumerate() {
        let mut literal = if i == 0 { b"{".to_vec() } else { b",".to_vec() };
        Style::Json.value(Some(field.key().as_bytes()), &mut literal);
        literal.push(b':');
        parts.push(LogPart::Literal(String::from_utf8_lossy(&literal).into_owned()));
        parts.push(LogPart::Field(field));
    }
    parts.push(LogPart::Literal("}".to_owned()));
    parts
}

fn is_late(field: &LogField) -> bool {
    matches!(
        field,
        LogField::Time
            | LogField::TimeLocal
            | LogField::TimeUnix
            | LogField::Status
            | LogField::RequestBytes
            | LogField::ResponseBytes
            | LogField::Duration
            | LogField::UpstreamTime
            | LogField::Outcome
            | LogField::Reason
    )
}
