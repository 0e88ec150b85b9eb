//! What happens on a connection, step by step.

/// A script; built by its methods in the order in which things happen.
#[derive(Debug, Clone)]
pub struct Script {
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
    pub(super) rest: Rest,
    /// Bytes of the client's that are HTTP; what follows is a tunnel's.
    pub(super) http_until: Option<usize>,
    pub(super) tunnels: bool,
}

/// A script without steps.
pub fn script(name: impl Into<String>) -> Script {
    Script {
        name: name.into(),
        steps: Vec::new(),
        rest: Rest::Open,
        http_until: None,
        tunnels: false,
    }
}

/// One of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Client,
    App,
}

impl Who {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Client => Self::App,
            Self::App => Self::Client,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Send {
        who: Who,
        bytes: Vec<u8>,
        /// What arrives when it is not sent directly.
        seen: Option<Vec<u8>>,
        pace: Pace,
    },
    Fin(Who),
    Reset(Who),
    /// The application's connection ends, by FIN or RST; if it is not direct, the client gets this status instead.
    Breaks {
        reset: bool,
        status: u16,
    },
    /// The client has received what starts like this, of whatever length, and the application nothing.
    Refused(u16),
    Quiet,
}

/// How the bytes of a step follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// At once; the step is over when they have arrived.
    Whole,
    /// At once; the step is over when so many have arrived, and the rest arrives by the end of a later step.
    Part(usize),
    /// Each in a packet of its own, with a pause in between; they have arrived at the end.
    Trickle,
    /// Each when the one before has arrived.
    Each,
}

/// What is checked at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Another exchange works on the connection, and then its end passes through, the client's first.
    Open,
    /// The script itself ended it.
    Ended,
}

impl Script {
    /// What it is about.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The client sends this and the application receives it.
    pub fn client(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.send(Who::Client, bytes.into(), None, Pace::Whole)
    }

    /// The application sends this and the client receives it.
    pub fn app(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.send(Who::App, bytes.into(), None, Pace::Whole)
    }

    /// The client sends this and the application receives it, or, if they are not directly connected, something else.
    pub fn client_as(self, bytes: impl Into<Vec<u8>>, seen: impl Into<Vec<u8>>) -> Self {
        self.send(Who::Client, bytes.into(), Some(seen.into()), Pace::Whole)
    }

    /// The application sends this and the client receives it, or, if they are not directly connected, something else.
    pub fn app_as(self, bytes: impl Into<Vec<u8>>, seen: impl Into<Vec<u8>>) -> Self {
        self.send(Who::App, bytes.into(), Some(seen.into()), Pace::Whole)
    }

    /// The client sends part of a head; it may be held back until the rest follows in the next step.
    pub fn client_part(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.send(Who::Client, bytes.into(), None, Pace::Part(0))
    }

    /// The application sends part of a head; it may be held back until the rest follows in the next step.
    pub fn app_part(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.send(Who::App, bytes.into(), None, Pace::Part(0))
    }

    /// The client sends this at once, of which only so many bytes need to arrive before a later step.
    pub fn client_held(self, bytes: impl Into<Vec<u8>>, arrive: usize) -> Self {
        self.send(Who::Client, bytes.into(), None, Pace::Part(arrive))
    }

    /// What the client's sends held back has arrived by now.
    pub fn client_caught_up(self) -> Self {
        self.client("")
    }

    /// The client sends this byte by byte.
    pub fn client_trickles(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.send(Who::Client, bytes.into(), None, Pace::Trickle)
    }

    /// The application sends this byte by byte.
    pub fn app_trickles(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.send(Who::App, bytes.into(), None, Pace::Trickle)
    }

    /// The client sends each byte of this when the application has received the one before.
    pub fn client_each(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.send(Who::Client, bytes.into(), None, Pace::Each)
    }

    /// The application sends each byte of this when the client has received the one before.
    pub fn app_each(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.send(Who::App, bytes.into(), None, Pace::Each)
    }

    /// The client ends its direction and the application sees the end.
    pub fn client_fin(self) -> Self {
        self.step(Step::Fin(Who::Client)).ended()
    }

    /// The application ends its direction and the client sees the end.
    pub fn app_fin(self) -> Self {
        self.step(Step::Fin(Who::App)).ended()
    }

    /// The client resets the connection and the application sees it reset.
    pub fn client_reset(self) -> Self {
        self.step(Step::Reset(Who::Client)).ended()
    }

    /// The application resets the connection and the client sees it reset.
    pub fn app_reset(self) -> Self {
        self.step(Step::Reset(Who::App)).ended()
    }

    /// The application closes before any byte of a response. The client sees the end, or, if they are not directly
    /// connected, a response with this status and then the end.
    pub fn app_fin_becomes(self, status: u16) -> Self {
        self.step(Step::Breaks { reset: false, status }).ended()
    }

    /// The application resets before any byte of a response. The client sees the reset, or, if they are not directly
    /// connected, a response with this status and then the end.
    pub fn app_reset_becomes(self, status: u16) -> Self {
        self.step(Step::Breaks { reset: true, status }).ended()
    }

    /// What the client has sent is answered with this status in place of the application, which receives nothing of what
    /// the last step sent; only if they are not directly connected.
    pub fn refused(self, status: u16) -> Self {
        self.step(Step::Refused(status)).ended()
    }

    /// For a moment neither end receives anything, nor sees the connection end. Can miss that something comes later, but
    /// not fail without reason.
    pub fn quiet(self) -> Self {
        self.step(Step::Quiet)
    }

    /// From here on the client's bytes are not HTTP, and not copied.
    pub fn tunnel(self) -> Self {
        let sent = self.sent_by_client().len();
        self.tunnel_from(sent)
    }

    /// After so many of the client's bytes they are not HTTP, and not copied.
    pub fn tunnel_from(mut self, sent: usize) -> Self {
        self.tunnels = true;
        self.http_until = Some(sent);
        self
    }

    /// The connection may be left as it is.
    pub fn ended(mut self) -> Self {
        self.rest = Rest::Ended;
        self
    }

    /// Every byte of HTTP that the client sends.
    pub fn requests_sent(&self) -> Vec<u8> {
        let mut bytes = self.sent_by_client();
        bytes.truncate(self.http_until.unwrap_or(usize::MAX));
        bytes
    }

    fn sent_by_client(&self) -> Vec<u8> {
        let sends = self.steps.iter().filter_map(|step| match step {
            Step::Send {
                who: Who::Client,
                bytes,
                ..
            } => Some(bytes.as_slice()),
            _ => None,
        });
        sends.collect::<Vec<_>>().concat()
    }

    fn send(self, who: Who, bytes: Vec<u8>, seen: Option<Vec<u8>>, pace: Pace) -> Self {
        self.step(Step::Send { who, bytes, seen, pace })
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}
