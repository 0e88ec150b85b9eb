//! Misbehaving in HTTP/2: connections in good order, with streams that are not.

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::Response;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Behaviour, STEP, STEPS};

/// Bytes that may be on their way to a mirror that reads them.
const WINDOW: u32 = 1024 * 1024;

/// Whether the behaviour is one of streams, and not of the connection beneath.
pub(super) fn speaks(behaviour: Behaviour) -> bool {
    matches!(
        behaviour,
        Behaviour::NeverAnswers | Behaviour::Slow | Behaviour::Endless
    )
}

pub(super) async fn misbehave(behaviour: Behaviour, tcp: TcpStream) {
    let handshake = h2::server::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake(tcp);
    let Ok(mut connection) = handshake.await else {
        return;
    };
    // Streams end with their connection.
    let mut streams = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        let body = request.into_body();
        match behaviour {
            Behaviour::NeverAnswers => streams.spawn(never_answer(body, respond)),
            Behaviour::Slow => streams.spawn(answer_late(body, respond)),
            _ => streams.spawn(answer_without_end(body, respond)),
        };
    }
}

async fn never_answer(body: RecvStream, _respond: SendResponse<Bytes>) {
    read(body).await;
    std::future::pending().await
}

async fn read(mut body: RecvStream) {
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
    }
}

async fn answer_late(mut body: RecvStream, mut respond: SendResponse<Bytes>) {
    for _ in 0..STEPS {
        sleep(STEP).await;
        let room = body.flow_control().used_capacity().min(1024);
        let _ = body.flow_control().release_capacity(room);
    }
    let _ = respond.send_response(Response::new(()), true);
}

async fn answer_without_end(body: RecvStream, mut respond: SendResponse<Bytes>) {
    let Ok(mut stream) = respond.send_response(Response::new(()), false) else {
        return;
    };
    let answer = async { while send(&mut stream).await.is_some() {} };
    tokio::join!(read(body), answer);
}

async fn send(stream: &mut SendStream<Bytes>) -> Option<()> {
    const PART: &[u8] = &[b'x'; 4096];
    stream.reserve_capacity(PART.len());
    let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await?.ok()?;
    stream
        .send_data(Bytes::from_static(&PART[..room.min(PART.len())]), false)
        .ok()
}
