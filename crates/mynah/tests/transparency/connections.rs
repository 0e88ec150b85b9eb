//! HTTP/2 connections as a whole: how they end, and what a client may do on one.

use std::future::poll_fn;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use mynah_testkit::app::mirror;
use mynah_testkit::binary::{Mynah, Signal};
use mynah_testkit::http2::{frame, get, post, response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::timeout;

use crate::harness::{PATIENCE, binary};

fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let ended = LocalSet::new().block_on(&runtime, async { timeout(PATIENCE, test).await });
    assert!(ended.is_ok(), "somebody waits for what never comes");
}

type Driving = JoinHandle<Result<(), h2::Error>>;

async fn connect(mynah: &Mynah) -> (SendRequest<Bytes>, Driving) {
    let tcp = TcpStream::connect(mynah.address()).await.unwrap();
    let (sender, connection) = h2::client::handshake(tcp).await.unwrap();
    (sender, tokio::task::spawn_local(connection))
}

async fn ask(sender: &SendRequest<Bytes>, path: &str) -> (ResponseFuture, SendStream<Bytes>) {
    let mut sender = sender.clone().ready().await.unwrap();
    sender.send_request(get(path, &[]), true).unwrap()
}

/// An application that answers each request with 200.
async fn serve(listener: TcpListener) {
    while let Ok((tcp, _)) = listener.accept().await {
        tokio::task::spawn_local(async move {
            let Ok(mut connection) = h2::server::handshake(tcp).await else {
                return;
            };
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                let _: Result<SendStream<Bytes>, _> = respond.send_response(response(200, &[]), true);
            }
        });
    }
}

#[test]
fn a_drain_lets_http2_streams_finish_and_takes_no_more() {
    run(async {
        let (listener, mirror) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), mirror().await);
        let address = listener.local_addr().unwrap();
        let mut mynah = Mynah::before(&binary(), address, &[mirror.address()]).await.unwrap();
        let (sender, driving) = connect(&mynah).await;
        let (answer, _stream) = ask(&sender, "/").await;
        let mut app = h2::server::handshake(listener.accept().await.unwrap().0).await.unwrap();
        let (_, mut respond) = app.accept().await.unwrap().unwrap();
        tokio::task::spawn_local(async move { while app.accept().await.is_some() {} });
        mynah.signal(Signal::Term).await;
        // No more are taken once the client has heard of the drain.
        let mut waiting = sender.clone();
        while poll_fn(|cx| waiting.poll_ready(cx)).await.is_ok() {
            tokio::task::yield_now().await;
        }
        let mut body: SendStream<Bytes> = respond.send_response(response(200, &[]), false).unwrap();
        body.send_data(Bytes::from_static(b"whole"), true).unwrap();
        let mut received = answer.await.unwrap().into_body();
        assert_eq!(received.data().await.unwrap().unwrap(), "whole");
        assert!(received.data().await.is_none());
        drop((received, sender, waiting, _stream));
        driving.await.unwrap().unwrap();
        assert!(mynah.ended().await.unwrap().success());
    });
}

#[test]
fn a_request_that_the_application_never_looked_at_may_be_asked_again() {
    run(async {
        let (listener, mirror) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), mirror().await);
        let address = listener.local_addr().unwrap();
        let mynah = Mynah::before(&binary(), address, &[mirror.address()]).await.unwrap();
        let (sender, _driving) = connect(&mynah).await;
        let (answer, _stream) = ask(&sender, "/").await;
        // The application sends its settings and leaves: the last stream that it looked at is none.
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(&frame(4, 0, 0, &[])).await.unwrap();
        let mut read = vec![0; 1024];
        while !read.windows(4).any(|bytes| bytes == [0, 0, 0, 1]) {
            let len = tcp.read(&mut read).await.unwrap();
            assert!(len > 0, "the request did not arrive");
        }
        tcp.write_all(&frame(7, 0, 0, &[0; 8])).await.unwrap();
        let error = answer.await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::REFUSED_STREAM), "{error}");
    });
}

