//! What must hold for any bytes whatever. The properties here and the fuzz targets of the repository call these.

use std::borrow::Cow;

use mynah_http1::edit::{Change, forward_request, forward_response, write_copy};
use mynah_http1::{
    BodyDecoder, BodyError, BodySink, Field, Framing, HeadError, HeadScanner, Limits, RequestHead, RequestKind,
    ResponseHead,
};

/// Options of `Connection` that Mynah's own connection has too.
const OWN_OPTIONS: [&[u8]; 4] = [b"close", b"keep-alive", b"upgrade", b"te"];
/// Every part of a head up to this size is tried.
const SHORT: usize = 128;
/// Fields that stay although `Connection` names them.
const OWN_FIELDS: [&[u8]; 2] = [b"keep-alive", b"upgrade"];

/// What a stream of messages consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A head, as it came.
    Head(Vec<u8>),
    /// Body data; what arrived in pieces is one.
    Data(Vec<u8>),
    /// A trailer.
    Trailer(Vec<u8>, Vec<u8>),
    /// The end of a message, behind so many bytes of the stream.
    End(usize),
    /// What follows is no longer HTTP.
    Tunnel(usize),
    /// The head is refused.
    HeadRefused(HeadError),
    /// The body is refused.
    BodyRefused(BodyError),
    /// The end of the stream, and whether the message may end there.
    EndOfStream(bool),
}

/// Which messages a stream has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Requests.
    Requests,
    /// Responses, each to a request of this kind.
    Responses(RequestKind),
}

struct Collect<'a> {
    piece: &'a [u8],
    events: &'a mut Vec<Event>,
}

impl BodySink for Collect<'_> {
    fn data(&mut self, range: std::ops::Range<usize>) {
        let data = &self.piece[range];
        match self.events.last_mut() {
            _ if data.is_empty() => {}
            Some(Event::Data(before)) => before.extend_from_slice(data),
            _ => self.events.push(Event::Data(data.to_vec())),
        }
    }

    fn trailer(&mut self, name: &[u8], value: &[u8]) {
        self.events.push(Event::Trailer(name.to_vec(), value.to_vec()));
    }
}

/// Reads a stream that arrives in these pieces, as a relay does.
pub(crate) fn read<'a>(side: Side, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut events = Vec::new();
    let mut unread = Vec::new();
    let mut passed = 0;
    let mut scanner = HeadScanner::new();
    let mut body: Option<BodyDecoder> = None;
    for piece in pieces {
        unread.extend_from_slice(piece);
        let mut at = 0;
        while at < unread.len() {
            let rest = &unread[at..];
            if let Some(decoder) = &mut body {
                let mut sink = Collect {
                    piece: rest,
                    events: &mut events,
                };
                match decoder.decode(rest, &mut sink) {
                    Ok(len) => at += len,
                    Err(error) => {
                        events.push(Event::BodyRefused(error));
                        return events;
                    }
                }
                if decoder.is_ended() {
                    body = None;
                    events.push(Event::End(passed + at));
                }
                continue;
            }
            let len = match scanner.scan(rest, &Limits::default()) {
                Ok(None) => break,
                Ok(Some(len)) => len,
                Err(error) => {
                    events.push(Event::HeadRefused(error));
                    return events;
                }
            };
            scanner = HeadScanner::new();
            let framing = match parse(side, &rest[..len]) {
                Ok(framing) => framing,
                Err(error) => {
                    events.push(Event::HeadRefused(error));
                    return events;
                }
            };
            events.push(Event::Head(rest[..len].to_vec()));
            at += len;
            if framing == Framing::Tunnel {
                events.push(Event::Tunnel(passed + at));
                return events;
            }
            let decoder = BodyDecoder::new(framing);
            if decoder.is_ended() {
                events.push(Event::End(passed + at));
            } else {
                body = Some(decoder);
            }
        }
        unread.drain(..at);
        passed += at;
    }
    let whole = unread.is_empty() && body.as_mut().is_none_or(|body| body.finish_eof().is_ok());
    events.push(Event::EndOfStream(whole));
    events
}

