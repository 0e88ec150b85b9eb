//! HTTP/2 at both ends: scripts of what happens on the streams of a connection, and frames written by hand.

mod play;
mod script;
mod wire;

pub use self::play::{Exchanged, play};
pub use self::script::{Script, fields, get, post, response, script};
pub use self::wire::{Frame, RawClient, data, frame, header_block, headers};
