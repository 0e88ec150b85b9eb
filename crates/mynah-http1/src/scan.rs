//! Finding the end of a head.

use memchr::memchr;

use crate::{HeadError, Limits};

/// Looks for the empty line that ends a head, and remembers how far it got: bytes that trickle in are looked at once.
#[derive(Debug, Clone, Default)]
pub struct HeadScanner {
    /// Bytes looked at.
    seen: usize,
    /// Lines that ended among them.
    lines: usize,
    /// Where the current line starts.
    line: usize,
}

impl HeadScanner {
    /// A scanner at the start of a head.
    pub fn new() -> Self {
        Self::default()
    }

    /// The length of the head, if `buf`, which starts where the head does and never shrinks, has all of it. Line ends
    /// other than CRLF are an error as soon as they are there, and so is a head that passes a limit.
    pub fn scan(&mut self, buf: &[u8], limits: &Limits) -> Result<Option<usize>, HeadError> {
        while let Some(at) = memchr(b'\n', &buf[self.seen..]).map(|at| self.seen + at) {
            if at == 0 || buf[at - 1] != b'\r' {
                return Err(HeadError::BareLineFeed);
            }
            let empty = at == self.line + 1;
            self.seen = at + 1;
            self.check(limits, at - 1)?;
            if empty && self.lines > 0 {
                return Ok(Some(at + 1));
            }
            self.line = at + 1;
            self.lines += 1;
        }
        self.seen = buf.len();
        self.check(limits, buf.len())?;
        Ok(None)
    }

    /// `end` is where the current line ends so far.
    fn check(&self, limits: &Limits, end: usize) -> Result<(), HeadError> {
        if self.lines == 0 && end > limits.request_line {
            Err(HeadError::RequestLineTooLong)
        } else if self.seen > limits.head {
            Err(HeadError::HeadTooLong)
        } else if self.lines > limits.fields + 1 {
            Err(HeadError::TooManyFields)
        } else {
            Ok(())
        }
    }
}
