//! The HTTP/1 side of an exchange: bytes to decoded heads and bodies, and back.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use mynah_http1::{BodyDecoder, Framing, HeadScanner, RequestHead, RequestKind, ResponseHead};
use tokio::io::{ReadHalf, WriteHalf};

use super::{Answer, Broken, Part, Sink, Source};
use crate::out::Out;
use crate::stream::Stream;
use crate::tee::DecodedBody;
use crate::upstream::links::Descriptor;
use crate::worker::Worker;

/// Fields that belong to one connection, and those that say how an HTTP/1 message is framed.
const OF_THE_CONNECTION: [HeaderName; 6] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Whether a field may stand behind a body: one that frames or routes the message may not (RFC 9110 §6.5.1).
fn is_trailer(name: &HeaderName) -> bool {
    name != header::CONTENT_LENGTH && name != header::HOST && !OF_THE_CONNECTION.contains(name)
}

/// The reading half of a connection, and what was read too much.
pub(crate) struct Input {
    half: ReadHalf<Stream>,
    unread: Bytes,
    worker: Rc<Worker>,
    scanner: HeadScanner,
}

impl Input {
    pub(crate) fn new(worker: Rc<Worker>, half: ReadHalf<Stream>, unread: Bytes) -> Self {
        Self {
            half,
            unread,
            worker,
            scanner: HeadScanner::new(),
        }
    }

    /// Whether a part of the next message has arrived.
    pub(crate) fn has_begun(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Brings the two halves of a connection together.
    pub(crate) fn rejoin(self, output: Output) -> Option<Stream> {
        let same = self.half.is_pair_of(&output.half);
        same.then(|| self.half.unsplit(output.half))
    }

    /// Whether an idle connection is still open and has nothing to say.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        !self.has_begun() && self.worker.poll_read(&mut cx, &mut self.half).is_pending()
    }

    /// The next head. None when the stream ends before it; an error says with which status it is refused.
    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, u16>> {
        loop {
            if self.unread.starts_with(b"\r\n") {
                self.unread.advance(2);
                continue;
            }
            match self.scanner.scan(&self.unread, &self.worker.snapshot().limits) {
                Ok(Some(len)) => {
                    self.scanner = HeadScanner::new();
                    return Poll::Ready(Ok(Some(self.unread.split_to(len))));
                }
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(error.status())),
            }
            match ready!(self.worker.poll_read(cx, &mut self.half)) {
                Ok(more) if !more.is_empty() => self.append(more),
                _ => return Poll::Ready(Ok(None)),
            }
        }
    }

    fn append(&mut self, more: Bytes) {
        self.unread = if self.unread.is_empty() {
            more
        } else {
            Bytes::from([&self.unread[..], &more].concat())
        };
    }
}

/// A body that comes in.
pub(crate) struct Incoming {
    input: Input,
    decoder: BodyDecoder,
    parts: VecDeque<Part>,
    /// Where the connection goes afterwards, if it can be used again.
    keep: Option<Rc<Keep>>,
}

impl Incoming {
    pub(crate) fn new(input: Input, framing: Framing) -> Self {
        Self {
            input,
            decoder: BodyDecoder::new(framing),
            parts: VecDeque::new(),
            keep: None,
        }
    }

    /// The body has been passed on whole.
    pub(super) fn finish(mut self) {
        if let Some(keep) = self.keep.take()
            && self.is_whole()
        {
            keep.input(self.input);
        }
    }

    /// Whether the body was read to its end.
    pub(crate) fn is_whole(&self) -> bool {
        self.decoder.is_ended()
    }

