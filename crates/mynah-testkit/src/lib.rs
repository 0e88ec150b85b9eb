//! Applications, mirrors, proxies and clients for the tests of Mynah.

pub mod app;
pub mod application;
pub mod binary;
pub mod caller;
pub mod client;
pub mod clock;
pub mod http2;
pub mod ill;
pub mod program;
pub mod raw;
pub mod volume;
