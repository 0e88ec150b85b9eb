//! The limit: what a mirror costs that reads no HTTP. For each client one connection to the application and one to the
//! mirror; bytes of the client's go to both, bytes of the application's to the client, bytes of the mirror's nowhere.
//!
//! Edge-triggered, one read and the writes it causes for each event, no allocation: whoever does HTTP as well can hardly be
//! cheaper. It does without everything a real mirror needs: a mirror that does not take its bytes loses them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, bail};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};

const LISTENER: u64 = u64::MAX;
const READ: usize = 64 * 1024;
const EDGES: EventFlags = EventFlags::IN
    .union(EventFlags::OUT)
    .union(EventFlags::RDHUP)
    .union(EventFlags::ET);

/// Sides of a connection; an event's number is three times the connection's plus the side.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Upstream,
    Mirror,
}

struct Triple {
    client: TcpStream,
    upstream: TcpStream,
    mirror: Option<TcpStream>,
    /// What a side has not taken yet; the other is not read meanwhile.
    to_upstream: Vec<u8>,
    to_client: Vec<u8>,
}

/// `limit LISTEN UPSTREAM [MIRROR]`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [listen, upstream, mirror @ ..] = arguments else {
        bail!("usage: mynah-bench limit LISTEN UPSTREAM [MIRROR]");
    };
    let listener = TcpListener::bind(listen).with_context(|| listen.clone())?;
    listener.set_nonblocking(true)?;
    let mut copier = Copier {
        epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        upstream: upstream.parse()?,
        mirror: mirror.first().map(|mirror| mirror.parse()).transpose()?,
        triples: Vec::new(),
        free: Vec::new(),
        buffer: vec![0; READ],
    };
    epoll::add(&copier.epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut events = Vec::with_capacity(256);
    loop {
        epoll::wait(&copier.epoll, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let epoll::Event { data, flags } = event;
            if data.u64() == LISTENER {
                copier.accept(&listener);
            } else {
                copier.handle(data.u64(), flags);
            }
        }
    }
}

struct Copier {
    epoll: OwnedFd,
    upstream: SocketAddr,
    mirror: Option<SocketAddr>,
    triples: Vec<Option<Triple>>,
    free: Vec<usize>,
    buffer: Vec<u8>,
}

impl Copier {
    fn accept(&mut self, listener: &TcpListener) {
        while let Ok((client, _)) = listener.accept() {
            let index = self.free.pop().unwrap_or_else(|| {
                self.triples.push(None);
                self.triples.len() - 1
            });
            match self.open(client, index) {
                Ok(triple) => self.triples[index] = Some(triple),
                Err(_) => self.free.push(index),
            }
        }
    }

    fn open(&self, client: TcpStream, index: usize) -> io::Result<Triple> {
        let upstream = TcpStream::connect(self.upstream)?;
        let mirror = self.mirror.and_then(|mirror| TcpStream::connect(mirror).ok());
        let sides = [Some(&client), Some(&upstream), mirror.as_ref()];
        for (side, stream) in sides.into_iter().enumerate() {
            let Some(stream) = stream else { continue };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            epoll::add(
                &self.epoll,
                stream,
                EventData::new_u64((index * 3 + side) as u64),
                EDGES,
            )?;
        }
        Ok(Triple {
            client,
            upstream,
            mirror,
            to_upstream: Vec::new(),
            to_client: Vec::new(),
        })
    }

    fn handle(&mut self, number: u64, flags: EventFlags) {
        let index = number as usize / 3;
        let side = [Side::Client, Side::Upstream, Side::Mirror][number as usize % 3];
        let Some(triple) = &mut self.triples[index] else { return };
        let ended = match side {
            Side::Client => {
                let resumed = flags.contains(EventFlags::OUT) && !triple.to_client.is_empty();
                let ended = resumed && flush(&triple.client, &mut triple.to_client).is_err();
                ended
                    || resumed && triple.pass_back(&mut self.buffer).is_err()
                    || flags.contains(EventFlags::IN) && triple.pass_on(&mut self.buffer).is_err()
            }
            Side::Upstream => {
                let resumed = flags.contains(EventFlags::OUT) && !triple.to_upstream.is_empty();
                let ended = resumed && flush(&triple.upstream, &mut triple.to_upstream).is_err();
                ended
                    || resumed && triple.pass_on(&mut self.buffer).is_err()
                    || flags.contains(EventFlags::IN) && triple.pass_back(&mut self.buffer).is_err()
            }
            Side::Mirror => {
                triple.discard(&mut self.buffer);
                false
            }
        };
        if ended {
            self.triples[index] = None;
            self.free.push(index);
        }
    }
}

impl Triple {
    /// From the client to the other two, until there is no more or the application takes no more.
    fn pass_on(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        while self.to_upstream.is_empty() {
            let n = match (&self.client).read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            write(&self.upstream, &buffer[..n], &mut self.to_upstream)?;
            if let Some(mirror) = &self.mirror
                && (&*mirror).write(&buffer[..n]).ok() != Some(n)
            {
                self.mirror = None;
            }
            if n < buffer.len() {
                break;
            }
        }
        Ok(())
    }

    fn pass_back(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        while self.to_client.is_empty() {
            let n = match (&self.upstream).read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            write(&self.client, &buffer[..n], &mut self.to_client)?;
            if n < buffer.len() {
                break;
            }
        }
        Ok(())
    }

    fn discard(&mut self, buffer: &mut [u8]) {
        let Some(mut mirror) = self.mirror.as_ref() else { return };
        match mirror.read(buffer) {
            Ok(0) => self.mirror = None,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => self.mirror = None,
            _ => {}
        }
    }
}

/// Writes what the socket takes and keeps the rest.
fn write(mut to: &TcpStream, bytes: &[u8], rest: &mut Vec<u8>) -> io::Result<()> {
    let n = match to.write(bytes) {
        Ok(n) => n,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
        Err(error) => return Err(error),
    };
    rest.extend_from_slice(&bytes[n..]);
    Ok(())
}

fn flush(mut to: &TcpStream, rest: &mut Vec<u8>) -> io::Result<()> {
    match to.write(rest) {
        Ok(n) => {
            rest.drain(..n);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}
