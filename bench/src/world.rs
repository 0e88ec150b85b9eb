//! Everything that is not the contender: clients, the application and the mirror, in one thread and one event loop.
//!
//! One thread, because on a small machine three programs would cost more in switching than in work; and no HTTP library,
//! because the more this side does for a request, the less it can ask of a fast contender.

mod client;
mod http2;
mod ill;
mod server;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::{TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use socket2::SockRef;

pub(crate) use self::client::{Ask, TRANSFER};
pub(crate) use self::ill::Mirror;
use crate::process::Process;

const APPLICATION: u64 = u64::MAX;
const MIRROR: u64 = u64::MAX - 1;
const TIMER: u64 = u64::MAX - 2;
const BUFFER: usize = 256 * 1024;
const EDGES: EventFlags = EventFlags::IN
    .union(EventFlags::OUT)
    .union(EventFlags::RDHUP)
    .union(EventFlags::ET);

/// How clients ask.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Load {
    /// So many clients, each asking again as soon as it is answered.
    Closed(usize),
    /// So many requests per second over up to so many clients, whatever the answers do; latency counts from the moment at
    /// which a request was due.
    Open(u32, usize),
    /// None: something else asks.
    Elsewhere,
}

/// What one measurement showed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measured {
    /// Requests answered well.
    pub(crate) requests: u64,
    /// Requests that the application has answered.
    pub(crate) served: u64,
    /// Copies that the mirror has seen whole.
    pub(crate) copies: u64,
    /// Answers that were wrong or never came because the connection ended.
    pub(crate) errors: u64,
    pub(crate) seconds: f64,
    /// Microseconds, sorted.
    pub(crate) latencies: Vec<u32>,
    /// Of the contender's process.
    pub(crate) cpu: Duration,
    /// KiB.
    pub(crate) peak_rss: u64,
}

impl Measured {
    /// Latency that a share (0 to 1) of the requests stayed within, in microseconds.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let last = self.latencies.len().checked_sub(1)?;
        self.latencies
            .get((last as f64 * share) as usize)
            .map(|&us| f64::from(us))
    }

    /// Microseconds of processor time for each request that the application has answered.
    pub(crate) fn cpu_per_request(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.served.max(1) as f64
    }
}

/// The loop and all its connections.
pub(crate) struct World {
    epoll: OwnedFd,
    timer: OwnedFd,
    application: TcpListener,
    mirror: Option<TcpListener>,
    mirror_is: Mirror,
    mirror_address: SocketAddr,
    /// Fills the mirror's queue where nobody may connect.
    _crowd: Vec<TcpStream>,
    http2: bool,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    buffer: Vec<u8>,
    /// Answers that are due later, in order.
    later: VecDeque<(Instant, usize)>,
    clients: client::Clients,
    served: u64,
    copies: u64,
}

struct Connection {
    stream: TcpStream,
    role: Role,
}

enum Role {
    Client(client::Client),
    Application(server::Server),
    Mirror(server::Server),
    Http2 {
        peer: http2::Server,
        mirror: bool,
    },
    /// It is accepted and nothing more.
    Ignored,
}

