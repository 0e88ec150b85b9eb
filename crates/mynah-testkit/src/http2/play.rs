//! Plays a script: both ends speak HTTP/2, and each step has to be seen at the other end as it was made.

use std::fmt::Debug;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle, yield_now};
use tokio::time::timeout;

use super::script::{Script, Step};

/// How long the other end may take to see a step.
const PATIENCE: Duration = Duration::from_secs(30);
/// Turns after which a connection has written what it was given.
const FLUSH: usize = 8;
/// Windows wide enough for every script.
const WINDOW: u32 = 1 << 20;

/// What became of a script that was played to its end.
#[derive(Debug)]
pub struct Exchanged {
    /// Requests that the application has seen.
    pub requests: usize,
}

/// Plays a script between a client that connects to `address` and an application that accepts on `app`; an error says
/// which step went wrong. Runs where tasks can be spawned that stay on the thread.
pub async fn play(script: &Script, address: SocketAddr, app: &TcpListener) -> Result<Exchanged, String> {
    let mut player = Player::start(address).await?;
    for (n, (stream, step)) in script.steps.iter().enumerate() {
        let done = timeout(PATIENCE, player.step(*stream, step, app));
        let result = done
            .await
            .unwrap_or_else(|_| Err("the other end never saw it".to_owned()));
        result.map_err(|error| format!("step {} ({step:?} on {stream}): {error}", n + 1))?;
    }
    Ok(Exchanged {
        requests: player.streams.len(),
    })
}

struct Player {
    sender: SendRequest<Bytes>,
    client: JoinHandle<Result<(), h2::Error>>,
    app: Option<App>,
    streams: Vec<Stream>,
}

struct App {
    requests: mpsc::UnboundedReceiver<(Request<RecvStream>, SendResponse<Bytes>)>,
    leave: Option<oneshot::Sender<()>>,
    task: AbortHandle,
}

/// Both ends of a stream.
struct Stream {
    sending: SendStream<Bytes>,
    response: Option<ResponseFuture>,
    receiving: Option<RecvStream>,
    app_receiving: RecvStream,
    respond: SendResponse<Bytes>,
    app_sending: Option<SendStream<Bytes>>,
    /// Data that the client has left where it is.
    unread: usize,
}

impl App {
    async fn accept(listener: &TcpListener) -> Result<Self, String> {
        let (tcp, _) = listener.accept().await.map_err(|error| error.to_string())?;
        let _ = tcp.set_nodelay(true);
        let mut connection = h2::server::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW * 2)
            .enable_connect_protocol()
            .max_header_list_size(1 << 20)
            .handshake(tcp)
            .await
            .map_err(|error| format!("the application's handshake: {error}"))?;
        let (sender, requests) = mpsc::unbounded_channel();
        let (leave, mut left) = oneshot::channel();
        let task = tokio::task::spawn_local(async move {
            let mut leaving = false;
            loop {
                tokio::select! {
                    _ = &mut left, if !leaving => {
                        leaving = true;
                        connection.graceful_shutdown();
                    }
                    accepted = connection.accept() => match accepted {
                        Some(Ok(accepted)) => drop(sender.send(accepted)),
                        _ => return,
                    }
                }
            }
        });
        Ok(Self {
            requests,
            leave: Some(leave),
            task: task.abort_handle(),
        })
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Player {
    async fn start(address: SocketAddr) -> Result<Self, String> {
        let tcp = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        let _ = tcp.set_nodelay(true);
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW * 2)
            .max_header_list_size(1 << 20)
            .handshake(tcp)
            .await
            .map_err(|error| format!("the client's handshake: {error}"))?;
        Ok(Self {
            sender,
            client: tokio::task::spawn_local(connection),
            app: None,
            streams: Vec::new(),
        })
    }

    async fn step(&mut self, on: usize, step: &Step, listener: &TcpListener) -> Result<(), String> {
        if let Step::Request(request, end) = step {
            return self.request(request, *end, listener).await;
        }
        match step {
            Step::AppLeaves => {
                let leave = self.app.as_mut().and_then(|app| app.leave.take());
                leave
                    .ok_or("the application has no connection")?
                    .send(())
                    .map_err(|()| "it has left".to_owned())?;
                self.client_ended().await
            }
            Step::AppBreaks => {
                self.app.take();
                let under_way = self.streams.get_mut(on).ok_or("no such stream")?;
                under_way.broken_at_client().await?;
                self.client_ended().await
            }
            Step::ClientBreaks => {
                self.client.abort();
                self.streams[on].broken_at_app().await
            }
            _ => self.streams.get_mut(on).ok_or("no such stream")?.step(step).await,
        }
    }

