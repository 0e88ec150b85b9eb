//! What must hold for any bytes on a client's connection, for the property tests here and the targets in `fuzz/` alike.

use super::read::{Request, read_all};
use super::stage::Stage;

/// Fields that belong to one connection (RFC 9110 §7.6.1), and so are not passed on.
const OF_A_CONNECTION: [&[u8]; 6] = [
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"transfer-encoding",
    b"upgrade",
];

/// The upstream sees, over all its connections, the requests that a strict server would read from the client's bytes, or
/// the first of them: none that is not there, none that is another. How many whole ones it saw.
///
/// # Panics
/// If that does not hold, or the proxy panics or does not end the connection.
pub(crate) fn check_http1(stage: &Stage, bytes: &[u8], cut: usize) -> usize {
    let pieces: Vec<&[u8]> = match cut {
        0 => vec![bytes],
        cut => bytes.chunks(cut.max(bytes.len() / 64)).collect(),
    };
    let received = stage.send(&pieces);
    let (sent, unfinished, _) = read_all(bytes);
    let mut direct = sent.iter();
    let mut more = true;
    let mut count = 0;
    for bytes in &received {
        let (whole, part, rest) = read_all(bytes);
        assert!(
            rest.is_empty(),
            "the upstream got what is no request: {}",
            rest.escape_ascii()
        );
        for request in whole {
            assert!(more, "{request:?} came behind one that was not whole");
            count += 1;
            let sent = direct.next();
            let sent = sent.unwrap_or_else(|| panic!("the upstream got {request:?}, which was not sent"));
            same_head(sent, &request);
            assert_eq!(request.body, sent.body);
            assert_eq!(end_to_end(&request.trailers), end_to_end(&sent.trailers));
        }
        if let Some(part) = part {
            let sent = direct.next().or(unfinished.as_ref());
            let sent = sent.unwrap_or_else(|| panic!("the upstream got a part of {part:?}, which was not sent"));
            same_head(sent, &part);
            assert!(sent.body.starts_with(&part.body), "{part:?} is no part of {sent:?}");
            more = false;
        }
    }
    count
}

fn same_head(sent: &Request, received: &Request) {
    assert_eq!(
        (
            received.method.escape_ascii().to_string(),
            received.target.escape_ascii().to_string()
        ),
        (
            sent.method.escape_ascii().to_string(),
            sent.target.escape_ascii().to_string()
        )
    );
    let nominated: Vec<Vec<u8>> = sent
        .fields
        .iter()
        .filter(|(name, _)| name == b"connection")
        .flat_map(|(_, value)| value.split(|b| *b == b','))
        .map(|name| name.trim_ascii().to_ascii_lowercase())
        .collect();
    let kept = |fields: &[(Vec<u8>, Vec<u8>)]| -> Vec<String> {
        let fields = end_to_end(fields)
            .into_iter()
            .filter(|(name, _)| !nominated.contains(name));
        fields
            .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()))
            .collect()
    };
    assert_eq!(kept(&received.fields), kept(&sent.fields));
}

fn end_to_end(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let fields = fields
        .iter()
        .filter(|(name, _)| !OF_A_CONNECTION.contains(&name.as_slice()));
    fields.cloned().collect()
}

/// Whatever frames a client sends, an upstream that speaks HTTP/1 gets well-formed requests only, each framed in one way,
/// and no more of them than there were heads. How many.
///
/// # Panics
/// If that does not hold, or the proxy panics or does not end the connection.
pub(crate) fn check_http2(stage: &Stage, bytes: &[u8]) -> usize {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut stream = [PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    stream.extend_from_slice(bytes);
    let heads = heads(&stream[PREFACE.len()..]);
    let received = stage.send(&[&stream]);
    let mut requests = 0;
    for bytes in &received {
        let (whole, part, rest) = read_all(bytes);
        assert!(
            rest.is_empty(),
            "the upstream got what is no request: {}",
            rest.escape_ascii()
        );
        for request in whole.iter().chain(&part) {
            requests += 1;
            assert_eq!(request.version, b"HTTP/1.1");
            let hosts = request.fields.iter().filter(|(name, _)| name == b"host").count();
            assert!(hosts <= 1, "{request:?}");
        }
    }
    assert!(requests <= heads, "{requests} requests of {heads} heads");
    requests
}

/// How many frames of the stream start a request.
fn heads(mut frames: &[u8]) -> usize {
    let mut heads = 0;
    while let [a, b, c, kind, rest @ ..] = frames {
        heads += usize::from(*kind == 1);
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        frames = rest.get(5 + length..).unwrap_or_default();
    }
    heads
}

/// Frames made from any bytes: four bytes each for kind, flags, stream and length, and the payload. A payload of a head
/// starts with a request's own fields, so that some are whole.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let [kind, flags, stream, length, rest @ ..] = bytes {
        let kind = kind % 12;
        let (payload, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        // `:method: GET` or `POST`, `:scheme: http`, `:path: /`, `:authority: a`, out of the static table.
        let method = if flags & 0x80 == 0 { 0x82 } else { 0x83 };
        let own: &[u8] = if kind == 1 && flags & 0x40 == 0 {
            &[method, 0x86, 0x84, 0x41, 1, b'a']
        } else {
            &[]
        };
        let length = (own.len() + payload.len()) as u32;
        out.extend_from_slice(&length.to_be_bytes()[1..]);
        out.extend_from_slice(&[kind, flags & 0x2d, 0, 0, 0, stream % 8]);
        out.extend_from_slice(own);
        out.extend_from_slice(payload);
        bytes = rest;
    }
    out
}
