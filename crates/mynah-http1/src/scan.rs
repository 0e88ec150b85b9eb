//! Finding the end of a head.

use memchr::memchr2;

use crate::{HeadError, Limits};

/// Looks for the empty line that ends a head, and remembers how far it got: bytes that trickle in are looked at once.
///
/// One scanner finds one head; the next head gets a new one.
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

    /// Whether nothing was looked at yet.
    pub fn is_new(&self) -> bool {
        self.seen == 0
    }

    /// The length of the head, if `buf`, which starts where the head does and never shrinks, has all of it.
    ///
    /// Line ends other than CRLF are an error as soon as they are there, and so is a head that passes a limit. Which error
    /// it is does not depend on how the bytes were cut into reads: the first byte that is one too many decides.
    pub fn scan(&mut self, buf: &[u8], limits: &Limits) -> Result<Option<usize>, HeadError> {
        while let Some(at) = memchr2(b'\r', b'\n', &buf[self.seen..]).map(|at| self.seen + at) {
            self.check(limits, at, at + 1)?;
            if buf[at] == b'\n' {
                return Err(HeadError::BareLineFeed);
            }
            match buf.get(at + 1) {
                Some(b'\n') => {}
                Some(_) => return Err(HeadError::BareCarriageReturn),
                None => {
                    self.seen = at;
                    return Ok(None);
                }
            }
            let end = at + 2;
            self.check(limits, at, end)?;
            if at == self.line {
                return if self.lines > 0 {
                    Ok(Some(end))
                } else {
                    Err(HeadError::StartLine)
                };
            }
            self.lines += 1;
            self.seen = end;
            self.line = end;
            if self.lines > limits.fields.saturating_add(1) {
                return Err(HeadError::TooManyFields);
            }
        }
        self.seen = buf.len();
        self.check(limits, buf.len(), buf.len())?;
        Ok(None)
    }

    /// `line_end` is where the current line ends so far, `seen` where what was looked at ends.
    fn check(&self, limits: &Limits, line_end: usize, seen: usize) -> Result<(), HeadError> {
        if self.lines == 0 && line_end > limits.request_line && limits.request_line <= limits.head {
            Err(HeadError::RequestLineTooLong)
        } else if seen > limits.head {
            Err(HeadError::HeadTooLong)
        } else {
            Ok(())
        }
    }
}