fn parse(side: Side, head: &[u8]) -> Result<Framing, HeadError> {
    let mut list = Vec::new();
    match side {
        Side::Requests => RequestHead::parse(head, &mut list, &Limits::default()).map(|head| head.body()),
        Side::Responses(kind) => ResponseHead::parse(head, &mut list, &Limits::default(), kind).map(|head| head.body()),
    }
}

/// Checks a stream: it is the same however it is cut, and each of its heads keeps what a head promises.
pub(crate) fn check_stream(side: Side, bytes: &[u8], cut: usize) {
    let whole = read(side, [bytes]);
    assert_eq!(whole, read(side, bytes.chunks(1)), "cut into bytes");
    assert_eq!(whole, read(side, bytes.chunks(cut.max(1))), "cut every {cut} bytes");
    for event in &whole {
        if let Event::Head(head) = event {
            if head.len() <= SHORT {
                check_prefixes(side, head);
            }
            match side {
                Side::Requests => check_request(head),
                Side::Responses(kind) => check_response(head, kind),
            }
        }
    }
}

/// Checks that no part of a head is taken for the whole of it.
pub(crate) fn check_prefixes(side: Side, head: &[u8]) {
    for len in 0..head.len() {
        let found = HeadScanner::new().scan(&head[..len], &Limits::default());
        assert_eq!(found, Ok(None), "{}", head[..len].escape_ascii());
        assert!(parse(side, &head[..len]).is_err(), "{}", head[..len].escape_ascii());
    }
}

/// What a request says, apart from its fields and its path.
fn summary<'a>(head: &RequestHead<'a>) -> impl PartialEq + std::fmt::Debug + use<'a> {
    (
        head.method(),
        head.version(),
        head.body(),
        head.persistent(),
        head.upgrade(),
        head.expects_continue(),
    )
}

/// Checks the head of a request that was read.
pub(crate) fn check_request(bytes: &[u8]) {
    let mut list = Vec::new();
    let head = request(bytes, &mut list);
    let fields: Vec<_> = head.fields().collect();
    check_fields(bytes, &fields);
    let line = [head.method(), b" ", head.target(), b" HTTP/1."].concat();
    assert!(bytes.starts_with(&line));

    let kept = relayed(&fields);
    let unchanged = owned(fields.iter().copied()) == kept;
    let mut list = Vec::new();
    match forward_request(&head, None, None) {
        None => assert!(unchanged, "has to be changed"),
        Some(out) => {
            assert!(!unchanged, "does not have to be changed");
            let again = request(&out, &mut list);
            assert_eq!(summary(&again), summary(&head));
            assert_eq!((again.target(), again.host()), (head.target(), head.host()));
            assert_eq!(owned(again.fields()), kept);
            assert_eq!(forward_request(&again, None, None), None, "was not changed enough");
        }
    }

    let path = head.path_and_query().map(|_| &b"/other?path"[..]);
    let mut list = Vec::new();
    let out = forward_request(&head, path, Some(("X-Added", "1"))).expect("it has to be changed");
    let again = request(&out, &mut list);
    assert_eq!(summary(&again), summary(&head));
    assert_eq!((again.path_and_query(), again.host()), (path, head.host()));
    let is_added = |(name, _): &(Vec<u8>, Vec<u8>)| name.eq_ignore_ascii_case(b"x-added");
    let (mut before, others): (Owned, Owned) = kept.into_iter().partition(is_added);
    match before.last_mut() {
        None => before.push((b"X-Added".to_vec(), b"1".to_vec())),
        Some((_, value)) if value.is_empty() => *value = b"1".to_vec(),
        Some((_, value)) => value.extend_from_slice(b", 1"),
    }
    let found: (Owned, Owned) = owned(again.fields()).into_iter().partition(is_added);
    assert_eq!(found, (before, others));

    check_copy(&head, &fields);
}

