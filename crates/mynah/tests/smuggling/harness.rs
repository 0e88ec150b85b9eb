//! Sends what is malformed, and looks at what became of it.

use std::env;
use std::path::PathBuf;

use mynah_testkit::binary::Mynah;
use mynah_testkit::raw::{Collector, Copy, End, Ended, requests, show};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::task::{JoinSet, LocalSet};

/// How many cases are under way at once.
const AT_ONCE: usize = 8;

/// A valid part longer than this is malformed by its size.
const LARGE: usize = 16 * 1024;

/// A message: bytes that are well-formed so far, and what follows.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// What may be passed on.
    pub(crate) valid: Vec<u8>,
    /// What makes the message malformed, and the rest.
    pub(crate) rest: Vec<u8>,
    /// With which status it is refused.
    pub(crate) status: u16,
}

/// A message that is refused as a whole.
pub(crate) fn case(name: &str, bytes: impl Into<Vec<u8>>, status: u16) -> Case {
    Case {
        name: name.to_owned(),
        valid: Vec::new(),
        rest: bytes.into(),
        status,
    }
}

impl Case {
    /// The whole message.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.valid.as_slice(), &self.rest].concat()
    }
}

/// The binary under test; another build of it when the environment names one.
pub(crate) fn binary() -> PathBuf {
    env::var_os("MYNAH_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_mynah").into(), PathBuf::from)
}

