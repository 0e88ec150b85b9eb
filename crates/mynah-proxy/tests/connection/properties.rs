//! Streams of pieces of requests, and of frames.

use std::sync::LazyLock;

use proptest::prelude::*;

use crate::checks::{check_http1, check_http2, frames};
use crate::read::{Read, read_request};
use crate::stage::Stage;

static STAGE: LazyLock<Stage> = LazyLock::new(|| Stage::start("same"));
static DECODED: LazyLock<Stage> = LazyLock::new(|| Stage::start("http1"));

const PIECES: [&str; 40] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /b?a=1 HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-a: 2\r\n\r\n",
    "POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /e HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\na\r\n0\r\nT: 1\r\n\r\n",
    "GET /f HTTP/1.0\r\n\r\n",
    "HEAD /g HTTP/1.1\r\nHost: a\r\nConnection: x-b\r\nX-B: 1\r\n\r\n",
    "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://b/h HTTP/1.1\r\nHost: b\r\n\r\n",
    "GET http://b?x=1 HTTP/1.1\r\nHost: b\r\n\r\n",
    "GET /i HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /j HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "PUT /k HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    "POST /l HTTP/1.1\r\n",
    "Host: a\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: 3, 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding:\tchunked\r\n",
    "Connection: transfer-encoding, content-length\r\n",
    "Expect: 100-continue\r\n",
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    "\0",
    ":",
    "0\r\n\r\n",
    "3\r\nabc\r\n",
    "3 ;\r\nabc\r\n",
    "0x3\r\nabc\r\n",
    "ffffffffffffffff\r\n",
    "10000000000000003\r\n",
    "abc",
    "HTTP/1.1",
    "GET /m HTTP/1.1\r\nHost: a\r\nX-Odd: \u{e9}\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_upstream_sees_what_a_strict_server_would_have_read(
        pieces in prop::collection::vec(prop::sample::select(PIECES.as_slice()), 1..8),
        noise in prop::option::of((0..200_usize, any::<u8>())),
        cut in 0..40_usize,
    ) {
        let mut bytes = pieces.concat().into_bytes();
        if let Some((at, byte)) = noise
            && let Some(place) = bytes.get_mut(at)
        {
            *place = byte;
        }
        check_http1(&STAGE, &bytes, cut);
    }

    #[test]
    fn any_frames_are_well_formed_requests_for_the_upstream_or_nothing(
        bytes in prop::collection::vec(any::<u8>(), 0..200), raw: bool,
    ) {
        check_http2(&DECODED, &if raw { bytes } else { frames(&bytes) });
    }
}

#[test]
fn the_reader_knows_what_is_strict() {
    let whole = |text: &str| matches!(read_request(text.as_bytes()), Read::Whole(_, len) if len == text.len());
    assert!(PIECES[..14].iter().all(|text| whole(text)));
    for bad in [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nA : b\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\na",
    ] {
        assert!(matches!(read_request(bad.as_bytes()), Read::Malformed), "{bad:?}");
    }
}

#[test]
fn a_get_and_a_post_by_http2_reach_the_upstream() {
    // Head of a GET, head of a POST, its data; ends of streams where they belong.
    let bytes = [&[1, 0x05, 1, 0][..], &[1, 0x84, 3, 0], &[0, 0x01, 3, 2, b'h', b'i']].concat();
    assert_eq!(check_http2(&DECODED, &frames(&bytes)), 2);
}

#[test]
fn an_empty_length_by_http2_was_passed_on_in_http1() {
    // A literal `content-length` (28 in the static table) with an empty value, and the end of the stream.
    let head = [1, 0x05, 1, 3, 0x0f, 28 - 15, 0];
    assert_eq!(check_http2(&DECODED, &frames(&head)), 0);
}

#[test]
fn pipelined_requests_reach_the_upstream_however_they_are_cut() {
    let text = [PIECES[0], PIECES[2], PIECES[3], PIECES[4], PIECES[13]].concat();
    for cut in [0, 1, 7] {
        assert_eq!(check_http1(&STAGE, text.as_bytes(), cut), 5, "cut {cut}");
    }
}
