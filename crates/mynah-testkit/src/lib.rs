//! Applications, mirrors, proxies and clients for the tests of Mynah.

pub mod binary;
pub mod raw;