/// Tries every case, and fails with all that went wrong. `MYNAH_CASE` picks those whose names contain it.
pub(crate) fn run(
    mut cases: Vec<Case>,
    check: impl AsyncFn(&Case) -> Result<(), String> + std::marker::Copy + 'static,
) {
    if let Ok(part) = env::var("MYNAH_CASE") {
        cases.retain(|case| case.name.contains(&part));
    }
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let count = cases.len();
    let failures = LocalSet::new().block_on(&runtime, async {
        let mut trying = JoinSet::new();
        let mut failures = Vec::new();
        for case in cases {
            if trying.len() == AT_ONCE {
                failures.extend(trying.join_next().await.unwrap().unwrap());
            }
            trying.spawn_local(async move {
                let failure = check(&case).await.err()?;
                Some(format!("«{}» {}: {failure}", case.name, show(&case.bytes())))
            });
        }
        failures.extend(trying.join_all().await.into_iter().flatten());
        failures
    });
    assert!(
        failures.is_empty(),
        "{} of {count} cases failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

struct Around {
    app: Collector,
    mirror: Collector,
    mynah: Mynah,
    client: End,
}

impl Around {
    async fn start() -> Result<Self, String> {
        let app = Collector::start().await.unwrap();
        let mirror = Collector::start().await.unwrap();
        let mynah = Mynah::before(&binary(), app.address(), &[mirror.address()]).await?;
        let client = End::connect(mynah.address()).await.unwrap();
        Ok(Self {
            app,
            mirror,
            mynah,
            client,
        })
    }

    /// Waits until the connection ends. What the client received.
    async fn end(&mut self) -> Result<Vec<u8>, String> {
        match self.client.until_ended().await {
            Some(Ended::Fin) => Ok(self.client.received().to_vec()),
            Some(Ended::Reset) => Err(format!("the client was reset after {}", show(self.client.received()))),
            None => Err(format!(
                "neither refused nor ended; the client has {}",
                show(self.client.received())
            )),
        }
    }
}

/// The client gets the status and the end; nothing reaches the application or the mirror; nothing is counted but the error.
pub(crate) async fn refused(case: &Case) -> Result<(), String> {
    let mut around = Around::start().await?;
    around.client.send(&case.bytes());
    let answer = around.end().await?;
    is_refusal(&answer, case.status)?;
    let metrics = around.mynah.until("refused", |m| m.errors("bad_request") == 1).await?;
    if metrics.sum("mynah_requests_total", &[]) != 0 {
        return Err(format!("counted: {metrics}"));
    }
    for (who, server) in [("application", &around.app), ("mirror", &around.mirror)] {
        if !server.bytes().is_empty() {
            return Err(format!("the {who} received {}", show(&server.bytes())));
        }
    }
    Ok(())
}

/// The application sees at most the part that is well-formed, and then the end of its connection; so does the mirror.
/// However the message is cut: all of it at once, and its malformed part only when the rest has arrived.
pub(crate) async fn cut(case: &Case) -> Result<(), String> {
    cut_in(case, false).await?;
    if case.valid.len() > LARGE {
        // What is past a limit, is so in the middle of what is otherwise well-formed.
        return Ok(());
    }
    cut_in(case, true)
        .await
        .map_err(|failure| format!("in two parts: {failure}"))
}

async fn cut_in(case: &Case, two_parts: bool) -> Result<(), String> {
    let mut around = Around::start().await?;
    if two_parts {
        around.client.send_all(&case.valid).await;
        around.app.until_bytes(case.valid.len()).await;
        if around.app.bytes() != case.valid {
            return Err(format!("the application received only {}", show(&around.app.bytes())));
        }
        around.client.send(&case.rest);
    } else {
        around.client.send(&case.bytes());
    }
    let answer = around.end().await?;
    is_refusal(&answer, case.status)?;
    let accounts = around.mynah.at_rest().await?;
    if two_parts {
        around.app.until(|seen| !seen.is_empty()).await;
    }
    let (received, seen) = (around.app.bytes(), around.app.copies());
    if !case.valid.starts_with(&received) || seen.iter().any(|seen| matches!(seen, Copy::Whole(_))) {
        return Err(format!(
            "the application received {} and read {seen:?}",
            show(&received)
        ));
    }
    let whole = around.mirror.whole();
    if accounts.requests != 1 || accounts.mirror().delivered != 0 || !whole.is_empty() {
        return Err(format!("{accounts:?}; the mirror received {whole:?}"));
    }
    Ok(())
}

/// The application receives the same bytes and the same requests are counted.
pub(crate) async fn passed(case: &Case) -> Result<(), String> {
    let mut around = Around::start().await?;
    let (sent, whole) = requests(&case.bytes());
    assert!(
        whole && !sent.is_empty(),
        "«{}» is for requests that are whole",
        case.name
    );
    around.client.send_all(&case.bytes()).await;
    let seen = around.app.until(|seen| seen.len() >= sent.len()).await;
    let received = seen.iter().filter_map(|seen| match seen {
        Copy::Whole(request) => Some(request.clone()),
        _ => None,
    });
    let received: Vec<_> = received.collect();
    let metrics = around.mynah.metrics().await?;
    if received != sent || metrics.sum("mynah_requests_total", &[]) != sent.len() as u64 {
        return Err(format!("the application received {received:?}; {metrics}"));
    }
    let answers = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".repeat(sent.len());
    if around.client.until_ends_with(answers.as_bytes()).await {
        Ok(())
    } else {
        Err(format!("the client received {}", show(around.client.received())))
    }
}

/// The client gets 502 and the end in place of the application's response.
pub(crate) async fn bad_gateway(case: &Case) -> Result<(), String> {
    let (answer, ended, mynah) = answered_by(case).await?;
    is_refusal(&answer, 502)?;
    if ended != Ended::Fin {
        return Err("the client was reset".to_owned());
    }
    mynah
        .until("refused", |m| m.errors("bad_response") == 1)
        .await
        .map(drop)
}

/// The client gets at most the part that is well-formed, and then the end of its connection.
pub(crate) async fn cut_response(case: &Case) -> Result<(), String> {
    let (answer, _, mynah) = answered_by(case).await?;
    if !case.valid.starts_with(&answer) {
        return Err(format!("the client received {}", show(&answer)));
    }
    mynah
        .until("refused", |m| m.errors("bad_response") == 1)
        .await
        .map(drop)
}

/// What a client receives when the application answers like this, and how the connection ends.
async fn answered_by(case: &Case) -> Result<(Vec<u8>, Ended, Mynah), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mirror = Collector::start().await.unwrap();
    let mynah = Mynah::before(&binary(), listener.local_addr().unwrap(), &[mirror.address()]).await?;
    let mut client = End::connect(mynah.address()).await.unwrap();
    client.send_all(b"GET /r HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut app = End::new(listener.accept().await.unwrap().0);
    if !app.until_ends_with(b"\r\n\r\n").await {
        return Err("the request did not arrive".to_owned());
    }
    app.send_all(&case.bytes()).await;
    let Some(ended) = client.until_ended().await else {
        return Err(format!("not ended; the client has {}", show(client.received())));
    };
    if app.until_ended().await.is_none() {
        return Err("the application's connection was kept".to_owned());
    }
    Ok((client.received().to_vec(), ended, mynah))
}

/// Whether this is one response of that status with nothing behind it.
fn is_refusal(answer: &[u8], status: u16) -> Result<(), String> {
    let start = format!("HTTP/1.1 {status} ");
    let heads = answer.windows(4).filter(|bytes| bytes == b"\r\n\r\n").count();
    if answer.starts_with(start.as_bytes()) && answer.ends_with(b"\r\n\r\n") && heads == 1 {
        Ok(())
    } else {
        Err(format!("answered by {} in place of {status}", show(answer)))
    }
}
