//! Whatever two servers could read differently is refused, never guessed and never passed on.
//!
//! Malformed requests are sent to the real binary, malformed responses come from behind it. Each is refused, or what is
//! passed on is read by every server in the same way: as exactly the requests that were counted. The servers that people
//! run are asked themselves in the tests that need them installed.
#![allow(clippy::unwrap_used, reason = "tests")]

mod bodies;
mod harness;
mod http2;
mod odd;
mod requests;
mod responses;

use crate::harness::{Case, run};

/// Malformed requests: in their heads, and in their bodies.
fn malformed_requests() -> Vec<Case> {
    [requests::cases(), bodies::request_cases()].concat()
}

#[test]
fn there_are_enough_malformed_messages() {
    let responses = responses::cases().len() + bodies::response_cases().len();
    assert!(
        malformed_requests().len() >= 100,
        "{} requests",
        malformed_requests().len()
    );
    assert!(responses >= 60, "{responses} responses");
}

#[test]
fn malformed_request_heads_are_refused_and_never_reach_the_application() {
    run(requests::cases(), harness::refused);
}

#[test]
fn malformed_request_bodies_never_reach_the_application_as_whole_requests() {
    run(bodies::request_cases(), harness::cut);
}

#[test]
fn odd_but_legal_requests_pass_as_they_are() {
    run(odd::cases(), harness::passed);
}

#[test]
fn malformed_response_heads_become_a_bad_gateway() {
    run(responses::cases(), harness::bad_gateway);
}

#[test]
fn malformed_response_bodies_never_reach_the_client_as_whole_responses() {
    run(bodies::response_cases(), harness::cut_response);
}
