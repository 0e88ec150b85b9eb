//! An HTTP/2 application, or mirror: answers every request with the same few bytes. It reads frame headers (RFC 9113 §4.1)
//! and decodes no fields, because it needs none.

use std::io;
use std::net::TcpStream;

use super::write_some;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// SETTINGS: streams at once 1,000, and windows of a megabyte.
const GREETING: &[u8] = &[
    0, 0, 12, SETTINGS, 0, 0, 0, 0, 0, 0, 3, 0, 0, 3, 0xe8, 0, 4, 0, 0x10, 0, 0,
];
/// `:status 200`, `content-type: application/json`, without the dynamic table (RFC 7541 §6).
const FIELDS: &[u8] = b"\x88\x0f\x10\x10application/json\x0f\x0d\x03256";
const BODY: [u8; 256] = [b'x'; 256];

/// One connection.
#[derive(Default)]
pub(super) struct Server {
    greeted: bool,
    unread: Vec<u8>,
    waiting: Vec<u8>,
    held: std::collections::VecDeque<u32>,
}

impl Server {
    /// Requests that have ended within these bytes; they are answered unless they are to be held.
    pub(super) fn read(&mut self, bytes: &[u8], to: &TcpStream, hold: bool) -> io::Result<u64> {
        let whole;
        let mut rest = if self.unread.is_empty() {
            bytes
        } else {
            self.unread.extend_from_slice(bytes);
            whole = std::mem::take(&mut self.unread);
            &whole
        };
        if !self.greeted {
            if rest.len() < PREFACE.len() {
                self.unread = rest.to_vec();
                return Ok(0);
            }
            rest = &rest[PREFACE.len()..];
            self.waiting.extend_from_slice(GREETING);
            self.greeted = true;
        }
        let mut ended = 0;
        let mut data = 0;
        while let Some((head, behind)) = rest.split_at_checked(9) {
            let len = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let Some((payload, behind)) = behind.split_at_checked(len) else {
                break;
            };
            let (kind, flags) = (head[3], head[4]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            match kind {
                SETTINGS if flags & ACK == 0 => self.waiting.extend_from_slice(&[0, 0, 0, SETTINGS, ACK, 0, 0, 0, 0]),
                PING if flags & ACK == 0 => {
                    self.waiting.extend_from_slice(&[0, 0, 8, PING, ACK, 0, 0, 0, 0]);
                    self.waiting.extend_from_slice(payload);
                }
                HEADERS | DATA => {
                    data += if kind == DATA { len as u32 } else { 0 };
                    if flags & END_STREAM != 0 {
                        ended += 1;
                        if hold {
                            self.held.push_back(stream);
                        } else {
                            self.answer(stream);
                        }
                    }
                }
                _ => {}
            }
            rest = behind;
        }
        if data > 0 {
            // WINDOW_UPDATE for the connection.
            self.waiting.extend_from_slice(&[0, 0, 4, 8, 0, 0, 0, 0, 0]);
            self.waiting.extend_from_slice(&data.to_be_bytes());
        }
        self.unread = rest.to_vec();
        self.write(to)?;
        Ok(ended)
    }

    /// Answers the request that was held longest.
    pub(super) fn answer_held(&mut self, to: &TcpStream) -> io::Result<()> {
        if let Some(stream) = self.held.pop_front() {
            self.answer(stream);
        }
        self.write(to)
    }

    fn answer(&mut self, stream: u32) {
        for (kind, flags, payload) in [(HEADERS, END_HEADERS, FIELDS), (DATA, END_STREAM, &BODY[..])] {
            let len = payload.len() as u32;
            self.waiting.extend_from_slice(&len.to_be_bytes()[1..]);
            self.waiting.extend_from_slice(&[kind, flags]);
            self.waiting.extend_from_slice(&stream.to_be_bytes());
            self.waiting.extend_from_slice(payload);
        }
    }

    /// Goes on with what is to be said.
    pub(super) fn write(&mut self, to: &TcpStream) -> io::Result<()> {
        if !self.waiting.is_empty() {
            let n = write_some(to, &self.waiting)?;
            self.waiting.drain(..n);
        }
        Ok(())
    }
}
