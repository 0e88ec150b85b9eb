//! Access logs, and what joins their lines.

use mynah_core::{ByteSize, JSON_FIELDS, LogField, LogFormat, LogPart, is_constant};

use super::Check;
use crate::file::{self, File};
use crate::model::{AccessLog, LogDestination, RequestId};
use crate::path::Path;
use crate::shape::suggestion;

/// Bounds of what may wait to be written.
const BUFFER: [u64; 2] = [64 << 10, 1 << 30];

fn mask<'a>(log: &mut AccessLog, names: impl IntoIterator<Item = &'a String>) {
    for name in names {
        if !log.mask_query.contains(name) {
            log.mask_query.push(name.clone());
        }
    }
}

impl Check<'_> {
    /// Production's log masks what any mirror's copies have masked.
    pub(super) fn production_log(&mut self, file: &File, path: &Path) -> Option<AccessLog> {
        let given = file.access_log.as_ref()?;
        let mut log = self.access_log(given, path);
        if given.fields.is_none() {
            log.fields
                .retain(|field| !matches!(field, LogField::Mirror | LogField::Outcome));
        }
        mask(&mut log, file.mirrors.values().flat_map(|mirror| &mirror.mask_query));
        Some(log)
    }

    /// So does a mirror's: what its copies have masked may stand elsewhere, as in `Referer`.
    pub(super) fn mirror_log(&mut self, mirror: &file::Mirror, path: &Path) -> Option<AccessLog> {
        let mut log = self.access_log(mirror.access_log.as_ref()?, path);
        mask(&mut log, &mirror.mask_query);
        Some(log)
    }

    fn access_log(&mut self, log: &file::AccessLog, path: &Path) -> AccessLog {
        let format = &log.format.0;
        let buffer = log.buffer.0;
        if !(BUFFER[0]..=BUFFER[1]).contains(&buffer.bytes()) {
            let [least, most] = BUFFER.map(ByteSize::from_bytes);
            self.wrong(
                &path.key("buffer"),
                format!("{buffer} is not valid; expected {least} to {most}"),
            );
        }
        if log.fields.is_some() && *format != LogFormat::Json {
            self.wrong(
                &path.key("fields"),
                format!("the format is {format}; expected json, or fields within the format"),
            );
        }
        self.constants(log, path);
        AccessLog {
            destination: self.destination(&log.path, &path.key("path")),
            format: format.clone(),
            fields: match &log.fields {
                Some(fields) => fields.iter().map(|field| field.0.clone()).collect(),
                None => JSON_FIELDS.to_vec(),
            },
            constants: log.constants.clone().into_iter().collect(),
            mask_query: log.mask_query.clone(),
            credentials: log.credentials,
            buffer,
        }
    }

    /// Constants have names of their own, and those that are used are there.
    fn constants(&mut self, log: &file::AccessLog, path: &Path) {
        for name in log.constants.keys() {
            let here = path.key("constants").key(name);
            if !is_constant(name) {
                self.wrong(
                    &here,
                    format!("'{name}' is no name for a constant; expected letters, digits and '_'"),
                );
            } else if LogField::is_taken(name) {
                self.wrong(
                    &here,
                    format!("'{name}' is a field already; expected a name of its own"),
                );
            }
        }
        let mut known: Vec<&str> = log.constants.keys().map(String::as_str).collect();
        let names = LogField::names();
        known.extend(names.split(", "));
        let mut missing = Vec::new();
        let mut look = |field: &LogField, path: Path| match field {
            LogField::Constant(name) if !log.constants.contains_key(name) => missing.push((name.clone(), path)),
            _ => {}
        };
        if let LogFormat::Text(parts) = &log.format.0 {
            for part in parts {
                if let LogPart::Field(field) = part {
                    look(field, path.key("format"));
                }
            }
        }
        for (i, field) in log.fields.iter().flatten().enumerate() {
            look(&field.0, path.key("fields").index(i));
        }
        for (name, path) in missing {
            let message = format!(
                "'{name}' is neither a field nor one of constants; expected one of {}, header(NAME)",
                known.join(", ")
            );
            self.wrong(&path, message + &suggestion(&name, &known));
        }
    }

    fn destination(&mut self, text: &str, path: &Path) -> LogDestination {
        if text == "stdout" {
            return LogDestination::Stdout;
        }
        if text.is_empty() || text.ends_with('/') {
            self.wrong(path, format!("'{text}' is not valid; expected a file, or stdout"));
        }
        LogDestination::File(self.origin.folder().join(text))
    }

    pub(super) fn request_id(&mut self, file: &File, path: &Path) -> Option<RequestId> {
        let id = file.request_id.as_ref()?;
        self.field_name(&id.header.0.0, &path.key("header"));
        Some(RequestId {
            header: id.header.0.0.clone(),
            generate: id.generate,
        })
    }
}
