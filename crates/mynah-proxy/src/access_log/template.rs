//! A log's format, compiled: what can be told when a request begins, and what only when it has ended.

use mynah_config::model::{AccessLog, Credentials};
use mynah_core::{CredentialPolicy, LogField, LogFormat, LogMask, LogPart};

use super::escape::{Style, number};
use super::subject::Subject;

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
