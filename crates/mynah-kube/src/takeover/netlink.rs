//! Netlink, as far as it is needed: messages of attributes, sent to the kernel, each answered by success or an error code.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

/// `NLM_F_REQUEST`, `NLM_F_ACK`: a request that wants an answer.
const REQUEST: u16 = 0x1 | 0x4;
/// `NLM_F_CREATE`
pub(crate) const CREATE: u16 = 0x400;
/// `NLM_F_EXCL`
pub(crate) const EXCLUSIVE: u16 = 0x200;
/// `NLM_F_APPEND`
pub(crate) const APPEND: u16 = 0x800;
/// `NLMSG_ERROR`; with code 0 it says that all went well.
const ANSWER: u16 = 2;
/// `NLA_F_NESTED`
const NESTED: u16 = 0x8000;
/// Length, type, flags, sequence number, port.
const HEADER: usize = 16;
/// The kernel answers at once; past this something is wrong.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a request was not fulfilled.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The kernel cannot be spoken to.
    #[error("cannot speak to the kernel: {0}")]
    Socket(io::Error),
    /// The kernel said no.
    #[error("the kernel refused: {0}")]
    Refused(io::Error),
}

impl NetlinkError {
    /// The system's error.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Socket(error) | Self::Refused(error) => error,
        }
    }

    /// The code of a refusal.
    pub(crate) fn code(&self) -> Option<i32> {
        match self {
            Self::Refused(error) => error.raw_os_error(),
            Self::Socket(_) => None,
        }
    }
}

/// Attributes, one after the other, each padded to four bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    /// Adds one.
    pub(crate) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(4 + value.len()).expect("attributes of ours are short");
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        pad(&mut self.0);
        self
    }

    /// A number in the order of the network.
    pub(crate) fn big(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// A number in the order of this machine.
    pub(crate) fn native(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// A text with its closing zero.
    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// Attributes in an attribute.
    pub(crate) fn nested(self, kind: u16, inner: Self) -> Self {
        self.bytes(kind | NESTED, &inner.0)
    }
}

/// Messages that go out together.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    bytes: Vec<u8>,
    /// How many answers are to come.
    answers: usize,
    sequence: u32,
}

impl Messages {
    /// A message that the kernel answers.
    pub(crate) fn request(self, kind: u16, flags: u16, family_header: &[u8], attributes: &Attributes) -> Self {
        let mut messages = self.message(kind, REQUEST | flags, family_header, attributes);
        messages.answers += 1;
        messages
    }

    /// A message that it does not answer, such as those around a batch.
    pub(crate) fn silent(self, kind: u16, family_header: &[u8]) -> Self {
        self.message(kind, 0x1, family_header, &Attributes::default())
    }

    fn message(mut self, kind: u16, flags: u16, family_header: &[u8], attributes: &Attributes) -> Self {
        let length = HEADER + family_header.len() + attributes.0.len();
        self.bytes
            .extend(u32::try_from(length).expect("messages of ours are short").to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend(self.sequence.to_ne_bytes());
        self.bytes.extend(0_u32.to_ne_bytes());
        self.bytes.extend(family_header);
        self.bytes.extend(&attributes.0);
        pad(&mut self.bytes);
        self.sequence += 1;
        self
    }

    /// Sends them and waits for every answer; the first error counts.
    pub(crate) fn send(self, protocol: Option<Protocol>) -> Result<(), NetlinkError> {
        let socket = open(protocol).map_err(NetlinkError::Socket)?;
        let kernel = SocketAddrNetlink::new(0, 0);
        sendto(&socket, &self.bytes, SendFlags::empty(), &kernel)
            .map_err(|error| NetlinkError::Socket(error.into()))?;
        let mut buffer = vec![0; 64 * 1024];
        let mut answers = self.answers;
        while answers > 0 {
            let (read, _) =
                recv(&socket, &mut buffer, RecvFlags::empty()).map_err(|error| NetlinkError::Socket(error.into()))?;
            for code in codes(&buffer[..read]) {
                if code != 0 {
                    return Err(NetlinkError::Refused(io::Error::from_raw_os_error(-code)));
                }
                answers = answers.saturating_sub(1);
            }
        }
        Ok(())
    }
}

fn open(protocol: Option<Protocol>) -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    Ok(socket)
}

/// The codes of the answers in what was read.
fn codes(mut bytes: &[u8]) -> Vec<i32> {
    let mut codes = Vec::new();
    let four = |bytes: &[u8], at: usize| bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    while let Some(length) = four(bytes, 0).map(u32::from_ne_bytes) {
        let kind = bytes
            .get(4..6)
            .and_then(|two| two.try_into().ok())
            .map(u16::from_ne_bytes);
        if kind == Some(ANSWER)
            && let Some(code) = four(bytes, HEADER).map(i32::from_ne_bytes)
        {
            codes.push(code);
        }
        let next = (length as usize).next_multiple_of(4);
        if next == 0 || next > bytes.len() {
            break;
        }
        bytes = &bytes[next..];
    }
    codes
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_say_their_length_and_are_padded() {
        let attributes = Attributes::default()
            .text(1, "ab")
            .nested(2, Attributes::default().big(3, 7));
        let mut expected = Vec::new();
        expected.extend([7_u16.to_ne_bytes(), 1_u16.to_ne_bytes()].concat());
        expected.extend(*b"ab\0\0");
        expected.extend(
            [
                12_u16.to_ne_bytes(),
                0x8002_u16.to_ne_bytes(),
                8_u16.to_ne_bytes(),
                3_u16.to_ne_bytes(),
            ]
            .concat(),
        );
        expected.extend([0, 0, 0, 7]);
        assert_eq!(attributes.0, expected);
    }

    #[test]
    fn an_answer_that_is_cut_short_ends_the_reading() {
        let mut answer = Vec::new();
        answer.extend(36_u32.to_ne_bytes());
        answer.extend([ANSWER.to_ne_bytes(), [0; 2]].concat());
        answer.extend([0; 8]);
        answer.extend((-1_i32).to_ne_bytes());
        assert_eq!(codes(&answer), [-1]);
        assert!(codes(&answer[..18]).is_empty());
        assert!(codes(&[0; 16]).is_empty());
    }
}
