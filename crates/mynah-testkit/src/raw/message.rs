//! Reading HTTP/1 requests out of bytes, for tests that compare what was sent with what was received.
//!
//! Written for itself and simply: it knows valid messages only, and shares nothing with what it is used to test.

use super::show;

/// A request.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// Its method.
    pub method: Vec<u8>,
    /// Its target.
    pub target: Vec<u8>,
    /// Its version.
    pub version: Vec<u8>,
    /// Its fields in their order; values without the space around.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// Its body, decoded.
    pub body: Vec<u8>,
    /// Its trailers.
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method.escape_ascii(), self.target.escape_ascii())?;
        for (name, value) in &self.fields {
            write!(f, " | {}: {}", name.escape_ascii(), value.escape_ascii())?;
        }
        write!(f, " | body {}", show(&self.body))
    }
}

impl Request {
    /// The values of a field; the name in any case.
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        let named = |known: &[u8]| known.eq_ignore_ascii_case(name.as_bytes());
        let values = self.fields.iter().filter(|(known, _)| named(known));
        values.map(|(_, value)| value.as_slice()).collect()
    }

    /// Method, target, body and trailers, readable: what makes a copy the same request.
    pub fn essence(&self) -> String {
        let trailers = self.trailers.iter();
        let trailers = trailers.map(|(name, value)| format!(" {}: {}", name.escape_ascii(), value.escape_ascii()));
        format!(
            "{} {} {}{}",
            self.method.escape_ascii(),
            self.target.escape_ascii(),
            self.body.escape_ascii(),
            trailers.collect::<String>()
        )
    }

    fn asks_for(&self, name: &str, value: &str) -> bool {
        self.values(name).iter().any(|found| {
            found
                .to_ascii_lowercase()
                .split(|b| *b == b',')
                .any(|v| v.trim_ascii() == value.as_bytes())
        })
    }

    /// Whether it asks for another protocol or for a tunnel.
    pub fn leaves_http(&self) -> bool {
        self.method == b"CONNECT" || (self.asks_for("connection", "upgrade") && !self.values("upgrade").is_empty())
    }
}

/// What stands at the start of some bytes.
#[derive(Debug)]
pub enum Read {
    /// A whole request and its length.
    Whole(Box<Request>, usize),
    /// A whole head, whose body is not whole; it needs at least so many bytes in all.
    Head(Box<Request>, usize),
    /// Less than a head.
    Part,
    /// Something else.
    Malformed,
}

/// Reads one request.
pub fn read_request(bytes: &[u8]) -> Read {
    let blank = bytes.len() - bytes.strip_prefix(b"\r\n").unwrap_or(bytes).len();
    let Some(end) = find(&bytes[blank..], b"\r\n\r\n").map(|at| blank + at) else {
        return Read::Part;
    };
    let mut lines = bytes[blank..end]
        .split(|b| *b == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let start: Vec<&[u8]> = lines.next().unwrap_or_default().splitn(3, |b| *b == b' ').collect();
    let [method, target, version] = start[..] else {
        return Read::Malformed;
    };
    let Some(fields) = lines.map(field).collect::<Option<Vec<_>>>() else {
        return Read::Malformed;
    };
    let mut request = Request {
        method: method.to_vec(),
        target: target.to_vec(),
        version: version.to_vec(),
        fields,
        body: Vec::new(),
        trailers: Vec::new(),
    };
    let at = end + 4;
    if request.asks_for("transfer-encoding", "chunked") {
        return chunked(request, bytes, at);
    }
    let length = match request.values("content-length")[..] {
        [] => 0,
        [length, ..] => match std::str::from_utf8(length).ok().and_then(|length| length.parse().ok()) {
            Some(length) => length,
            None => return Read::Malformed,
        },
    };
    match bytes.get(at..at + length) {
        Some(body) => {
            request.body = body.to_vec();
            Read::Whole(Box::new(request), at + length)
        }
        None => Read::Head(Box::new(request), at + length),
    }
}

fn chunked(mut request: Request, bytes: &[u8], mut at: usize) -> Read {
    loop {
        let Some(len) = find(&bytes[at..], b"\r\n") else {
            return Read::Head(Box::new(request), bytes.len() + 1);
        };
        let line = bytes[at..at + len]
            .split(|b| *b == b';')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        let Some(size) = std::str::from_utf8(line)
            .ok()
            .and_then(|size| usize::from_str_radix(size, 16).ok())
        else {
            return Read::Malformed;
        };
        at += len + 2;
        if size == 0 {
            break;
        }
        match bytes.get(at..at + size + 2) {
            Some(chunk) if chunk.ends_with(b"\r\n") => request.body.extend_from_slice(&chunk[..size]),
            Some(_) => return Read::Malformed,
            None => return Read::Head(Box::new(request), at + size + 2),
        }
        at += size + 2;
    }
    loop {
        let Some(len) = find(&bytes[at..], b"\r\n") else {
            return Read::Head(Box::new(request), bytes.len() + 1);
        };
        let line = &bytes[at..at + len];
        at += len + 2;
        if line.is_empty() {
            return Read::Whole(Box::new(request), at);
        }
        match field(line) {
            Some(trailer) => request.trailers.push(trailer),
            None => return Read::Malformed,
        }
    }
}

fn field(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let colon = line.iter().position(|b| *b == b':')?;
    Some((line[..colon].to_vec(), line[colon + 1..].trim_ascii().to_vec()))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Every request at the start of the bytes, and whether the last of them is whole.
pub fn requests(mut bytes: &[u8]) -> (Vec<Request>, bool) {
    let mut found = Vec::new();
    loop {
        match read_request(bytes) {
            Read::Whole(request, len) => {
                found.push(*request);
                bytes = &bytes[len..];
            }
            Read::Head(request, _) => {
                found.push(*request);
                return (found, false);
            }
            Read::Part | Read::Malformed => return (found, true),
        }
    }
}
