//! Connections of the admin side: bounded in number, size and time, so that whoever reaches the address can neither use up
//! what production needs nor keep the kubelet out.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::{Admin, Purpose, answer};

/// Time for a request head to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may live; it is closed after the request that is under way then.
const LIFE: Duration = Duration::from_secs(60);
/// How long that request may still take, such as a drain's reload or a reader that is slow.
const LAST_REQUEST: Duration = Duration::from_secs(10);
/// Connections at a time; one more closes the oldest.
const CONNECTIONS: usize = 32;
/// Bytes of a request head.
const HEAD: usize = 16 * 1024;
/// How long accepting rests when the system has no descriptors: production needs them more.
const REST: Duration = Duration::from_secs(1);

/// A socket of the admin side, bound.
pub(crate) enum AdminListener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl AdminListener {
    /// Listens at a path, for the user it runs as and nobody else. A socket that nobody listens at any more is replaced.
    pub(crate) fn unix(path: &Path) -> io::Result<Self> {
        if fs::symlink_metadata(path).is_ok() {
            match UnixStream::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
                _ => return Err(io::ErrorKind::AddrInUse.into()),
            }
        }
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&socket2::SockAddr::unix(path)?)?;
        // Before anybody can connect.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        socket.listen(CONNECTIONS as i32)?;
        Ok(Self::Unix(socket.into()))
    }

    /// Address and port, if it has them.
    pub(crate) fn tcp(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Some),
            Self::Unix(_) => Ok(None),
        }
    }

    fn into_async(self) -> io::Result<AsyncListener> {
        Ok(match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                AsyncListener::Tcp(tokio::net::TcpListener::from_std(listener)?)
            }
            Self::Unix(listener) => {
                listener.set_nonblocking(true)?;
                AsyncListener::Unix(tokio::net::UnixListener::from_std(listener)?)
            }
        })
    }
}

enum AsyncListener {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl AsyncListener {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Serves until the runtime ends.
pub(crate) async fn serve(listener: AdminListener, purpose: Purpose, admin: Arc<Admin>) {
    let listener = match listener.into_async() {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "admin address unusable"),
    };
    let purpose = Arc::new(purpose);
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok(stream) = listener.accept().await else {
            sleep(REST).await;
            continue;
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        let connection = tokio::spawn(connection(stream, purpose.clone(), admin.clone()));
        open.push_back(connection.abort_handle());
    }
}

async fn connection(stream: Box<dyn Stream>, purpose: Arc<Purpose>, admin: Arc<Admin>) {
    let service = service_fn(|request| {
        let (purpose, admin) = (purpose.clone(), admin.clone());
        async move { Ok::<_, Infallible>(answer(request, &admin, &purpose).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD)
            .serve_connection(TokioIo::new(stream), service)
    );
    // A client that breaks off concerns nobody.
    if timeout(LIFE, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(LAST_REQUEST, connection).await;
    }
}
