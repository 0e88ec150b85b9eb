//! An application that can be held and killed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::raw::{Read, Request, read_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The response to what is not held.
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// The response to what is held: this at once, and the rest when it is released.
pub const FIRST_HALF: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
/// See [`FIRST_HALF`].
pub const SECOND_HALF: &[u8] = b" done";

/// An HTTP/1 server on a port of its own: answers every request, those for `/held` by half until it is released, and
/// those for `/silent` never. Its connections end with it.
pub struct Application {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    released: watch::Sender<bool>,
    serving: Mutex<Option<JoinHandle<()>>>,
}

impl Application {
    /// Starts it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let released = watch::Sender::new(false);
        let accepted = Arc::<AtomicUsize>::default();
        let serving = tokio::spawn(serve(listener, accepted.clone(), released.clone()));
        Self {
            address,
            accepted,
            released,
            serving: Mutex::new(Some(serving)),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that it has accepted so far.
    pub fn connections(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Lets the second halves go.
    pub fn release(&self) {
        self.released.send_replace(true);
    }

    /// Ends it with all its connections, in the middle of whatever they do.
    pub fn kill(&self) {
        if let Some(serving) = self.serving.lock().expect("nobody panics while holding it").take() {
            serving.abort();
        }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn serve(listener: TcpListener, accepted: Arc<AtomicUsize>, released: watch::Sender<bool>) {
    // Aborted with this task when it is.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        accepted.fetch_add(1, Ordering::Relaxed);
        connections.spawn(answer_all(stream, released.subscribe()));
    }
}

async fn answer_all(mut stream: TcpStream, mut released: watch::Receiver<bool>) -> Option<()> {
    let _ = stream.set_nodelay(true);
    let mut bytes = Vec::new();
    loop {
        if let Read::Whole(request, len) = read_request(&bytes) {
            bytes.drain(..len);
            answer(&mut stream, &request, &mut released).await.ok()?;
        } else if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

async fn answer(
    stream: &mut TcpStream,
    request: &Request,
    released: &mut watch::Receiver<bool>,
) -> std::io::Result<()> {
    match request.target.as_slice() {
        b"/silent" => std::future::pending().await,
        b"/held" => {
            stream.write_all(FIRST_HALF).await?;
            let _ = released.wait_for(|released| *released).await;
            stream.write_all(SECOND_HALF).await
        }
        _ => stream.write_all(RESPONSE).await,
    }
}