    /// The connection, wherever in the body it is.
    pub(crate) fn into_input(self) -> Input {
        self.input
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Part, Broken>> {
        loop {
            if let Some(part) = self.parts.pop_front() {
                return Poll::Ready(Ok(part));
            }
            if self.decoder.is_ended() {
                return Poll::Ready(Ok(Part::End));
            }
            if self.input.unread.is_empty() {
                match ready!(self.input.worker.poll_read(cx, &mut self.input.half)) {
                    Ok(more) if !more.is_empty() => self.input.unread = more,
                    Ok(_) if self.decoder.finish_eof().is_ok() => return Poll::Ready(Ok(Part::End)),
                    _ => return Poll::Ready(Err(Broken::Lost)),
                }
            }
            let mut body = DecodedBody::default();
            let Ok(len) = self.decoder.decode(&self.input.unread, &mut body) else {
                return Poll::Ready(Err(Broken::Malformed));
            };
            let data = body
                .ranges
                .into_iter()
                .map(|range| Part::Data(self.input.unread.slice(range), false));
            self.parts.extend(data);
            let trailers = body.trailers.map(|mut trailers| {
                OF_THE_CONNECTION.iter().for_each(|name| {
                    trailers.remove(name);
                });
                Part::Trailers(trailers)
            });
            self.parts.extend(trailers);
            self.input.unread.advance(len);
        }
    }
}

/// The writing half of a connection.
pub(crate) struct Output {
    half: WriteHalf<Stream>,
    out: Out,
    /// An upstream connection's; a client's has been counted.
    _descriptor: Option<Descriptor>,
}

impl Output {
    pub(crate) fn new(half: WriteHalf<Stream>, descriptor: Option<Descriptor>) -> Self {
        Self {
            half,
            out: Out::default(),
            _descriptor: descriptor,
        }
    }

    pub(crate) async fn write(&mut self, bytes: impl Into<Bytes>) -> Result<(), Broken> {
        self.out.push(bytes.into());
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Broken> {
        poll_fn(|cx| self.out.poll_write_all(cx, &mut self.half))
            .await
            .map_err(|_| Broken::Lost)
    }
}

/// How a body that goes out is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outwards {
    /// As long as the head says, or up to the end of the stream.
    Plain,
    Chunked,
    /// There is none, whatever comes.
    Nothing,
}

/// A body that goes out.
pub(crate) struct Outgoing {
    output: Output,
    framing: Outwards,
    /// Whether all of it has gone.
    whole: bool,
    /// Where the connection goes afterwards, if it can be used again.
    keep: Option<Rc<Keep>>,
}

impl Outgoing {
    /// Nothing more will go.
    pub(super) fn finish(mut self) {
        if let Some(keep) = self.keep.take()
            && let Some(output) = self.into_output()
        {
            keep.output(output);
        }
    }

    pub(super) async fn data(&mut self, data: Bytes, last: bool) -> Result<(), Broken> {
        match self.framing {
            Outwards::Nothing if !data.is_empty() => return Err(Broken::Malformed),
            Outwards::Nothing => {}
            Outwards::Plain => self.output.out.push(data),
            // An empty chunk would be the last.
            Outwards::Chunked if data.is_empty() => {}
            Outwards::Chunked => {
                self.output.out.push(Bytes::from(format!("{:x}\r\n", data.len())));
                self.output.out.push(data);
                self.output.out.push(Bytes::from_static(b"\r\n"));
            }
        }
        if last {
            return self.end(None).await;
        }
        self.output.flush().await
    }

    pub(super) async fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Broken> {
        if self.framing == Outwards::Chunked {
            let mut end = b"0\r\n".to_vec();
            write_fields(
                trailers.unwrap_or_default().iter().filter(|(name, _)| is_trailer(name)),
                &mut end,
            );
            end.extend_from_slice(b"\r\n");
            self.output.out.push(Bytes::from(end));
        }
        self.whole = true;
        self.output.flush().await
    }

    pub(super) fn abort(&mut self) {
        self.whole = false;
    }

