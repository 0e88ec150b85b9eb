//! HTTP/2: what happens on the streams of a connection.

mod bodies;
mod ends;
mod grpc;
mod heads;

use std::env;

use mynah_testkit::app::{Seen, mirror};
use mynah_testkit::binary::Mynah;
use mynah_testkit::http2::{Script, play};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::harness::{Through, binary};

pub(crate) fn scripts() -> Vec<Script> {
    [heads::scripts(), bodies::scripts(), grpc::scripts(), ends::scripts()].concat()
}

/// Plays every script, and fails with all that went wrong. `MYNAH_SCRIPT` picks those whose names contain it.
pub(crate) fn check(mut scripts: Vec<Script>, through: Through) {
    if let Ok(part) = env::var("MYNAH_SCRIPT") {
        scripts.retain(|script| script.name().contains(&part));
    }
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let failures: Vec<String> = LocalSet::new().block_on(&runtime, async {
        let mut failures = Vec::new();
        for script in &scripts {
            if let Err(failure) = check_one(script, through).await {
                failures.push(format!("«{}»: {failure}", script.name()));
            }
        }
        failures
    });
    assert!(
        failures.is_empty(),
        "{} of {} scripts failed through {through:?}:\n{}",
        failures.len(),
        scripts.len(),
        failures.join("\n")
    );
}

async fn check_one(script: &Script, through: Through) -> Result<(), String> {
    let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
    if through == Through::Nothing {
        return play(script, app.local_addr().unwrap(), &app).await.map(drop);
    }
    let mirror = mirror().await;
    let mynah = Mynah::before(&binary(), app.local_addr().unwrap(), &[mirror.address()]).await?;
    let played = play(script, mynah.address(), &app).await;
    let played = played.map_err(|failure| format!("{failure}; {}", mynah.output()))?;
    let (accounts, metrics) = mynah.settled().await?;
    if accounts.requests != played.requests as u64 {
        return Err(format!("{} requests counted of {}", accounts.requests, played.requests));
    }
    if metrics.errors_of("internal") > 0 {
        return Err(metrics.to_string());
    }
    let mut expected = whole_requests(script);
    let mut seen: Vec<String> = mirror.seen().iter().filter(|seen| seen.complete).map(essence).collect();
    expected.sort();
    seen.sort();
    if expected != seen {
        return Err(format!(
            "the mirror received {seen:#?} in place of {expected:#?}; {metrics}"
        ));
    }
    Ok(())
}

/// What the mirror must receive.
fn whole_requests(script: &Script) -> Vec<String> {
    let requests = script.requests().into_iter().zip(script.bodies());
    requests
        .filter(|((request, whole), _)| {
            *whole && request.method() != "CONNECT" && !request.headers().contains_key("mynah-copy")
        })
        .map(|((request, _), (body, trailers))| {
            let mut headers = request.headers().clone();
            // Permission to send is asked of the application alone.
            headers.remove("expect");
            let target = request.uri().path_and_query().map(ToString::to_string);
            format!(
                "{} {} {headers:?} {} {trailers:?}",
                request.method(),
                target.unwrap_or_default(),
                body.len()
            )
        })
        .collect()
}

fn essence(seen: &Seen) -> String {
    let mut headers = seen.headers.clone();
    headers.remove("mynah-copy");
    format!(
        "{} {} {headers:?} {} {:?}",
        seen.method,
        seen.target,
        seen.body.len(),
        seen.trailers
    )
}