/// Checks the copies of a request.
fn check_copy(head: &RequestHead<'_>, fields: &[(&[u8], &[u8])]) {
    let options = options(fields);
    let is_cut = |name: &[u8]| {
        let name = name.to_ascii_lowercase();
        let own: [&[u8]; 6] = [
            b"connection",
            b"keep-alive",
            b"proxy-connection",
            b"te",
            b"upgrade",
            b"expect",
        ];
        own.contains(&&name[..]) || options.contains(&name)
    };
    let mut out = Vec::new();
    write_copy(head, None, |_, _| Change::Keep, std::iter::empty(), &mut out);
    let mut list = Vec::new();
    let copy = request(&out, &mut list);
    assert_eq!(
        (copy.method(), copy.target(), copy.body()),
        (head.method(), head.target(), head.body())
    );
    assert_eq!(copy.version(), mynah_http1::Version::Http11);
    assert!(copy.persistent() && !copy.upgrade() && !copy.expects_continue());
    let left: Vec<_> = fields.iter().filter(|(name, _)| !is_cut(name)).copied().collect();
    let has_host = fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"host"));
    assert_eq!(copy.fields().skip(usize::from(!has_host)).collect::<Vec<_>>(), left);
    assert_eq!(forward_request(&copy, None, None), None);

    let mut out = Vec::new();
    let replace = |name: &[u8], _: &[u8]| match name.len() % 3 {
        _ if name.eq_ignore_ascii_case(b"host") => Change::Keep,
        0 => Change::Remove,
        1 => Change::Replace(Cow::Borrowed(&b"x"[..])),
        _ => Change::Keep,
    };
    let appended: [(&str, &[u8]); 1] = [("X-Appended", b"1")];
    write_copy(head, None, replace, appended.into_iter(), &mut out);
    let mut list = Vec::new();
    let copy = request(&out, &mut list);
    assert_eq!(
        (copy.method(), copy.target(), copy.body()),
        (head.method(), head.target(), head.body())
    );
    assert_eq!(copy.fields().last(), Some((&b"X-Appended"[..], &b"1"[..])));
}

/// Checks the head of a response to a request of this kind that was read.
pub(crate) fn check_response(bytes: &[u8], kind: RequestKind) {
    let mut list = Vec::new();
    let head = response(bytes, &mut list, kind);
    let fields: Vec<_> = head.fields().collect();
    check_fields(bytes, &fields);
    assert!((100..=999).contains(&head.status()));

    let kept = relayed(&fields);
    let unchanged = owned(fields.iter().copied()) == kept;
    let mut list = Vec::new();
    match forward_response(&head, false) {
        None => assert!(unchanged, "has to be changed"),
        Some(out) => {
            assert!(!unchanged, "does not have to be changed");
            let again = response(&out, &mut list, kind);
            assert_eq!(
                (
                    again.version(),
                    again.status(),
                    again.reason(),
                    again.body(),
                    again.persistent()
                ),
                (
                    head.version(),
                    head.status(),
                    head.reason(),
                    head.body(),
                    head.persistent()
                )
            );
            assert_eq!(owned(again.fields()), kept);
            assert_eq!(forward_response(&again, false), None, "was not changed enough");
        }
    }

    let out = forward_response(&head, true);
    let mut list = Vec::new();
    let last = response(out.as_deref().unwrap_or(bytes), &mut list, kind);
    assert!(last.connection().close && !last.persistent());
    assert_eq!(
        (
            last.version(),
            last.status(),
            last.reason(),
            last.body(),
            last.connection().upgrade
        ),
        (
            head.version(),
            head.status(),
            head.reason(),
            head.body(),
            head.connection().upgrade
        )
    );
    assert_eq!(forward_response(&last, true), None);
}

fn request<'a>(bytes: &'a [u8], list: &'a mut Vec<Field>) -> RequestHead<'a> {
    assert_eq!(scan(bytes), bytes.len(), "{}", bytes.escape_ascii());
    RequestHead::parse(bytes, list, &wide()).unwrap_or_else(|e| panic!("{e}: {}", bytes.escape_ascii()))
}

