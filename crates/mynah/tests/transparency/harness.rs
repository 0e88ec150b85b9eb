//! Plays scripts and compares.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use mynah_testkit::binary::Mynah;
use mynah_testkit::raw::{Collector, Copy, Played, Relay, Request, Script, play, requests, show};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::task::{JoinSet, LocalSet};

/// What stands between client and application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Through {
    Nothing,
    Relay,
    Mynah,
}

/// The binary under test; another build of it when the environment names one.
pub(crate) fn binary() -> PathBuf {
    env::var_os("MYNAH_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_mynah").into(), PathBuf::from)
}

/// How long a test may take that waits for something.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How many scripts are under way at once.
const AT_ONCE: usize = 8;

/// Plays every script, and fails with all that went wrong. `MYNAH_SCRIPT` picks those whose names contain it.
pub(crate) fn check(mut scripts: Vec<Script>, through: Through) {
    if let Ok(part) = env::var("MYNAH_SCRIPT") {
        scripts.retain(|script| script.name().contains(&part));
    }
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let count = scripts.len();
    let failures = LocalSet::new().block_on(&runtime, async {
        let mut playing = JoinSet::new();
        let mut failures = Vec::new();
        for script in scripts {
            if playing.len() == AT_ONCE {
                failures.extend(playing.join_next().await.unwrap().unwrap());
            }
            playing.spawn_local(async move {
                let failure = check_one(&script, through).await.err()?;
                Some(format!("«{}»: {failure}", script.name()))
            });
        }
        failures.extend(playing.join_all().await.into_iter().flatten());
        failures
    });
    assert!(
        failures.is_empty(),
        "{} of {count} scripts failed through {through:?}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

async fn check_one(script: &Script, through: Through) -> Result<(), String> {
    let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = app.local_addr().unwrap();
    match through {
        Through::Nothing => play(script, address, &app, true).await.map(drop),
        Through::Relay => {
            let relay = Relay::start(address).await.unwrap();
            play(script, relay.address(), &app, true).await.map(drop)
        }
        Through::Mynah => return check_mynah(script, &app).await,
    }
    .map_err(|mismatch| mismatch.to_string())
}

async fn check_mynah(script: &Script, app: &TcpListener) -> Result<(), String> {
    let mirror = Collector::start().await.unwrap();
    let mynah = Mynah::before(&binary(), app.local_addr().unwrap(), &[mirror.address()]).await?;
    let played = play(script, mynah.address(), app, false).await;
    let played = played.map_err(|mismatch| format!("{mismatch}; {}", mynah.output()))?;
    check_copies(&played, &mynah, &mirror).await
}

/// Every whole request was copied whole, and everything was counted.
async fn check_copies(played: &Played, mynah: &Mynah, mirror: &Collector) -> Result<(), String> {
    let (sent, last_is_whole) = requests(&played.sent);
    let accounts = mynah.at_rest().await?;
    if accounts.requests != sent.len() as u64 {
        return Err(format!("{} requests counted of {sent:?}", accounts.requests));
    }
    let whole = sent.len() - usize::from(!last_is_whole);
    let mut expected: Vec<_> = sent[..whole]
        .iter()
        .filter(|r| is_copied(r))
        .map(Request::essence)
        .collect();
    let copies = mirror.until(|copies| copies.len() >= expected.len()).await;
    let mut received = Vec::new();
    for copy in copies {
        match copy {
            Copy::Whole(request) if request.values("mynah-copy").len() == 1 => received.push(request.essence()),
            Copy::Whole(request) => return Err(format!("a copy without its marker: {request:?}")),
            Copy::Cut(_) if !last_is_whole => {}
            Copy::Cut(request) => return Err(format!("a copy cut short: {request:?}")),
            Copy::Malformed(bytes) => return Err(format!("the mirror received {}", bytes.escape_ascii())),
        }
    }
    expected.sort();
    received.sort();
    if expected == received {
        Ok(())
    } else {
        Err(format!(
            "the mirror received {} in place of {}; {accounts:?}",
            list(&received),
            list(&expected)
        ))
    }
}

fn is_copied(request: &Request) -> bool {
    let is_probe = request
        .values("user-agent")
        .iter()
        .any(|agent| agent.starts_with(b"kube-probe/"));
    !request.leaves_http() && request.values("mynah-copy").is_empty() && !is_probe
}

fn list(requests: &[String]) -> String {
    requests
        .iter()
        .map(|request| show(request.as_bytes()))
        .collect::<Vec<_>>()
        .join(", ")
}
