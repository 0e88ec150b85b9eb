//! Heads in which something has to change: the connection's own fields are cut, the rest stays byte for byte.
//!
//! Mynah has one upstream connection for each client connection, so the options `close`, `keep-alive` and `upgrade` say of
//! the one what they say of the other, and stay with their fields. Every other option and the fields that it names are
//! cut (RFC 9110 §7.6.1), and so are `Proxy-Connection` and a `TE` that says more than `trailers`. A copy travels on a
//! connection that is shared with others: there, all of these are cut.

use std::borrow::Cow;

use crate::fields::{Field, FieldId, Fields};
use crate::syntax::members;
use crate::{RequestHead, ResponseHead, Version};

/// What becomes of a field on a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<'a> {
    /// It stays as it came.
    Keep,
    /// It goes.
    Remove,
    /// It has this value.
    Replace(Cow<'a, [u8]>),
}

/// A request's head for the upstream; none when it is the one that came. The path is replaced if another is given. The last
/// field of the name in `extended` gets the value there as its last member, and without such a field it is added: what
/// nearer hops say stands behind what farther ones said.
pub fn forward_request(head: &RequestHead<'_>, path: Option<&[u8]>, extended: Option<(&str, &str)>) -> Option<Vec<u8>> {
    if path.is_none() && extended.is_none() && !must_cut(&head.fields) {
        return None;
    }
    let mut out = Vec::with_capacity(head.bytes().len() + 128);
    write_start_line(head, path, &mut out);
    let fields = &head.fields;
    let last = extended.and_then(|(known, _)| {
        fields
            .list
            .iter()
            .rfind(|field| fields.name(field).eq_ignore_ascii_case(known.as_bytes()) && !is_cut(fields, field))
    });
    write_relayed(fields, &mut out, |field| match (last, extended) {
        (Some(last), Some((_, addition))) if last == field => {
            Some(extend(fields.name(field), fields.value(field), addition.as_bytes()))
        }
        _ => None,
    });
    if let (None, Some((name, value))) = (last, extended) {
        write_field(name.as_bytes(), value.as_bytes(), &mut out);
    }
    out.extend_from_slice(b"\r\n");
    Some(out)
}

/// A response's head for the client; none when it is the one that came. `last` tells the client that the connection ends.
pub fn forward_response(head: &ResponseHead<'_>, last: bool) -> Option<Vec<u8>> {
    let announce = last && !head.connection().close;
    if !announce && !must_cut(&head.fields) {
        return None;
    }
    let mut out = Vec::with_capacity(head.bytes().len() + 32);
    out.extend_from_slice(&head.bytes()[head.fields.start_line()]);
    write_relayed(&head.fields, &mut out, |field| {
        (announce && matches!(field.id(), FieldId::Connection | FieldId::KeepAlive)).then(Vec::new)
    });
    if announce {
        // A field `Upgrade`, which stays, must be named.
        let options: &[u8] = if head.connection().upgrade {
            b"upgrade, close"
        } else {
            b"close"
        };
        write_field(b"Connection", options, &mut out);
    }
    out.extend_from_slice(b"\r\n");
    Some(out)
}

