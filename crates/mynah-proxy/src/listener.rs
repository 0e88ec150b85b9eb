//! Accepting clients: one loop for each worker and address, until a drain or until a new configuration has no such listener.

use std::cell::RefCell;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::client;
use crate::plan::ListenerPlan;
use crate::worker::Worker;

/// Descriptors that a client connection may need: its own and its upstream's.
const DESCRIPTORS: usize = 2;
/// How long accepting rests after the system refused, unless a connection closes before.
const REST: Duration = Duration::from_millis(100);
/// How long a handshake that has begun may take to end once no more are begun.
const HANDSHAKE: Duration = Duration::from_millis(200);

/// A listener as its loop and the worker share it.
pub(crate) struct Entrance {
    plan: RefCell<Arc<ListenerPlan>>,
    stop: Notify,
}

impl Entrance {
    pub(crate) fn new(plan: Arc<ListenerPlan>) -> Rc<Self> {
        Rc::new(Self {
            plan: RefCell::new(plan),
            stop: Notify::new(),
        })
    }

    /// Accepts by another plan from the next client on.
    pub(crate) fn change(&self, plan: Arc<ListenerPlan>) {
        self.plan.replace(plan);
    }

    /// Ends the loop.
    pub(crate) fn stop(&self) {
        self.stop.notify_one();
    }

    fn plan(&self) -> Arc<ListenerPlan> {
        self.plan.borrow().clone()
    }
}

/// Accepts until told to stop, then takes what the kernel has already completed and closes the listener.
pub(crate) async fn accept(worker: Rc<Worker>, listener: TcpListener, entrance: Rc<Entrance>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "listener unusable");
            return;
        }
    };
    let mut stopped = std::pin::pin!(entrance.stop.notified());
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => break,
            () = room(&worker, &entrance) => {}
        }
        let accepted = tokio::select! {
            biased;
            () = &mut stopped => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, address)) => begin(&worker, tcp, address, entrance.plan()),
            Err(error) => tokio::select! {
                biased;
                () = &mut stopped => break,
                () = refused(&worker, &error) => {}
            },
        }
    }
    // Clients in the queue were told that they are connected, and those whose handshake is under way will be.
    refuse_handshakes(&listener);
    let _ = tokio::time::timeout(HANDSHAKE, async {
        loop {
            match listener.accept().await {
                Ok((tcp, address)) => begin(&worker, tcp, address, entrance.plan()),
                Err(_) => tokio::time::sleep(REST).await,
            }
        }
    })
    .await;
}

/// Has the kernel begin no more handshakes: a listener that is closed resets the clients that it has not yet accepted, and
/// there would always be one more. Whoever knocks now is refused when it tries again.
#[cfg(target_os = "linux")]
fn refuse_handshakes(listener: &tokio::net::TcpListener) {
    use socket2::{SockFilter, SockRef};
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_BITS: u16 = 0x45;
    const RETURN: u16 = 0x06;
    // A filter sees the TCP header first: drop segments with SYN (RFC 9293 §3.1), take all others whole.
    let program = [
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(JUMP_IF_BITS, 0, 1, 0x02),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    if let Err(error) = SockRef::from(listener).attach_filter(&program) {
        tracing::debug!(%error, "clients that connect at this moment may be reset");
    }
}

/// Elsewhere a client that connects at this very moment may be reset.
#[cfg(not(target_os = "linux"))]
fn refuse_handshakes(_listener: &tokio::net::TcpListener) {}

fn begin(worker: &Rc<Worker>, tcp: TcpStream, address: std::net::SocketAddr, plan: Arc<ListenerPlan>) {
    worker.stats.accepted.add(1);
    let _ = tcp.set_nodelay(true);
    let guard = Descriptors::take(worker);
    tokio::task::spawn_local(client::serve(worker.clone(), tcp, address, plan, guard));
}

/// Waits until there is room for one more client.
async fn room(worker: &Rc<Worker>, entrance: &Entrance) {
    let has_room = || {
        let limit = entrance.plan.borrow().connections;
        worker.has_descriptors(DESCRIPTORS) && limit.is_none_or(|limit| worker.connections() < limit)
    };
    if has_room() {
        return;
    }
    worker.stats.accept_paused.add(1);
    while !has_room() {
        if !worker.has_descriptors(DESCRIPTORS) {
            worker.snapshot().free_descriptors(DESCRIPTORS);
        }
        worker.connection_closed().await;
    }
}

async fn refused(worker: &Rc<Worker>, error: &io::Error) {
    match error.kind() {
        // The client gave up while it was in the queue.
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset => {}
        _ => {
            tracing::warn!(%error, "accepting paused");
            worker.stats.accept_paused.add(1);
            loop {
                worker.strain();
                worker.snapshot().free_descriptors(DESCRIPTORS);
                let _ = tokio::time::timeout(REST, worker.connection_closed()).await;
                if system_has_descriptors() {
                    return;
                }
            }
        }
    }
}

/// Whether a client that is accepted now would get its upstream connection as well.
fn system_has_descriptors() -> bool {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None);
    let sockets: io::Result<Vec<_>> = (0..DESCRIPTORS).map(|_| socket()).collect();
    sockets.is_ok()
}

/// File descriptors of a client connection; given back when dropped.
pub(crate) struct Descriptors(Rc<Worker>);

impl Descriptors {
    fn take(worker: &Rc<Worker>) -> Self {
        worker.add_descriptors(DESCRIPTORS);
        Self(worker.clone())
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        self.0.return_descriptors(DESCRIPTORS);
    }
}
