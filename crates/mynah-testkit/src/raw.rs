//! Scripts of bytes between a client and an application, over TCP, with nothing interpreted in between.
//!
//! A [`Script`] says what each end sends, in one sequence. Unless it says otherwise, a step is over when the other end has
//! received every byte of it, so a script that plays to its end also shows that nothing was held back. An end that
//! receives anything that is not due, or ends in another way than it should, fails the script at once. The same script is
//! played over a direct connection and through whatever is under test: what both ends receive is then equal, byte for
//! byte, but for the differences that the script itself declares.

mod collector;
mod end;
mod message;
mod play;
mod relay;
mod script;

pub use self::collector::{Collector, Copy};
pub use self::end::{End, Ended};
pub use self::message::{Read, Request, read_request, requests};
pub use self::play::{Mismatch, Played, play};
pub use self::relay::Relay;
pub use self::script::{Script, script};

/// Bytes for a message to a person: escaped, and cut in the middle when there are many.
pub fn show(bytes: &[u8]) -> String {
    const ENDS: usize = 300;
    if bytes.len() <= 3 * ENDS {
        return format!("\"{}\"", bytes.escape_ascii());
    }
    format!(
        "\"{}\" … {} bytes … \"{}\"",
        bytes[..ENDS].escape_ascii(),
        bytes.len() - 2 * ENDS,
        bytes[bytes.len() - ENDS..].escape_ascii()
    )
}