    /// The connection, if another message can follow.
    fn into_output(self) -> Option<Output> {
        self.whole.then_some(self.output)
    }
}

/// Writes a request's head to an HTTP/1 upstream; where its body goes, if it has one.
pub(crate) async fn send_request(
    mut output: Output,
    request: &Request<()>,
    has_body: bool,
    keep: &Rc<Keep>,
) -> Result<Option<Sink>, Broken> {
    let sized = request.headers().contains_key(header::CONTENT_LENGTH);
    let framing = if has_body && !sized {
        Outwards::Chunked
    } else {
        Outwards::Plain
    };
    output.write(encode_request(request, has_body)).await?;
    if !has_body {
        keep.output(output);
        return Ok(None);
    }
    Ok(Some(Sink::Http1(Outgoing {
        output,
        framing,
        whole: false,
        keep: Some(keep.clone()),
    })))
}

/// A request's head in HTTP/1.1; chunked when a body follows whose length nobody says.
pub(crate) fn encode_request(request: &Request<()>, has_body: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let uri = request.uri();
    out.extend_from_slice(request.method().as_str().as_bytes());
    out.push(b' ');
    match uri.path_and_query() {
        Some(path) => out.extend_from_slice(path.as_str().as_bytes()),
        None => out.extend_from_slice(uri.authority().map_or("*", |authority| authority.as_str()).as_bytes()),
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if let Some(authority) = uri.authority()
        && !request.headers().contains_key(header::HOST)
    {
        field(header::HOST.as_str(), authority.as_str().as_bytes(), &mut out);
    }
    // HTTP/2 may split the cookies, HTTP/1 has them in one field (RFC 9113 §8.2.3).
    let mut cookies = Vec::new();
    for (name, value) in request.headers() {
        if name == header::COOKIE {
            cookies.push(value.as_bytes());
        } else if !OF_THE_CONNECTION.contains(name) {
            field(name.as_str(), value.as_bytes(), &mut out);
        }
    }
    if !cookies.is_empty() {
        field("cookie", &cookies.join(&b"; "[..]), &mut out);
    }
    if has_body && !request.headers().contains_key(header::CONTENT_LENGTH) {
        field("transfer-encoding", b"chunked", &mut out);
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    mynah_http1::edit::write_field(name.as_bytes(), value, out);
}

fn write_fields<'a>(fields: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>, out: &mut Vec<u8>) {
    for (name, value) in fields {
        field(name.as_str(), value.as_bytes(), out);
    }
}

/// A request's head as it would come by HTTP/2. None for targets and methods that HTTP/2 cannot say.
pub(crate) fn decode_request(head: &RequestHead<'_>, scheme: &str) -> Option<Request<()>> {
    let path = match head.path_and_query() {
        Some(b"") => Cow::Borrowed(&b"/"[..]),
        // An absolute target may have a query and no path.
        Some(path) if path[0] == b'?' => Cow::Owned([b"/", path].concat()),
        Some(path) => Cow::Borrowed(path),
        None => Cow::Borrowed(head.target()),
    };
    let path = &*path;
    let uri = match head.host().filter(|host| !host.is_empty()) {
        Some(host) => Uri::builder()
            .scheme(scheme)
            .authority(host)
            .path_and_query(path)
            .build()
            .ok()?,
        None => Uri::try_from(path).ok()?,
    };
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(head.method()).ok()?;
    // Without an authority h2 takes the request only as one of HTTP/1.
    *request.version_mut() = if uri.authority().is_some() {
        Version::HTTP_2
    } else {
        Version::HTTP_11
    };
    *request.uri_mut() = uri;
    let fields = || head.fields().filter(|(name, _)| !name.eq_ignore_ascii_case(b"host"));
    *request.headers_mut() = decode_fields(fields)?;
    Some(request)
}

/// The fields of a message without those of the connection, in their order.
fn decode_fields<'a, I: Iterator<Item = (&'a [u8], &'a [u8])>>(fields: impl Fn() -> I) -> Option<HeaderMap> {
    let nominated: Vec<&[u8]> = fields()
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"connection"))
        .flat_map(|(_, value)| value.split(|b| *b == b','))
        .map(|option| option.trim_ascii())
        .collect();
    let mut map = HeaderMap::new();
    for (name, value) in fields() {
        let is_nominated = nominated.iter().any(|option| option.eq_ignore_ascii_case(name));
        let name = HeaderName::from_bytes(name).ok()?;
        // The one value of TE that HTTP/2 knows (RFC 9113 §8.2.2).
        let is_kept_te = name == header::TE && value.eq_ignore_ascii_case(b"trailers");
        if is_kept_te {
            map.insert(name, HeaderValue::from_static("trailers"));
        } else if !is_nominated && !OF_THE_CONNECTION.contains(&name) {
            map.append(name, HeaderValue::from_bytes(value).ok()?);
        }
    }
    Some(map)
}

