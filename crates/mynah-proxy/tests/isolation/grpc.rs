//! Streams in both directions at once, as gRPC has them: each message is answered before the next is sent.

use std::future::poll_fn;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, HeaderValue, Request};
use mynah_testkit::ill::Behaviour;
use tokio::net::TcpStream;

use crate::behaviours::every_behaviour;
use crate::stage::{Load, play};

const CONNECTIONS: u64 = 2;
const CALLS: u64 = 6;
const MESSAGES: u8 = 24;
/// Flag and length, and so many bytes.
const MESSAGE: usize = 5 + 1024;

every_behaviour!(grpc);

fn grpc(behaviour: Behaviour) {
    let load = Load {
        requests: CONNECTIONS * CALLS,
        large: false,
    };
    play(behaviour, &load, async |stage| {
        let mut calls = Vec::new();
        for _ in 0..CONNECTIONS {
            let sender = connect(stage.address).await;
            for _ in 0..CALLS {
                calls.push(tokio::spawn(call(sender.clone())));
            }
        }
        for call in calls {
            call.await.unwrap();
        }
    });
}

async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    let tcp = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = h2::client::handshake(tcp).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn message(number: u8) -> Bytes {
    let mut message = vec![number; MESSAGE];
    message[..5].copy_from_slice(&[0, 0, 0, 4, 0]);
    message.into()
}

/// One call: messages and trailers there and back.
async fn call(sender: SendRequest<Bytes>) {
    let request = Request::post("http://production/echo.Service/Chat")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (response, mut up) = sender.ready().await.unwrap().send_request(request, false).unwrap();
    up.send_data(message(0), false).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    let mut down = response.into_body();
    for number in 0..MESSAGES {
        let mut came = Vec::new();
        while came.len() < MESSAGE {
            let data = down.data().await.expect("the call goes on").unwrap();
            down.flow_control().release_capacity(data.len()).unwrap();
            came.extend_from_slice(&data);
        }
        assert!(came == message(number), "message {number} is another");
        if number + 1 < MESSAGES {
            up.reserve_capacity(MESSAGE);
            while up.capacity() < MESSAGE {
                poll_fn(|cx| up.poll_capacity(cx)).await.unwrap().unwrap();
            }
            up.send_data(message(number + 1), false).unwrap();
        }
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    up.send_trailers(trailers.clone()).unwrap();
    assert!(down.data().await.is_none());
    assert_eq!(down.trailers().await.unwrap(), Some(trailers));
}
