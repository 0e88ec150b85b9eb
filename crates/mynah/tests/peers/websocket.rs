//! A WebSocket client and server.

use mynah_testkit::program::Program;
use mynah_testkit::raw::Collector;

use crate::harness::{listening, mynah, node, settled_without_errors};

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn a_websocket_passes_everything_and_is_not_copied() {
    let (server, upstream) = listening(node("websocket-server.js", &[])).await;
    let mirror = Collector::start().await.unwrap();
    let mynah = mynah(upstream, mirror.address()).await;

    let direct = node("websocket-client.js", &[&format!("ws://{upstream}/chat?a=b")]);
    let direct = Program::run(direct).await.unwrap();
    let through = node("websocket-client.js", &[&format!("ws://{}/chat?a=b", mynah.address())]);
    let through = Program::run(through).await.unwrap();
    assert_eq!(direct, through);
    assert!(through.contains(r#"{"closed":4001,"reason":"enough"}"#), "{through}");
    let both = ["connected /chat?a=b", "closed 4001 enough"].repeat(2);
    assert_eq!(server.output()[1..], both);

    let (accounts, metrics) = settled_without_errors(&mynah).await;
    assert_eq!((accounts.requests, accounts.mirror().copies), (1, 0));
    assert_eq!(metrics.not_copied("upgrade"), 1, "{metrics}");
    assert_eq!(mirror.connections(), 0);
}