    async fn request(&mut self, request: &Request<()>, end: bool, listener: &TcpListener) -> Result<(), String> {
        let mut sender = self.sender.clone().ready().await.map_err(|error| error.to_string())?;
        let (response, sending) = sender
            .send_request(request.clone(), end)
            .map_err(|error| error.to_string())?;
        if self.app.is_none() {
            self.app = Some(App::accept(listener).await?);
        }
        let app = self.app.as_mut().ok_or("no connection")?;
        let (received, respond) = match app.requests.recv().await {
            Some(received) => received,
            None => {
                // The application had left, and is asked on a new connection.
                *app = App::accept(listener).await?;
                app.requests.recv().await.ok_or("the connection ended")?
            }
        };
        let (head, app_receiving) = received.into_parts();
        let received = Request::from_parts(head, ());
        same(&essence(request), &essence(&received))?;
        same(&end, &app_receiving.is_end_stream())?;
        self.streams.push(Stream {
            sending,
            response: Some(response),
            receiving: None,
            app_receiving,
            respond,
            app_sending: None,
            unread: 0,
        });
        Ok(())
    }

    /// The client's connection ends, without an error.
    async fn client_ended(&mut self) -> Result<(), String> {
        match (&mut self.client).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.is_io() || error.is_go_away() => Ok(()),
            other => Err(format!("the client's connection ended by {other:?}")),
        }
    }
}

impl Stream {
    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Data(data, end) => {
                send(&mut self.sending, data, *end).await?;
                receive(&mut self.app_receiving, data, *end).await
            }
            Step::Trailers(trailers) => {
                self.sending
                    .send_trailers(trailers.clone())
                    .map_err(|error| error.to_string())?;
                receive_trailers(&mut self.app_receiving, trailers).await
            }
            Step::Reset(reason) => {
                self.sending.send_reset(*reason);
                let seen = match &mut self.app_sending {
                    Some(sending) => poll_fn(|cx| sending.poll_reset(cx)).await,
                    None => poll_fn(|cx| self.respond.poll_reset(cx)).await,
                };
                same(reason, &seen.map_err(|error| error.to_string())?)
            }
            Step::Interim(response) => {
                self.respond
                    .send_informational(response.clone())
                    .map_err(|error| error.to_string())?;
                let pending = self.response.as_mut().ok_or("the response has come")?;
                match poll_fn(|cx| pending.poll_informational(cx)).await {
                    Some(Ok(seen)) => same(&said(response), &said(&seen)),
                    other => Err(format!("{other:?}")),
                }
            }
            Step::Response(response, end) => {
                let sending = self.respond.send_response(response.clone(), *end);
                self.app_sending = Some(sending.map_err(|error| error.to_string())?);
                let pending = self.response.take().ok_or("the response has come")?;
                let (head, receiving) = pending.await.map_err(|error| error.to_string())?.into_parts();
                same(&said(response), &said(&Response::from_parts(head, ())))?;
                same(end, &receiving.is_end_stream())?;
                self.receiving = Some(receiving);
                Ok(())
            }
            Step::AppData(data, end) => {
                let sending = self.app_sending.as_mut().ok_or("there is no response")?;
                send(sending, data, *end).await?;
                let receiving = self.receiving.as_mut().ok_or("there is no response")?;
                let mut unread = self.unread;
                self.unread = 0;
                while unread > 0 {
                    let data = receiving
                        .data()
                        .await
                        .ok_or("no more")?
                        .map_err(|error| error.to_string())?;
                    let _ = receiving.flow_control().release_capacity(data.len());
                    unread -= data.len();
                }
                receive(receiving, data, *end).await
            }
            Step::AppDataUnread(data) => {
                let sending = self.app_sending.as_mut().ok_or("there is no response")?;
                send(sending, data, false).await?;
                self.unread += data.len();
                // It leaves before anything that comes after.
                for _ in 0..FLUSH {
                    yield_now().await;
                }
                Ok(())
            }
            Step::AppTrailers(trailers) => {
                let sending = self.app_sending.as_mut().ok_or("there is no response")?;
                sending
                    .send_trailers(trailers.clone())
                    .map_err(|error| error.to_string())?;
                receive_trailers(self.receiving.as_mut().ok_or("there is no response")?, trailers).await
            }
            Step::AppReset(reason) => {
                match &mut self.app_sending {
                    Some(sending) => sending.send_reset(*reason),
                    None => self.respond.send_reset(*reason),
                }
                let unread = self.unread;
                let (seen, received) = self.reset_at_client().await;
                same(&Some(*reason), &seen)?;
                same(&unread, &received)
            }
            _ => Err("not a stream's step".to_owned()),
        }
    }

    /// The code with which the client's stream ends, and how many bytes come before.
    async fn reset_at_client(&mut self) -> (Option<Reason>, usize) {
        if self.receiving.as_ref().is_some_and(RecvStream::is_end_stream) {
            return (poll_fn(|cx| self.sending.poll_reset(cx)).await.ok(), 0);
        }
        let mut received = 0;
        let error = match (self.response.take(), &mut self.receiving) {
            (Some(pending), _) => pending.await.err(),
            (None, Some(receiving)) => loop {
                match receiving.data().await {
                    Some(Ok(data)) => received += data.len(),
                    Some(Err(error)) => break Some(error),
                    None => break receiving.trailers().await.err(),
                }
            },
            (None, None) => None,
        };
        (error.and_then(|error| error.reason()), received)
    }

    /// The client's stream does not end well: with an error, or a response of 5xx.
    async fn broken_at_client(&mut self) -> Result<(), String> {
        let ended = match (self.response.take(), &mut self.receiving) {
            (Some(pending), _) => match pending.await {
                Ok(response) if response.status().is_server_error() => return Ok(()),
                other => other.map(|_| ()),
            },
            (None, Some(receiving)) if receiving.is_end_stream() => return Ok(()),
            (None, Some(receiving)) => loop {
                match receiving.data().await {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break Err(error),
                    None => break receiving.trailers().await.map(|_| ()),
                }
            },
            (None, None) => return Ok(()),
        };
        match ended {
            Err(_) => Ok(()),
            Ok(()) => Err("it ended well".to_owned()),
        }
    }

    /// The application's stream ends with an error.
    async fn broken_at_app(&mut self) -> Result<(), String> {
        match &mut self.app_sending {
            Some(sending) => drop(poll_fn(|cx| sending.poll_reset(cx)).await),
            None => drop(poll_fn(|cx| self.respond.poll_reset(cx)).await),
        }
        Ok(())
    }
}