/// A connection that waits for its next request.
pub(crate) type Idle = RefCell<Vec<(Input, Output)>>;

/// Brings the two halves of an upstream connection together again after an exchange.
pub(crate) struct Keep {
    idle: Rc<Idle>,
    halves: RefCell<(Option<Input>, Option<Output>)>,
}

impl Keep {
    pub(crate) fn new(idle: Rc<Idle>) -> Rc<Self> {
        Rc::new(Self {
            idle,
            halves: RefCell::default(),
        })
    }

    fn input(&self, input: Input) {
        self.halves.borrow_mut().0 = Some(input);
        self.join();
    }

    fn output(&self, output: Output) {
        self.halves.borrow_mut().1 = Some(output);
        self.join();
    }

    fn join(&self) {
        let mut halves = self.halves.borrow_mut();
        match std::mem::take(&mut *halves) {
            // Bytes that nobody asked for make a connection unfit.
            (Some(input), Some(output)) if !input.has_begun() => {
                let mut idle = self.idle.borrow_mut();
                // The one that has waited longest may have been closed.
                if idle.first_mut().is_some_and(|(input, _)| !input.is_quiet()) {
                    idle.remove(0);
                }
                idle.push((input, output));
            }
            (Some(_), Some(_)) => {}
            incomplete => *halves = incomplete,
        }
    }
}

/// A response that an HTTP/1 upstream owes.
pub(crate) struct Awaited {
    input: Option<Input>,
    kind: RequestKind,
    keep: Rc<Keep>,
}

impl Awaited {
    pub(crate) fn new(input: Input, method: &Method, keep: Rc<Keep>) -> Self {
        Self {
            input: Some(input),
            kind: RequestKind::of(method.as_str().as_bytes()),
            keep,
        }
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Broken>> {
        let Some(input) = &mut self.input else {
            return Poll::Ready(Err(Broken::Lost));
        };
        let bytes = match ready!(input.poll_head(cx)) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Poll::Ready(Err(Broken::Lost)),
            Err(_) => return Poll::Ready(Err(Broken::Malformed)),
        };
        let worker = input.worker.clone();
        let mut fields = worker.take_fields();
        let parsed = ResponseHead::parse(&bytes, &mut fields, &worker.snapshot().limits, self.kind)
            .ok()
            .and_then(|head| {
                Some((
                    decode_response(&head)?,
                    head.is_interim(),
                    head.body(),
                    head.persistent(),
                ))
            });
        worker.return_fields(fields);
        Poll::Ready(match parsed {
            None | Some((_, _, Framing::Tunnel, _)) => Err(Broken::Malformed),
            Some((response, ..)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => Err(Broken::Malformed),
            Some((response, true, ..)) => Ok(Answer::Interim(response)),
            Some((response, false, framing, persistent)) => match (self.input.take(), framing) {
                (Some(input), Framing::None | Framing::Length(0)) => {
                    if persistent {
                        self.keep.input(input);
                    }
                    Ok(Answer::Final(response, None))
                }
                (Some(input), framing) => {
                    let mut incoming = Incoming::new(input, framing);
                    incoming.keep = persistent.then(|| self.keep.clone());
                    Ok(Answer::Final(response, Some(Source::Http1(incoming))))
                }
                (None, _) => Err(Broken::Lost),
            },
        })
    }
}

fn decode_response(head: &ResponseHead<'_>) -> Option<Response<()>> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.status()).ok()?;
    *response.headers_mut() = decode_fields(|| head.fields())?;
    Some(response)
}

/// A response to an HTTP/1 client.
pub(crate) struct Replying {
    output: Option<Output>,
    pub(super) sink: Option<Sink>,
    /// The request's method was HEAD.
    pub(crate) is_head: bool,
    /// The client speaks HTTP/1.0: it knows neither chunks nor interim responses.
    pub(crate) is_old: bool,
    /// This is the last response of the connection.
    pub(crate) last: bool,
    begun: bool,
    /// A 1xx response has gone.
    hinted: bool,
}

impl Replying {
    pub(crate) fn new(output: Output, is_head: bool, is_old: bool, last: bool) -> Self {
        Self {
            output: Some(output),
            sink: None,
            is_head,
            is_old,
            last,
            begun: false,
            hinted: false,
        }
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun || self.hinted
    }

