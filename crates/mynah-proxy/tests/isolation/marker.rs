//! Copies are told apart from originals, so that no request is ever copied in a circle.

use mynah_core::{MARKER, NotCopied, Outcome};
use mynah_testkit::app;
use mynah_testkit::client::{Client, client, http2_client};

use crate::stage::{Stage, ask, echo, ended_of, perform};

const MIB: u64 = 1024 * 1024;

/// What carries the marker is passed on with it, and not copied; what does not is, and its copy carries the marker.
fn marked_once(connect: impl AsyncFnOnce(&Stage) -> Client) {
    let set = async || {
        let mirror = app::mirror().await;
        let config = format!("url: '{}', ratio: 300%", mirror.url());
        (mirror, config)
    };
    let totals = perform(set, MIB, async |stage, mirror| {
        let mut client = connect(stage).await;
        let mut copy = echo(b"a copy");
        copy.headers_mut().insert(MARKER, "1".parse().unwrap());
        assert_eq!(client.ask(copy).await.unwrap().status(), 200);
        ask(&mut client, b"an original").await;
        stage.ended(3).await;

        let is_marked = |seen: &app::Seen| seen.headers.contains_key(MARKER);
        let marks: Vec<_> = stage.seen().iter().map(is_marked).collect();
        assert_eq!(marks, [true, false]);
        let seen = mirror.seen();
        assert_eq!(seen.len(), 3);
        assert!(seen.iter().all(is_marked));
    });
    assert_eq!(ended_of(&totals), [(Outcome::Delivered, 3)]);
    let mirror = &totals.mirrors[0];
    assert_eq!((mirror.matched, mirror.not_copied[NotCopied::Marker.index()]), (1, 1));
}

#[test]
fn a_copy_is_never_copied_again() {
    marked_once(async |stage| client(stage.address).await.unwrap());
}

#[test]
fn a_copy_is_never_copied_again_by_http2() {
    marked_once(async |stage| http2_client(stage.address).await.unwrap());
}