impl World {
    /// An application and a mirror, listening.
    pub(crate) fn new(mirror_is: Mirror, http2: bool) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer = rustix::time::timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        let application = listen(4096)?;
        epoll::add(&epoll, &application, EventData::new_u64(APPLICATION), EventFlags::IN)?;
        let ill::Place {
            listener,
            address,
            crowd,
        } = mirror_is.place()?;
        if let Some(listener) = &listener
            && mirror_is.accepts()
        {
            epoll::add(&epoll, listener, EventData::new_u64(MIRROR), EventFlags::IN)?;
        }
        Ok(Self {
            epoll,
            timer,
            application,
            mirror: listener,
            mirror_is,
            mirror_address: address,
            _crowd: crowd,
            http2,
            connections: Vec::new(),
            free: Vec::new(),
            buffer: vec![0; BUFFER],
            later: VecDeque::new(),
            clients: client::Clients::default(),
            served: 0,
            copies: 0,
        })
    }

    /// Where the application listens.
    pub(crate) fn application(&self) -> Result<SocketAddr> {
        Ok(self.application.local_addr()?)
    }

    /// Where the mirror listens, or does not.
    pub(crate) fn mirror(&self) -> SocketAddr {
        self.mirror_address
    }

    /// Asks for `warm_up` and then for `duration`, of which it tells.
    pub(crate) fn measure(
        &mut self,
        proxy: SocketAddr,
        process: Process,
        ask: Ask,
        load: Load,
        warm_up: Duration,
        duration: Duration,
    ) -> Result<Measured> {
        self.clients = client::Clients::new(proxy, ask, load);
        for _ in 0..self.clients.count() {
            self.add_client()?;
        }
        self.run_until(Instant::now() + warm_up, u64::MAX)?;
        let before = (process.cpu(), self.served, self.copies);
        self.clients.forget();
        let started = Instant::now();
        self.run_until(started + duration, u64::MAX)?;
        let seconds = started.elapsed().as_secs_f64();
        Ok(self.told(process, before, seconds))
    }

    /// Asks so many times over so many clients, or for as long as `at_most`.
    pub(crate) fn transfer(
        &mut self,
        proxy: SocketAddr,
        process: Process,
        ask: Ask,
        clients: usize,
        times: u64,
        at_most: Duration,
    ) -> Result<Measured> {
        self.clients = client::Clients::new(proxy, ask, Load::Closed(clients));
        let before = (process.cpu(), self.served, self.copies);
        let started = Instant::now();
        for _ in 0..clients {
            self.add_client()?;
        }
        self.run_until(started + at_most, times)?;
        let seconds = started.elapsed().as_secs_f64();
        Ok(self.told(process, before, seconds))
    }

    /// Connects so many clients, a few at a time, lets each ask once or not at all, and leaves them open.
    pub(crate) fn crowd(&mut self, proxy: SocketAddr, clients: usize, asking: bool) -> Result<()> {
        const AT_ONCE: usize = 32;
        self.clients = client::Clients::new(proxy, Ask::Small, Load::Open(1, 0));
        for n in (0..clients).step_by(AT_ONCE) {
            let more = AT_ONCE.min(clients - n);
            for _ in 0..more {
                self.add_client()?;
            }
            if asking {
                let due = Instant::now();
                self.clients.due.extend(std::iter::repeat_n(due, more));
                self.send_due()?;
                let until = self.clients.answered + more as u64;
                self.run_until(due + Duration::from_secs(10), until)?;
            } else {
                self.run_until(Instant::now() + Duration::from_millis(2), u64::MAX)?;
            }
        }
        Ok(())
    }

    /// Goes on without asking.
    pub(crate) fn rest(&mut self, duration: Duration) -> Result<()> {
        self.run_until(Instant::now() + duration, u64::MAX)
    }

    fn told(&mut self, process: Process, before: (Duration, u64, u64), seconds: f64) -> Measured {
        let mut latencies = std::mem::take(&mut self.clients.latencies);
        latencies.sort_unstable();
        Measured {
            requests: self.clients.answered,
            served: self.served - before.1,
            copies: self.copies - before.2,
            errors: self.clients.errors,
            seconds,
            latencies,
            cpu: process.cpu().saturating_sub(before.0),
            peak_rss: process.peak_rss(),
        }
    }

    fn run_until(&mut self, end: Instant, answers: u64) -> Result<()> {
        let mut events = Vec::with_capacity(512);
        loop {
            let now = Instant::now();
            if now >= end || self.clients.answered >= answers {
                return Ok(());
            }
            self.answer_later(now)?;
            self.clients.count_due(now);
            self.send_due()?;
            self.set_timer(now, end)?;
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in events.drain(..) {
                let epoll::Event { data, flags } = event;
                match data.u64() {
                    APPLICATION => self.accept(true)?,
                    MIRROR => self.accept(false)?,
                    TIMER => {
                        let mut expirations = [0; 8];
                        let _ = rustix::io::read(&self.timer, &mut expirations);
                    }
                    index => self.handle(index as usize, flags)?,
                }
            }
        }
    }

    fn set_timer(&self, now: Instant, end: Instant) -> Result<()> {
        let later = self.later.front().map(|(at, _)| *at);
        let at = [later, self.clients.next_due(), Some(end)]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(end);
        let wait = at.saturating_duration_since(now).max(Duration::from_micros(1));
        let value = Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let timer = rustix::time::Itimerspec {
            it_interval: never,
            it_value: value,
        };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &timer)?;
        Ok(())
    }

    fn accept(&mut self, application: bool) -> Result<()> {
        loop {
            let listener = if application {
                Some(&self.application)
            } else {
                self.mirror.as_ref()
            };
            let Some(Ok((stream, _))) = listener.map(TcpListener::accept) else {
                return Ok(());
            };
            let role = match (application, self.mirror_is) {
                (false, Mirror::Resets) => {
                    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                    continue;
                }
                (false, Mirror::NeverReads) => Role::Ignored,
                _ if self.http2 => Role::Http2 {
                    peer: http2::Server::default(),
                    mirror: !application,
                },
                (true, _) => Role::Application(server::Server::default()),
                (false, _) => Role::Mirror(server::Server::default()),
            };
            self.add(stream, role)?;
        }
    }

    fn add(&mut self, stream: TcpStream, role: Role) -> Result<usize> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let index = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        epoll::add(&self.epoll, &stream, EventData::new_u64(index as u64), EDGES)?;
        self.connections[index] = Some(Connection { stream, role });
        Ok(index)
    }

    fn add_client(&mut self) -> Result<()> {
        let stream = TcpStream::connect(self.clients.proxy).context("the contender refuses clients")?;
        let index = self.add(stream, Role::Client(client::Client::default()))?;
        self.clients.idle.push(index);
        Ok(())
    }

    fn send_due(&mut self) -> Result<()> {
        while let Some((index, due)) = self.clients.next() {
            if let Some(Connection {
                stream,
                role: Role::Client(client),
            }) = &mut self.connections[index]
                && client.begin(stream, self.clients.ask, due).is_err()
            {
                self.lost(index)?;
            }
        }
        Ok(())
    }

    fn answer_later(&mut self, now: Instant) -> Result<()> {
        while let Some((_, index)) = self.later.pop_front_if(|(at, _)| *at <= now) {
            let Some(connection) = &mut self.connections[index] else {
                continue;
            };
            let answered = match &mut connection.role {
                Role::Mirror(server) => server.answer(&connection.stream, 1),
                Role::Http2 { peer, .. } => peer.answer_held(&connection.stream),
                _ => Ok(()),
            };
            if answered.is_err() {
                self.lost(index)?;
            }
        }
        Ok(())
    }

    fn handle(&mut self, index: usize, flags: EventFlags) -> Result<()> {
        let slow = match self.mirror_is {
            Mirror::Slow(delay) => Some(delay),
            _ => None,
        };
        let mute = matches!(self.mirror_is, Mirror::NeverAnswers);
        let Some(connection) = &mut self.connections[index] else {
            return Ok(());
        };
        let stream = &connection.stream;
        let readable = flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let writable = flags.contains(EventFlags::OUT);
        let mut idle = false;
        let done = match &mut connection.role {
            Role::Ignored => Ok(()),
            Role::Client(client) => {
                let asked = if writable { client.write(stream) } else { Ok(()) };
                asked.and_then(|()| {
                    if !readable {
                        return Ok(());
                    }
                    read(stream, &mut self.buffer, |bytes| {
                        if let Some(took) = client.read(bytes)? {
                            self.clients.answered += 1;
                            self.clients.latencies.push(took.as_micros() as u32);
                            idle = true;
                        }
                        Ok(())
                    })
                })
            }
            Role::Application(server) => {
                let served = &mut self.served;
                let written = if writable { server.write(stream) } else { Ok(()) };
                written.and_then(|()| {
                    if !readable {
                        return Ok(());
                    }
                    read(stream, &mut self.buffer, |bytes| {
                        let requests = server.read(bytes);
                        *served += requests;
                        server.answer(stream, requests)
                    })
                })
            }
            Role::Mirror(server) => {
                let copies = &mut self.copies;
                let later = &mut self.later;
                let written = if writable { server.write(stream) } else { Ok(()) };
                written.and_then(|()| {
                    if !readable {
                        return Ok(());
                    }
                    read(stream, &mut self.buffer, |bytes| {
                        let requests = server.read(bytes);
                        *copies += requests;
                        match slow {
                            _ if mute => Ok(()),
                            None => server.answer(stream, requests),
                            Some(delay) => {
                                let at = Instant::now() + delay;
                                (0..requests).for_each(|_| later.push_back((at, index)));
                                Ok(())
                            }
                        }
                    })
                })
            }
            Role::Http2 { peer, mirror } => {
                let count = if *mirror { &mut self.copies } else { &mut self.served };
                let hold = *mirror && (mute || slow.is_some());
                let later = &mut self.later;
                let written = if writable { peer.write(stream) } else { Ok(()) };
                written.and_then(|()| {
                    if !readable {
                        return Ok(());
                    }
                    read(stream, &mut self.buffer, |bytes| {
                        let requests = peer.read(bytes, stream, hold)?;
                        *count += requests;
                        if let (true, Some(delay)) = (hold, slow) {
                            let at = Instant::now() + delay;
                            (0..requests).for_each(|_| later.push_back((at, index)));
                        }
                        Ok(())
                    })
                })
            }
        };
        if done.is_err() {
            return self.lost(index);
        }
        if idle {
            self.clients.idle.push(index);
            self.clients.count_due(Instant::now());
            return self.send_due();
        }
        Ok(())
    }

    /// A connection has ended; a client's is replaced.
    fn lost(&mut self, index: usize) -> Result<()> {
        let Some(connection) = self.connections[index].take() else {
            return Ok(());
        };
        self.free.push(index);
        if let Role::Client(client) = connection.role {
            if client.is_busy() {
                self.clients.errors += 1;
            }
            self.clients.idle.retain(|idle| *idle != index);
            drop(connection.stream);
            self.add_client()?;
        }
        Ok(())
    }
}

/// Reads all there is. An error when the stream has ended.
fn read(mut from: &TcpStream, buffer: &mut [u8], mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    loop {
        match from.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                take(&buffer[..n])?;
                if n < buffer.len() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Writes what the socket takes. How much that was.
fn write_some(mut to: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match to.write(bytes) {
        Ok(n) => Ok(n),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error),
    }
}

fn listen(backlog: i32) -> Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