/// A copy's head, behind whatever `out` has. `change` is asked about every field but those of the connection, those that
/// frame the body, and `Expect`. It travels as HTTP/1.1: when the original could do without a `Host` field, `change` is
/// asked about one with the target's host, or none.
pub fn write_copy<'h>(
    head: &RequestHead<'h>,
    path: Option<&[u8]>,
    mut change: impl FnMut(&'h [u8], &'h [u8]) -> Change<'h>,
    appended: impl Iterator<Item = (&'h str, &'h [u8])>,
    out: &mut Vec<u8>,
) {
    let fields = &head.fields;
    write_start_line(head, path, out);
    // HTTP/1.0 closes after each response; the copy's connection is to be used again.
    if head.version() == Version::Http10 {
        let end = out.len() - 2;
        out[end - 1] = b'1';
        if fields.host().is_none() {
            let host = head.host().unwrap_or_default();
            match change(b"Host", host) {
                Change::Replace(value) => write_field(b"Host", &value, out),
                Change::Keep | Change::Remove => write_field(b"Host", host, out),
            }
        }
    }
    let mut run = Run::default();
    for field in fields.list {
        let name = fields.name(field);
        let kept = match field.id() {
            FieldId::Connection
            | FieldId::KeepAlive
            | FieldId::ProxyConnection
            | FieldId::Te
            | FieldId::Upgrade
            | FieldId::Expect => Change::Remove,
            _ if fields.is_option(name) => Change::Remove,
            // How the body travels is not for rules to change.
            FieldId::ContentLength | FieldId::TransferEncoding => Change::Keep,
            FieldId::Host | FieldId::Other => change(name, fields.value(field)),
        };
        match kept {
            Change::Keep => run.extend(fields.line(field), fields.bytes, out),
            Change::Remove => {}
            Change::Replace(value) => {
                run.flush(fields.bytes, out);
                write_field(name, &value, out);
            }
        }
    }
    run.flush(fields.bytes, out);
    for (name, value) in appended {
        write_field(name.as_bytes(), value, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// One field with its line end.
pub fn write_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// One field with a member more.
fn extend(name: &[u8], value: &[u8], addition: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(name.len() + value.len() + addition.len() + 6);
    if value.is_empty() {
        write_field(name, addition, &mut line);
    } else {
        write_field(name, value, &mut line);
        line.truncate(line.len() - 2);
        line.extend_from_slice(b", ");
        line.extend_from_slice(addition);
        line.extend_from_slice(b"\r\n");
    }
    line
}

fn must_cut(fields: &Fields<'_>) -> bool {
    fields.cut || fields.connection.others
}

fn write_start_line(head: &RequestHead<'_>, path: Option<&[u8]>, out: &mut Vec<u8>) {
    let bytes = head.bytes();
    match (path, head.path_place()) {
        (Some(path), Some(place)) => {
            let target = head.target_place();
            out.extend_from_slice(&bytes[..target.start + place.start]);
            out.extend_from_slice(path);
            out.extend_from_slice(&bytes[target.end..head.fields.start_line().end]);
        }
        _ => out.extend_from_slice(&bytes[head.fields.start_line()]),
    }
}

/// The fields as they came, but for those that are cut and those for which `instead` has other bytes.
fn write_relayed(fields: &Fields<'_>, out: &mut Vec<u8>, instead: impl Fn(&Field) -> Option<Vec<u8>>) {
    let mut run = Run::default();
    for field in fields.list {
        if is_cut(fields, field) {
            continue;
        }
        if let Some(other) = instead(field) {
            run.flush(fields.bytes, out);
            out.extend_from_slice(&other);
        } else if field.id() == FieldId::Connection && fields.connection.others {
            run.flush(fields.bytes, out);
            write_own_options(fields.name(field), fields.value(field), out);
        } else {
            run.extend(fields.line(field), fields.bytes, out);
        }
    }
    run.flush(fields.bytes, out);
}

fn is_cut(fields: &Fields<'_>, field: &Field) -> bool {
    match field.id() {
        FieldId::ProxyConnection => true,
        FieldId::Te => !fields.value(field).eq_ignore_ascii_case(b"trailers"),
        FieldId::Other => fields.is_option(fields.name(field)),
        _ => false,
    }
}

/// Of a `Connection` field, the options that Mynah's own connection has too.
fn write_own_options(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let own: Vec<&[u8]> = members(value)
        .filter(|option| {
            [b"close".as_slice(), b"keep-alive", b"upgrade", b"te"]
                .iter()
                .any(|own| option.eq_ignore_ascii_case(own))
        })
        .collect();
    if !own.is_empty() {
        write_field(name, &own.join(b", ".as_slice()), out);
    }
}

/// Lines that stay, written in one piece.
#[derive(Default)]
struct Run {
    start: usize,
    end: usize,
}

impl Run {
    fn extend(&mut self, line: std::ops::Range<usize>, bytes: &[u8], out: &mut Vec<u8>) {
        if line.start != self.end {
            self.flush(bytes, out);
            self.start = line.start;
        }
        self.end = line.end;
    }

    fn flush(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&bytes[self.start..self.end]);
        self.start = self.end;
    }
}