#[test]
fn a_request_that_meets_a_connection_the_application_has_left_is_sent_on_a_new_one() {
    run(async {
        let (listener, mirror) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), mirror().await);
        let address = listener.local_addr().unwrap();
        let mynah = Mynah::before(&binary(), address, &[mirror.address()]).await.unwrap();
        let (sender, _driving) = connect(&mynah).await;
        let (answer, _stream) = ask(&sender, "/1").await;
        let mut app = h2::server::handshake(listener.accept().await.unwrap().0).await.unwrap();
        let (_, mut respond) = app.accept().await.unwrap().unwrap();
        let _: SendStream<Bytes> = respond.send_response(response(201, &[]), true).unwrap();
        let driving = tokio::task::spawn_local(async move {
            // Reads the second request, and breaks the connection without a word.
            app.accept().await.unwrap().unwrap();
        });
        assert_eq!(answer.await.unwrap().status(), 201);
        let (answer, _stream) = ask(&sender, "/2").await;
        driving.await.unwrap();
        tokio::task::spawn_local(serve(listener));
        assert_eq!(answer.await.unwrap().status(), 200);
        let accounts = mynah.at_rest().await.unwrap();
        assert_eq!((accounts.requests, accounts.mirror().delivered), (2, 2));
    });
}

#[test]
fn a_client_that_takes_back_what_it_asks_is_sent_away() {
    run(async {
        let (listener, mirror) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), mirror().await);
        let address = listener.local_addr().unwrap();
        let mynah = Mynah::before(&binary(), address, &[mirror.address()]).await.unwrap();
        // Nobody answers.
        let app = tokio::task::spawn_local(async move {
            let mut app = h2::server::handshake(listener.accept().await.unwrap().0).await.unwrap();
            let mut kept = Vec::new();
            while let Some(Ok(request)) = app.accept().await {
                let _: &(_, h2::server::SendResponse<Bytes>) = &request;
                kept.push(request);
            }
        });
        let (sender, driving) = connect(&mynah).await;
        let mut asked = 0;
        while asked < 5_000 {
            let Ok(mut ready) = sender.clone().ready().await else {
                break;
            };
            let Ok((_, mut stream)) = ready.send_request(post("/", &[]), true) else {
                break;
            };
            asked += 1;
            stream.send_reset(Reason::CANCEL);
            tokio::task::yield_now().await;
        }
        let error = driving.await.unwrap().unwrap_err();
        assert_eq!(error.reason(), Some(Reason::ENHANCE_YOUR_CALM), "{error} after {asked}");
        mynah.until("counted", |m| m.errors("bad_request") == 1).await.unwrap();
        app.abort();
    });
}

#[test]
fn many_streams_that_stand_still_leave_room_for_one_that_moves() {
    run(async {
        let (listener, mirror) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), mirror().await);
        let address = listener.local_addr().unwrap();
        let mynah = Mynah::before(&binary(), address, &[mirror.address()]).await.unwrap();
        let tcp = TcpStream::connect(mynah.address()).await.unwrap();
        let mut builder = h2::client::Builder::new();
        // The client's connection has room; only its streams stand still.
        builder.initial_connection_window_size(16 << 20);
        let (sender, connection) = builder.handshake::<_, Bytes>(tcp).await.unwrap();
        tokio::task::spawn_local(connection);
        let mut answers = Vec::new();
        for n in 0..31 {
            answers.push(ask(&sender, &format!("/{n}")).await);
        }
        let mut app = h2::server::handshake(listener.accept().await.unwrap().0).await.unwrap();
        let mut responds = Vec::new();
        for _ in 0..31 {
            let (_, respond) = app.accept().await.unwrap().unwrap();
            responds.push(respond);
        }
        tokio::task::spawn_local(async move { while app.accept().await.is_some() {} });
        let large = Bytes::from(vec![b'l'; 200_000]);
        let mut sending = Vec::new();
        for mut respond in responds {
            let mut stream: SendStream<Bytes> = respond.send_response(response(200, &[]), false).unwrap();
            stream.send_data(large.clone(), true).unwrap();
            sending.push(stream);
        }
        // The last one is read to its end, while nobody reads the thirty before.
        let (last, _stream) = answers.pop().unwrap();
        let mut body = last.await.unwrap().into_body();
        let mut received = 0;
        while let Some(data) = body.data().await {
            let len = data.unwrap().len();
            received += len;
            body.flow_control().release_capacity(len).unwrap();
        }
        assert_eq!(received, large.len());
    });
}
