//! Putting Mynah in front of an application changes nothing that the client or the application can tell.
//!
//! Every exchange is a script of bytes. It is played over a direct connection, through a program that relays bytes (which
//! shows that the script asks for nothing impossible), and through the real binary, copying everything. The bytes that
//! both ends receive, and how their connections end, must be the same each time; the few differences that are a proxy's
//! duty are declared in the script. The mirror must receive every complete request whole, and the counts must add up.
#![allow(clippy::unwrap_used, reason = "tests")]

mod bodies;
mod connections;
mod differences;
mod ends;
mod harness;
mod http2;
mod interim;
mod requests;
mod responses;
mod shared;
mod translation;
mod tunnels;

use mynah_testkit::raw::Script;

use crate::harness::{Through, check};

fn every_script() -> Vec<Script> {
    [
        requests::scripts(),
        responses::scripts(),
        bodies::scripts(),
        interim::scripts(),
        ends::scripts(),
        tunnels::scripts(),
        differences::scripts(),
    ]
    .concat()
}

#[test]
fn the_scripts_hold_on_a_direct_connection() {
    assert!(every_script().len() >= 120, "{} scripts", every_script().len());
    check(every_script(), Through::Nothing);
}

#[test]
fn the_scripts_hold_through_a_relay_of_bytes() {
    check(every_script(), Through::Relay);
}

#[test]
fn requests_arrive_as_they_were_sent() {
    check(requests::scripts(), Through::Mynah);
}

#[test]
fn responses_arrive_as_they_were_sent() {
    check(responses::scripts(), Through::Mynah);
}

#[test]
fn bodies_arrive_as_they_were_sent_and_when_they_were_sent() {
    check(bodies::scripts(), Through::Mynah);
}

#[test]
fn interim_and_early_responses_pass_at_once() {
    check(interim::scripts(), Through::Mynah);
}

#[test]
fn connections_end_as_they_would_without_mynah() {
    check(ends::scripts(), Through::Mynah);
}

#[test]
fn tunnels_pass_everything_both_ways() {
    check(tunnels::scripts(), Through::Mynah);
}

#[test]
fn the_http2_scripts_hold_on_a_direct_connection() {
    let scripts = http2::scripts();
    assert!(scripts.len() >= 100, "{} scripts", scripts.len());
    http2::check(scripts, Through::Nothing);
}

#[test]
fn http2_streams_pass_as_they_would_without_mynah() {
    http2::check(http2::scripts(), Through::Mynah);
}

#[test]
#[ignore = "known differences"]
fn known_differences_are_gone() {
    check(differences::scripts(), Through::Mynah);
}
