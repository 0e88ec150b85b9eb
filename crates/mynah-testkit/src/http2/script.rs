//! What happens on a connection, step by step, and on which stream.

use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};

/// A script; built by its methods in the order in which things happen. Each step is seen by the other end before the next
/// is made.
#[derive(Debug, Clone)]
pub struct Script {
    pub(super) name: String,
    pub(super) steps: Vec<(usize, Step)>,
    pub(super) stream: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Request(Request<()>, bool),
    Data(Bytes, bool),
    Trailers(HeaderMap),
    Reset(Reason),
    Interim(Response<()>),
    Response(Response<()>, bool),
    AppData(Bytes, bool),
    AppTrailers(HeaderMap),
    AppReset(Reason),
    /// Data that the application sends and the other end leaves where it is.
    AppDataUnread(Bytes),
    /// The application ends its connection after the streams that are under way.
    AppLeaves,
    /// The application's connection breaks.
    AppBreaks,
    /// The client's connection breaks.
    ClientBreaks,
}

/// A script without steps, on its first stream.
pub fn script(name: impl Into<String>) -> Script {
    Script {
        name: name.into(),
        steps: Vec::new(),
        stream: 0,
    }
}

/// A GET with these fields.
pub fn get(path: &str, more: &[(&str, &str)]) -> Request<()> {
    request("GET", path, more)
}

/// A POST with these fields.
pub fn post(path: &str, more: &[(&str, &str)]) -> Request<()> {
    request("POST", path, more)
}

fn request(method: &str, path: &str, more: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://a.example{path}"))
        .body(())
        .expect("it is a request");
    *request.headers_mut() = fields(more);
    request
}

/// A response with these fields.
pub fn response(status: u16, more: &[(&str, &str)]) -> Response<()> {
    let mut response = Response::builder().status(status).body(()).expect("it is a response");
    *response.headers_mut() = fields(more);
    response
}

/// Fields in this order.
pub fn fields(fields: &[(&str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("it is a name");
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("it is a value");
        (name, value)
    };
    let mut map = HeaderMap::new();
    fields.iter().map(field).for_each(|(name, value)| {
        map.append(name, value);
    });
    map
}

impl Script {
    /// What it shows.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The requests that are sent, and whether each is whole.
    pub fn requests(&self) -> Vec<(Request<()>, bool)> {
        let heads = self.steps.iter().filter_map(|(stream, step)| match step {
            Step::Request(request, ended) => Some((stream, request, *ended)),
            _ => None,
        });
        let ends = |on: usize| {
            self.steps
                .iter()
                .any(|(stream, step)| *stream == on && matches!(step, Step::Data(_, true) | Step::Trailers(_)))
        };
        heads
            .map(|(stream, request, ended)| (request.clone(), ended || ends(*stream)))
            .collect()
    }

    /// The bodies that are sent, in the order of the requests.
    pub fn bodies(&self) -> Vec<(Vec<u8>, Option<HeaderMap>)> {
        let mut bodies: Vec<(Vec<u8>, Option<HeaderMap>)> = Vec::new();
        for (stream, step) in &self.steps {
            match step {
                Step::Request(..) => bodies.push((Vec::new(), None)),
                Step::Data(data, _) => bodies[*stream].0.extend_from_slice(data),
                Step::Trailers(trailers) => bodies[*stream].1 = Some(trailers.clone()),
                _ => {}
            }
        }
        bodies
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push((self.stream, step));
        self
    }

    /// What follows happens on this stream; streams count from 0 and are opened in their order.
    pub fn on(mut self, stream: usize) -> Self {
        self.stream = stream;
        self
    }

    /// The client sends a request without a body.
    pub fn asks(self, request: Request<()>) -> Self {
        self.step(Step::Request(request, true))
    }

    /// The client sends the head of a request.
    pub fn begins(self, request: Request<()>) -> Self {
        self.step(Step::Request(request, false))
    }

    /// The client sends data.
    pub fn sends(self, data: impl Into<Bytes>) -> Self {
        self.step(Step::Data(data.into(), false))
    }

    /// The client sends data and the end.
    pub fn ends(self, data: impl Into<Bytes>) -> Self {
        self.step(Step::Data(data.into(), true))
    }

    /// The client sends trailers.
    pub fn trails(self, trailers: &[(&str, &str)]) -> Self {
        self.step(Step::Trailers(fields(trailers)))
    }

    /// The client resets the stream.
    pub fn resets(self, reason: Reason) -> Self {
        self.step(Step::Reset(reason))
    }

    /// The client's connection breaks.
    pub fn breaks(self) -> Self {
        self.step(Step::ClientBreaks)
    }

    /// The application sends an interim response.
    pub fn app_hints(self, response: Response<()>) -> Self {
        self.step(Step::Interim(response))
    }

    /// The application sends a response without a body.
    pub fn app_answers(self, response: Response<()>) -> Self {
        self.step(Step::Response(response, true))
    }

    /// The application sends the head of a response.
    pub fn app_begins(self, response: Response<()>) -> Self {
        self.step(Step::Response(response, false))
    }

    /// The application sends data.
    pub fn app_sends(self, data: impl Into<Bytes>) -> Self {
        self.step(Step::AppData(data.into(), false))
    }

    /// The application sends data and the end.
    pub fn app_ends(self, data: impl Into<Bytes>) -> Self {
        self.step(Step::AppData(data.into(), true))
    }

    /// The application sends data that the client does not read until it reads what comes after.
    pub fn app_sends_unread(self, data: impl Into<Bytes>) -> Self {
        self.step(Step::AppDataUnread(data.into()))
    }

    /// The application sends trailers.
    pub fn app_trails(self, trailers: &[(&str, &str)]) -> Self {
        self.step(Step::AppTrailers(fields(trailers)))
    }

    /// The application resets the stream.
    pub fn app_resets(self, reason: Reason) -> Self {
        self.step(Step::AppReset(reason))
    }

    /// The application ends its connection once the streams under way have ended.
    pub fn app_leaves(self) -> Self {
        self.step(Step::AppLeaves)
    }

    /// The application's connection breaks.
    pub fn app_breaks(self) -> Self {
        self.step(Step::AppBreaks)
    }
}
