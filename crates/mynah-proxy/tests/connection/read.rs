//! A strict reader of HTTP/1 requests (RFC 9112), written for itself and plainly: it shares nothing with what it checks, and
//! takes nothing that two servers could read differently.

/// A request.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) version: Vec<u8>,
    /// Names in lower case.
    pub(crate) fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// Decoded, as far as it is there and well-formed.
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method.escape_ascii(), self.target.escape_ascii())?;
        for (name, value) in &self.fields {
            write!(f, " | {}: {}", name.escape_ascii(), value.escape_ascii())?;
        }
        write!(f, " | body {}", self.body.escape_ascii())
    }
}

/// What stands at the start of some bytes.
#[derive(Debug)]
pub(crate) enum Read {
    /// Nothing, or less than a head.
    Part,
    /// No request.
    Malformed,
    /// A whole head, and a body that is not whole or not well-formed.
    Body(Request),
    /// A whole request and its length.
    Whole(Request, usize),
}

/// All requests at the start of the bytes, the one whose body is not whole, and what is left.
pub(crate) fn read_all(mut bytes: &[u8]) -> (Vec<Request>, Option<Request>, &[u8]) {
    let mut whole = Vec::new();
    loop {
        match read_request(bytes) {
            Read::Whole(request, len) => {
                whole.push(request);
                bytes = &bytes[len..];
            }
            Read::Body(request) => return (whole, Some(request), &[]),
            Read::Part | Read::Malformed => return (whole, None, bytes),
        }
    }
}

/// Reads one request.
pub(crate) fn read_request(bytes: &[u8]) -> Read {
    let mut at = 0;
    while bytes[at..].starts_with(b"\r\n") {
        at += 2;
    }
    let mut lines = Vec::new();
    loop {
        match line(bytes, at) {
            Line::Part => return Read::Part,
            Line::Malformed => return Read::Malformed,
            Line::Is(text, next) => {
                at = next;
                if text.is_empty() {
                    break;
                }
                lines.push(text);
            }
        }
    }
    match head(&lines) {
        Some(request) => body(request, bytes, at),
        None => Read::Malformed,
    }
}

enum Line<'a> {
    Part,
    Malformed,
    /// A line without its end, and where the next one starts.
    Is(&'a [u8], usize),
}

fn line(bytes: &[u8], at: usize) -> Line<'_> {
    let rest = &bytes[at..];
    match rest.iter().position(|b| *b == b'\r' || *b == b'\n') {
        Some(end) if rest[end] == b'\r' && rest.get(end + 1) == Some(&b'\n') => Line::Is(&rest[..end], at + end + 2),
        Some(end) if rest[end] == b'\r' && rest.len() == end + 1 => Line::Part,
        Some(_) => Line::Malformed,
        None => Line::Part,
    }
}

fn is_token(text: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !text.is_empty() && text.iter().all(allowed)
}

fn head(lines: &[&[u8]]) -> Option<Request> {
    let (start, fields) = lines.split_first()?;
    let parts: Vec<&[u8]> = start.split(|b| *b == b' ').collect();
    let [method, target, version @ (b"HTTP/1.0" | b"HTTP/1.1")] = parts[..] else {
        return None;
    };
    let target_is_legal = !target.is_empty() && target.iter().all(|b| *b > b' ' && *b != 0x7f);
    (is_token(method) && target_is_legal).then_some(())?;
    Some(Request {
        method: method.to_vec(),
        target: target.to_vec(),
        version: version.to_vec(),
        fields: fields.iter().map(|line| field(line)).collect::<Option<_>>()?,
        body: Vec::new(),
        trailers: Vec::new(),
    })
}

fn field(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let colon = line.iter().position(|b| *b == b':')?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let legal = is_token(name) && value.iter().all(|b| *b >= b' ' && *b != 0x7f || *b == b'\t');
    legal.then(|| (name.to_ascii_lowercase(), value.to_vec()))
}

fn body(mut request: Request, bytes: &[u8], at: usize) -> Read {
    let values = |name: &[u8]| -> Vec<Vec<u8>> {
        let named = request.fields.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.to_ascii_lowercase()).collect()
    };
    match (&values(b"content-length")[..], &values(b"transfer-encoding")[..]) {
        ([], []) => Read::Whole(request, at),
        ([], [coding]) if coding == b"chunked" && request.version == b"HTTP/1.1" => chunked(request, bytes, at),
        ([length], []) if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            let length = String::from_utf8_lossy(length).parse().unwrap_or(usize::MAX);
            let end = at.saturating_add(length);
            request.body = bytes[at..end.min(bytes.len())].to_vec();
            if end <= bytes.len() {
                Read::Whole(request, end)
            } else {
                Read::Body(request)
            }
        }
        _ => Read::Malformed,
    }
}

fn chunked(mut request: Request, bytes: &[u8], mut at: usize) -> Read {
    loop {
        let Line::Is(text, next) = line(bytes, at) else {
            return Read::Body(request);
        };
        at = next;
        let digits = text.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let size = usize::from_str_radix(&String::from_utf8_lossy(&text[..digits]), 16);
        let extension = text[digits..].trim_ascii_start();
        let (Ok(size), true) = (size, extension.is_empty() || extension.starts_with(b";")) else {
            return Read::Body(request);
        };
        if size == 0 {
            break;
        }
        let end = at.saturating_add(size);
        request.body.extend_from_slice(&bytes[at..end.min(bytes.len())]);
        if bytes.get(end..end.saturating_add(2)) != Some(b"\r\n") {
            return Read::Body(request);
        }
        at = end + 2;
    }
    loop {
        match line(bytes, at) {
            Line::Is(b"", next) => return Read::Whole(request, next),
            Line::Is(text, next) => match field(text) {
                Some(trailer) => {
                    request.trailers.push(trailer);
                    at = next;
                }
                None => return Read::Body(request),
            },
            Line::Part | Line::Malformed => return Read::Body(request),
        }
    }
}
