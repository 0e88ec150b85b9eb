//! Applications, mirrors, proxies and clients for the tests of Mynah.

pub mod app;
pub mod binary;
pub mod ill;
pub mod raw;
