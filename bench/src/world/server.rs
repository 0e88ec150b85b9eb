//! An HTTP/1 application, or mirror: counts requests and answers each with the same few bytes, or with many.

use std::io;
use std::net::TcpStream;

use memchr::memmem;

use super::client::TRANSFER;
use super::write_some;

/// The answer to a small request: what an API says, with its usual fields.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Date: Mon, 02 Nov 2026 10:00:00 GMT\r\n\
    Content-Type: application/json; charset=utf-8\r\n\
    Content-Length: 256\r\n\
    Cache-Control: private, max-age=0\r\n\
    X-Request-Id: 3c2f1c9e-9a57-4e0f-8d3f-0b9b2b1f7a51\r\n\
    \r\n\
    {\"id\":\"10442\",\"name\":\"mynah\",\"tags\":[\"bird\",\"loud\"],\"note\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}";
/// How the path of a download starts.
pub(super) const DOWNLOAD: &[u8] = b"/download";
static BLOCK: [u8; 256 * 1024] = [b'd'; 256 * 1024];

/// One connection.
#[derive(Default)]
pub(super) struct Server {
    /// Part of a head.
    head: Vec<u8>,
    /// Of the request's body.
    body_left: u64,
    /// The body ends when its last chunk has come; its last bytes so far.
    chunked: Option<Vec<u8>>,
    downloads: u64,
    /// Of the answer.
    waiting: Vec<u8>,
    download_left: u64,
}

impl Server {
    /// Requests that have ended within these bytes.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> u64 {
        let mut ended = 0;
        while !bytes.is_empty() {
            if self.body_left > 0 {
                let n = self.body_left.min(bytes.len() as u64);
                self.body_left -= n;
                bytes = &bytes[n as usize..];
                ended += u64::from(self.body_left == 0);
            } else if let Some(tail) = &mut self.chunked {
                // Nothing follows a chunked request before it is answered.
                tail.extend_from_slice(&bytes[bytes.len().saturating_sub(5)..]);
                tail.drain(..tail.len().saturating_sub(5));
                if tail == b"0\r\n\r\n" {
                    self.chunked = None;
                    ended += 1;
                }
                bytes = &[];
            } else if self.head.is_empty()
                && let Some(end) = memmem::find(bytes, b"\r\n\r\n")
            {
                ended += u64::from(self.begin(&bytes[..end + 4]));
                bytes = &bytes[end + 4..];
            } else {
                let before = self.head.len();
                self.head.extend_from_slice(bytes);
                let Some(end) = memmem::find(&self.head, b"\r\n\r\n") else {
                    break;
                };
                let head = std::mem::take(&mut self.head);
                ended += u64::from(self.begin(&head[..end + 4]));
                bytes = &bytes[end + 4 - before..];
            }
        }
        ended
    }

    /// Whether the request ends with its head.
    fn begin(&mut self, head: &[u8]) -> bool {
        let target = head.split(|b| *b == b' ').nth(1).unwrap_or_default();
        self.downloads += u64::from(target.starts_with(DOWNLOAD));
        if head.starts_with(b"GET ") {
            return true;
        }
        self.body_left = field(head, b"content-length:")
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        if field(head, b"transfer-encoding:").is_some() {
            self.chunked = Some(Vec::new());
        }
        self.body_left == 0 && self.chunked.is_none()
    }

    /// Answers so many requests.
    pub(super) fn answer(&mut self, to: &TcpStream, requests: u64) -> io::Result<()> {
        for _ in 0..requests {
            if self.downloads > 0 {
                self.downloads -= 1;
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {TRANSFER}\r\n\r\n");
                self.waiting.extend_from_slice(head.as_bytes());
                self.download_left += TRANSFER;
            } else if self.waiting.is_empty() {
                let n = write_some(to, ANSWER)?;
                self.waiting.extend_from_slice(&ANSWER[n..]);
            } else {
                self.waiting.extend_from_slice(ANSWER);
            }
        }
        self.write(to)
    }

    /// Goes on with the answer.
    pub(super) fn write(&mut self, to: &TcpStream) -> io::Result<()> {
        if !self.waiting.is_empty() {
            let n = write_some(to, &self.waiting)?;
            self.waiting.drain(..n);
        }
        while self.waiting.is_empty() && self.download_left > 0 {
            let n = write_some(to, &BLOCK[..BLOCK.len().min(self.download_left as usize)])?;
            if n == 0 {
                break;
            }
            self.download_left -= n as u64;
        }
        Ok(())
    }
}

/// The value of a field, by its name in small letters with the colon.
pub(super) fn field(head: &[u8], name: &[u8]) -> Option<String> {
    head.split(|b| *b == b'\n')
        .find(|line| {
            line.get(..name.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(name))
        })
        .map(|line| String::from_utf8_lossy(&line[name.len()..]).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_however_they_are_cut() {
        let requests = b"GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n";
        for cut in 0..requests.len() {
            let mut server = Server::default();
            let ended = server.read(&requests[..cut]) + server.read(&requests[cut..]);
            assert_eq!(ended, 3, "cut at {cut}");
        }
    }

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let end = memmem::find(ANSWER, b"\r\n\r\n").unwrap() + 4;
        assert_eq!(ANSWER.len() - end, 256);
    }
}