fn response<'a>(bytes: &'a [u8], list: &'a mut Vec<Field>, kind: RequestKind) -> ResponseHead<'a> {
    assert_eq!(scan(bytes), bytes.len(), "{}", bytes.escape_ascii());
    ResponseHead::parse(bytes, list, &wide(), kind).unwrap_or_else(|e| panic!("{e}: {}", bytes.escape_ascii()))
}

/// What is written may be a little more than what is read.
fn wide() -> Limits {
    let limits = Limits::default();
    Limits {
        request_line: limits.request_line + 100,
        head: limits.head + 100,
        fields: limits.fields + 2,
    }
}

fn scan(bytes: &[u8]) -> usize {
    let found = HeadScanner::new().scan(bytes, &wide());
    found.ok().flatten().unwrap_or_default()
}

/// Reads fields in the plainest way: lines that end by CRLF, a token, a colon, and a value without control bytes.
fn check_fields(head: &[u8], fields: &[(&[u8], &[u8])]) {
    let text = head.strip_suffix(b"\r\n\r\n").expect("a head ends by an empty line");
    let mut lines = text.split(|b| *b == b'\n').enumerate().map(|(i, line)| {
        let last = text.iter().filter(|b| **b == b'\n').count() == i;
        let line = if last {
            line
        } else {
            line.strip_suffix(b"\r").expect("a line ends by CRLF")
        };
        assert!(!line.contains(&b'\r') && !line.contains(&0));
        line
    });
    lines.next().expect("a head has a start line");
    let plain: Vec<_> = lines
        .map(|line| {
            let colon = line.iter().position(|b| *b == b':').expect("a field has a colon");
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            assert!(!name.is_empty());
            assert!(
                name.iter()
                    .all(|b| b.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(b))
            );
            assert!(value.iter().all(|b| *b == b'\t' || !b.is_ascii_control()));
            (name, value)
        })
        .collect();
    assert_eq!(plain, fields);
    let count = |name: &str| {
        fields
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
            .count()
    };
    assert!(count("content-length") + count("transfer-encoding") <= 1);
}

/// The members of all `Connection` fields, in lower case.
fn options(fields: &[(&[u8], &[u8])]) -> Vec<Vec<u8>> {
    fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"connection"))
        .flat_map(|(_, value)| value.split(|b| *b == b','))
        .map(|option| option.trim_ascii().to_ascii_lowercase())
        .filter(|option| !option.is_empty())
        .collect()
}

/// Names and values by themselves.
type Owned = Vec<(Vec<u8>, Vec<u8>)>;

fn owned<'a>(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Owned {
    fields
        .into_iter()
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect()
}

/// The fields that a relay leaves, with what it leaves of `Connection`.
fn relayed(fields: &[(&[u8], &[u8])]) -> Owned {
    let options = options(fields);
    let others = options.iter().any(|option| !OWN_OPTIONS.contains(&&option[..]));
    let relayed = fields.iter().filter_map(|(name, value)| {
        let lower = name.to_ascii_lowercase();
        let left = match &lower[..] {
            b"proxy-connection" => None,
            b"te" => value.eq_ignore_ascii_case(b"trailers").then(|| value.to_vec()),
            b"connection" if others => {
                let own: Vec<_> = value
                    .split(|b| *b == b',')
                    .map(<[u8]>::trim_ascii)
                    .filter(|option| OWN_OPTIONS.iter().any(|own| option.eq_ignore_ascii_case(own)))
                    .collect();
                (!own.is_empty()).then(|| own.join(&b", "[..]))
            }
            _ if OWN_FIELDS.contains(&&lower[..]) => Some(value.to_vec()),
            _ => (!options.contains(&lower)).then(|| value.to_vec()),
        };
        left.map(|value| (name.to_vec(), value))
    });
    relayed.collect()
}