async fn send(stream: &mut SendStream<Bytes>, data: &Bytes, end: bool) -> Result<(), String> {
    let mut rest = data.clone();
    while !rest.is_empty() {
        stream.reserve_capacity(rest.len());
        let room = match poll_fn(|cx| stream.poll_capacity(cx)).await {
            Some(room) => room.map_err(|error| error.to_string())?,
            None => return Err("it takes no more".to_owned()),
        };
        let part = rest.split_to(room.min(rest.len()));
        let last = end && rest.is_empty();
        stream.send_data(part, last).map_err(|error| error.to_string())?;
    }
    if data.is_empty() {
        stream.send_data(Bytes::new(), end).map_err(|error| error.to_string())?;
    }
    Ok(())
}

async fn receive(stream: &mut RecvStream, expected: &Bytes, end: bool) -> Result<(), String> {
    let mut received = Vec::new();
    while received.len() < expected.len() {
        match stream.data().await {
            Some(Ok(data)) => {
                let _ = stream.flow_control().release_capacity(data.len());
                received.extend_from_slice(&data);
            }
            other => return Err(format!("{other:?} after {} bytes", received.len())),
        }
    }
    if received != *expected {
        return Err(format!("received {} bytes that differ", received.len()));
    }
    if end && !stream.is_end_stream() {
        return match stream.data().await {
            None => same(&None, &stream.trailers().await.map_err(|error| error.to_string())?),
            Some(Ok(data)) if data.is_empty() => Ok(()),
            other => Err(format!("{other:?} in place of the end")),
        };
    }
    Ok(())
}

async fn receive_trailers(stream: &mut RecvStream, expected: &HeaderMap) -> Result<(), String> {
    while let Some(data) = stream.data().await {
        let data = data.map_err(|error| error.to_string())?;
        if !data.is_empty() {
            return Err(format!("{} bytes in place of the trailers", data.len()));
        }
    }
    let trailers = stream.trailers().await.map_err(|error| error.to_string())?;
    same(&Some(listed(expected)), &trailers.as_ref().map(listed))
}

fn same<T: PartialEq + Debug>(sent: &T, received: &T) -> Result<(), String> {
    if sent == received {
        Ok(())
    } else {
        Err(format!("sent {sent:?}, received {received:?}"))
    }
}

fn listed(fields: &HeaderMap) -> Vec<(String, String)> {
    fields
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().escape_ascii().to_string()))
        .collect()
}

/// All that a request's head says.
fn essence(request: &Request<()>) -> (String, String, Vec<(String, String)>, Option<String>) {
    (
        request.method().to_string(),
        request.uri().to_string(),
        listed(request.headers()),
        request.extensions().get::<Protocol>().map(|p| p.as_str().to_owned()),
    )
}

fn said(response: &Response<()>) -> (u16, Vec<(String, String)>) {
    (response.status().as_u16(), listed(response.headers()))
}
