//! Calls of the admin side, as bytes: what a program, a browser or an attacker sends.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of a problem.
    pub(crate) fn code(&self) -> String {
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        problem["code"].as_str().unwrap().to_owned()
    }
}

/// A call with these fields (lines), from a program on the same host.
pub(crate) async fn call(admin: SocketAddr, method: &str, path: &str, fields: &str, body: &str) -> Answer {
    let host = if fields.to_ascii_lowercase().contains("host:") {
        String::new()
    } else {
        format!("Host: {admin}\r\n")
    };
    let length = if body.is_empty() && method == "GET" {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let request = format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{length}{fields}\r\n{body}");
    send(admin, request.as_bytes()).await
}

pub(crate) async fn get(admin: SocketAddr, path: &str) -> Answer {
    call(admin, "GET", path, "", "").await
}

pub(crate) async fn post(admin: SocketAddr, path: &str) -> Answer {
    call(admin, "POST", path, "", "").await
}

pub(crate) async fn put(admin: SocketAddr, path: &str, body: &str) -> Answer {
    call(admin, "PUT", path, "Content-Type: application/json\r\n", body).await
}

/// Sends bytes and reads what comes until the end.
pub(crate) async fn send(admin: SocketAddr, request: &[u8]) -> Answer {
    exchange(TcpStream::connect(admin).await.unwrap(), request).await
}

/// The same on any connection.
pub(crate) async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> Answer {
    // An answer may come before all of the request is taken.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("it is answered");
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Answer {
        status: head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}
