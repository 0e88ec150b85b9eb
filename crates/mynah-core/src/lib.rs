//! The pure domain of Mynah: deciding which requests are copied, how often, and what is changed on the copies.
//!
//! Nothing here does I/O, knows the time or a protocol: what is needed is passed in. The proxy calls it in the order
//! [`matcher`](RouteMatch), sampler ([`Diffusion`], [`keyed_copies`]), [`Adaptive`], [`CircuitBreaker`] and [`RateLimiter`],
//! [`CopyRewrite`], [`Outcome`].
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod adaptive;
mod breaker;
mod log_format;
mod mask;
mod matcher;
mod outcome;
mod probe;
mod rate;
mod ratio;
mod rewrite;
mod sampler;
mod size;
mod trace;

/// The mark of connections to the application that come from the client's own address (Linux `SO_MARK`). The proxy sets it,
/// the rules of the takeover match it.
pub const UPSTREAM_MARK: u32 = 0x6d79_0002;

pub use adaptive::{Adaptive, AdaptiveSpec};
pub use breaker::{Admission, BreakerState, CircuitBreaker};
pub use log_format::{JSON_FIELDS, LogField, LogFormat, LogFormatError, LogPart, is_constant};
pub use mask::{CredentialPolicy, LogMask};
pub use matcher::{HostMatch, PathMatch, Pattern, RequestView, RouteMatch, ValueMatch};
pub use outcome::{FailReason, NotCopied, Outcome, ShedReason};
pub use probe::is_probe;
pub use rate::RateLimiter;
pub use ratio::{Ratio, RatioError};
pub use rewrite::{CopyRewrite, FieldAction, HostEdit, MARKER, RewriteSpec};
pub use sampler::{Diffusion, cookie, keyed_copies};
pub use size::{ByteSize, ByteSizeError};
pub use trace::{TRACE_LINK, TRACEPARENT, TRACESTATE, new_trace};
