//! Placeholder.

pub mod proxy_protocol;
pub mod resolve;
pub mod stream;
pub mod tls;
