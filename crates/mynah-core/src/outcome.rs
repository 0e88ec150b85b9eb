//! How copies end. Every list is closed: a copy ends in exactly one [`Outcome`].

/// Why a copy that was sent did not reach its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailReason {
    /// The mirror's name does not resolve.
    Resolve,
    /// The mirror refused the connection or could not be reached.
    Connect,
    /// No connection in time.
    ConnectTimeout,
    /// TLS failed.
    Tls,
    /// The mirror reset the connection.
    Reset,
    /// The mirror closed the connection before it had answered.
    Closed,
    /// The mirror's response is not HTTP.
    BadResponse,
    /// Not ended in time.
    Timeout,
    /// A defect in Mynah.
    Internal,
}

/// Why a copy was given up on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShedReason {
    /// Copies are paused.
    Paused,
    /// The mirror's circuit breaker is open.
    BreakerOpen,
    /// As many copies are in flight as may be.
    InFlight,
    /// As many connections are open as may be, and all are busy.
    Connections,
    /// More requests per second than may be sent.
    Rate,
    /// More bytes of the copy's body wait than its window holds.
    Window,
    /// More bytes are held for all copies together than may be.
    HeldBytes,
    /// File descriptors are left to production.
    Descriptors,
    /// The original ended before it was whole.
    SourceAborted,
    /// The mirror is failing or slowing, and is sent a share only.
    Adaptive,
    /// Mynah is stopping.
    Shutdown,
}

/// How a copy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// All of it was sent and the mirror's response was read.
    Delivered,
    /// It was sent, and did not reach its end.
    Failed(FailReason),
    /// It was given up on purpose.
    Shed(ShedReason),
}

/// Why a request of a route that names a mirror is never copied to it. Such requests do not count as matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotCopied {
    /// It is a copy itself.
    Marker,
    /// The mirror does not take its method.
    Method,
    /// A health check.
    Probe,
    /// It asks to change the protocol.
    Upgrade,
    /// It asks for a tunnel.
    Connect,
}

impl FailReason {
    /// All of them, in the order of their index.
    pub const ALL: [Self; 9] = [
        Self::Resolve,
        Self::Connect,
        Self::ConnectTimeout,
        Self::Tls,
        Self::Reset,
        Self::Closed,
        Self::BadResponse,
        Self::Timeout,
        Self::Internal,
    ];

    /// The value of the metric's `reason` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::BadResponse => "bad_response",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
        }
    }
}

impl ShedReason {
    /// All of them, in the order of their index.
    pub const ALL: [Self; 11] = [
        Self::Paused,
        Self::BreakerOpen,
        Self::InFlight,
        Self::Connections,
        Self::Rate,
        Self::Window,
        Self::HeldBytes,
        Self::Descriptors,
        Self::SourceAborted,
        Self::Adaptive,
        Self::Shutdown,
    ];

    /// The value of the metric's `reason` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::BreakerOpen => "breaker_open",
            Self::InFlight => "in_flight",
            Self::Connections => "connections",
            Self::Rate => "rate",
            Self::Window => "window",
            Self::HeldBytes => "held_bytes",
            Self::Descriptors => "descriptors",
            Self::SourceAborted => "source_aborted",
            Self::Adaptive => "adaptive",
            Self::Shutdown => "shutdown",
        }
    }
}

impl Outcome {
    /// How many there are.
    pub const COUNT: usize = 1 + FailReason::ALL.len() + ShedReason::ALL.len();

    /// All of them, in the order of their index.
    pub fn all() -> impl Iterator<Item = Self> {
        let failed = FailReason::ALL.into_iter().map(Self::Failed);
        let shed = ShedReason::ALL.into_iter().map(Self::Shed);
        std::iter::once(Self::Delivered).chain(failed).chain(shed)
    }

    /// Its place among all.
    pub fn index(self) -> usize {
        match self {
            Self::Delivered => 0,
            Self::Failed(reason) => 1 + reason as usize,
            Self::Shed(reason) => 1 + FailReason::ALL.len() + reason as usize,
        }
    }

    /// The value of the metric's `outcome` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed(_) => "failed",
            Self::Shed(_) => "shed",
        }
    }

    /// The value of the metric's `reason` label; empty for delivered copies.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Delivered => "",
            Self::Failed(reason) => reason.as_str(),
            Self::Shed(reason) => reason.as_str(),
        }
    }
}

impl NotCopied {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();
    /// All of them, in the order of their index.
    pub const ALL: [Self; 5] = [Self::Marker, Self::Method, Self::Probe, Self::Upgrade, Self::Connect];

    /// Its place among all.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The value of the metric's `reason` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Marker => "marker",
            Self::Method => "method",
            Self::Probe => "probe",
            Self::Upgrade => "upgrade",
            Self::Connect => "connect",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_place_and_a_label_of_its_own() {
        let labels: std::collections::HashSet<_> = Outcome::all().map(|o| (o.as_str(), o.reason())).collect();
        assert_eq!(labels.len(), Outcome::COUNT);
        assert!(Outcome::all().enumerate().all(|(i, outcome)| outcome.index() == i));
        assert!(
            NotCopied::ALL
                .into_iter()
                .enumerate()
                .all(|(i, reason)| reason.index() == i)
        );
    }
}
