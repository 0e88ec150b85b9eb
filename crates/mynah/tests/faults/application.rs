//! An application that can be held and killed.

use std::net::SocketAddr;
use std::sync::Mutex;

use mynah_testkit::raw::{Read, Request, read_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The response to what is not held.
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// The response to what is held: this at once, and the rest when it is released.
pub(crate) const FIRST_HALF: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
/// See [`FIRST_HALF`].
pub(crate) const SECOND_HALF: &[u8] = b" done";

/// An HTTP/1 server on a port of its own: answers every request, those for `/held` by half until it is released, and
/// those for `/silent` never. Its connections end with it.
pub(crate) struct Application {
    address: SocketAddr,
    released: watch::Sender<bool>,
    serving: Mutex<Option<JoinHandle<()>>>,
}

impl Application {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let released = watch::Sender::new(false);
        let serving = tokio::spawn(serve(listener, released.clone()));
        Self {
            address,
            released,
            serving: Mutex::new(Some(serving)),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets the second halves go.
    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }

    /// Ends it with all its connections, in the middle of whatever they do.
    pub(crate) fn kill(&self) {
        if let Some(serving) = self.serving.lock().unwrap().take() {
            serving.abort();
        }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn serve(listener: TcpListener, released: watch::Sender<bool>) {
    // Aborted with this task when it is.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
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
