//! A gRPC client and server, and another server as the mirror.

use std::net::SocketAddr;

use mynah_testkit::program::Program;

use crate::harness::{listening, node, patient_mynah, settled_with_every_copy};

/// What a client says that makes its calls to this address.
async fn calls(address: SocketAddr) -> String {
    Program::run(node("grpc-client.js", &[&address.to_string()]))
        .await
        .unwrap()
}

/// The calls that a server has seen, in an order of their own.
fn seen(server: &Program) -> Vec<String> {
    let mut calls: Vec<_> = server
        .output()
        .into_iter()
        .filter(|line| line.starts_with("call "))
        .collect();
    calls.sort();
    calls
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn grpc_calls_of_every_kind_are_the_same_through_mynah_and_all_copied() {
    let (direct, direct_address) = listening(node("grpc-server.js", &[])).await;
    let (server, upstream) = listening(node("grpc-server.js", &[])).await;
    let (copies, mirror) = listening(node("grpc-server.js", &[])).await;
    let directory = tempfile::tempdir().unwrap();
    let mynah = patient_mynah(directory.path(), upstream, mirror, None).await;

    assert_eq!(calls(mynah.address()).await, calls(direct_address).await);

    let accounts = settled_with_every_copy(&mynah).await;
    assert_eq!(accounts.requests as usize, seen(&direct).len());
    assert_eq!(seen(&server), seen(&direct));
    assert_eq!(seen(&copies), seen(&direct));
}

#[tokio::test]
#[ignore = "needs nginx, curl, node, chromium: make peers"]
async fn a_grpc_call_past_its_deadline_is_cancelled_at_the_server() {
    let (_server, upstream) = listening(node("grpc-server.js", &[])).await;
    let (_copies, mirror) = listening(node("grpc-server.js", &[])).await;
    let directory = tempfile::tempdir().unwrap();
    let mynah = patient_mynah(directory.path(), upstream, mirror, None).await;

    let client = node("grpc-client.js", &[&mynah.address().to_string(), "deadline"]);
    let said = Program::run(client).await.unwrap();
    assert_eq!(said, r#"{"unary_past_its_deadline":{"code":4}}"#);

    let (accounts, metrics) = mynah.settled().await.unwrap();
    assert_eq!((accounts.requests, accounts.mirror().ended()), (1, 1), "{metrics}");
    assert_eq!(
        metrics.errors_of("upstream") + metrics.errors_of("internal"),
        0,
        "{metrics}"
    );
}