    /// The connection, if the response was whole and another can follow.
    pub(crate) fn into_output(self) -> Option<Output> {
        let output = match self.sink {
            Some(Sink::Http1(outgoing)) => outgoing.into_output(),
            _ => self.output.filter(|_| self.begun),
        };
        output.filter(|_| !self.last)
    }

    /// The connection as it is, and whether the client has been told something whole.
    pub(crate) fn into_last_output(self) -> (Option<Output>, bool) {
        match self.sink {
            Some(Sink::Http1(outgoing)) => {
                let whole = outgoing.whole;
                (Some(outgoing.output), whole)
            }
            _ => (self.output, true),
        }
    }

    pub(super) async fn interim(&mut self, response: &Response<()>) -> Result<(), Broken> {
        self.hinted = true;
        match &mut self.output {
            Some(output) if !self.is_old => output.write(encode_response(response, &[])).await,
            _ => Ok(()),
        }
    }

    pub(super) async fn begin(&mut self, response: &Response<()>, has_body: bool) -> Result<(), Broken> {
        let Some(mut output) = self.output.take() else {
            return Err(Broken::Lost);
        };
        self.begun = true;
        let sized = response.headers().contains_key(header::CONTENT_LENGTH);
        let bodiless = self.is_head || matches!(response.status().as_u16(), 204 | 304);
        let mut more: Vec<(&str, &str)> = Vec::new();
        let mut framing = if bodiless { Outwards::Nothing } else { Outwards::Plain };
        if !sized && !bodiless {
            if !has_body {
                more.push(("content-length", "0"));
            } else if self.is_old {
                self.last = true;
            } else {
                framing = Outwards::Chunked;
                more.push(("transfer-encoding", "chunked"));
            }
        }
        if self.last {
            more.push(("connection", "close"));
        } else if self.is_old {
            more.push(("connection", "keep-alive"));
        }
        output.write(encode_response(response, &more)).await?;
        if has_body {
            self.sink = Some(Sink::Http1(Outgoing {
                output,
                framing,
                whole: false,
                keep: None,
            }));
        } else {
            self.output = Some(output);
        }
        Ok(())
    }

    pub(crate) async fn fail(&mut self, status: u16) {
        self.last = true;
        if !self.begun
            && let Some(output) = &mut self.output
        {
            // Whoever does not take it is gone.
            let _ = output.write(crate::client::error_response(status)).await;
        }
    }

    pub(super) fn abort(&mut self) {
        self.last = true;
    }
}

fn encode_response(response: &Response<()>, more: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let status = response.status();
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    // Where there is no body, its length would be that of another message (RFC 9110 §8.6).
    let unsized_status = status.is_informational() || status == StatusCode::NO_CONTENT;
    let fields = response.headers().iter();
    write_fields(
        fields.filter(|(name, _)| !(unsized_status && *name == header::CONTENT_LENGTH)),
        &mut out,
    );
    for (name, value) in more {
        field(name, value.as_bytes(), &mut out);
    }
    out.extend_from_slice(b"\r\n");
    out
}
