//! A panic in a copy's task ends what that task was about, and nothing else.
//!
//! It is injected by whoever listens to the log: the subscriber panics within the event that it is told to wait for, and so
//! within the task that logs it.

use std::cell::Cell;
use std::fmt;
use std::sync::Once;

use mynah_core::{FailReason, Outcome};
use mynah_testkit::app;
use mynah_testkit::client::client;
use mynah_testkit::ill::{Behaviour, ill_mirror};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use crate::stage::{ask, ended_of, perform};

const MIB: u64 = 1024 * 1024;

/// What the next event with a message does to the thread that logs it.
#[derive(Clone, Copy)]
struct Sabotage {
    message: &'static str,
    times: u32,
}

thread_local! {
    static DUE: Cell<Sabotage> = const { Cell::new(Sabotage { message: "", times: 0 }) };
}

/// Panics so often on this thread within events with this message.
fn sabotage(message: &'static str, times: u32) {
    static LISTENS: Once = Once::new();
    LISTENS.call_once(|| tracing::subscriber::set_global_default(Saboteur).unwrap());
    DUE.set(Sabotage { message, times });
}

/// Whether everything that was to panic has.
fn is_done() -> bool {
    DUE.get().times == 0
}

/// Listens for the whole process, as what is listened to is decided once for all threads.
struct Saboteur;

impl Subscriber for Saboteur {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && !is_done()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        let due = DUE.get();
        if message.0 == due.message {
            let times = due.times - 1;
            DUE.set(Sabotage { times, ..due });
            panic!("injected at {:?}", due.message);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The message of an event.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[test]
fn in_a_copy_by_http1_costs_that_copy_and_its_connection() {
    let set = async || {
        let mirror = ill_mirror(Behaviour::Resets).await;
        let config = format!("url: '{}', breaker: {{failures: 0}}", mirror.url());
        (mirror, config)
    };
    let totals = perform(set, MIB, async |stage, _| {
        sabotage("copy failed", 2);
        let mut client = client(stage.address).await.unwrap();
        for asked in 1..=5 {
            ask(&mut client, b"hello").await;
            stage.ended(asked).await;
        }
        assert!(is_done(), "nothing panicked");
        stage.clock.settle().await;
        let mirror = &stage.totals().mirrors[0];
        assert_eq!((mirror.in_flight, mirror.connections), (0, 0));
    });
    assert_eq!(ended_of(&totals), [(Outcome::Failed(FailReason::Reset), 5)]);
    assert_eq!((totals.errors, totals.held_bytes), ([0; _], 0));
}

#[test]
fn in_a_connection_by_http2_costs_the_copies_that_it_was_to_carry() {
    let set = async || {
        let mirror = app::mirror().await;
        let config = format!("url: '{}', protocol: http2", mirror.url());
        (mirror, config)
    };
    let totals = perform(set, MIB, async |stage, mirror| {
        // What h2 says when it begins a connection as a client, which only lanes do here: by then a copy waits for it.
        sabotage("binding client connection", 1);
        let mut client = client(stage.address).await.unwrap();
        ask(&mut client, b"hello").await;
        stage.ended(1).await;
        assert!(is_done(), "nothing panicked");
        for asked in 2..=5 {
            ask(&mut client, b"hello").await;
            stage.ended(asked).await;
        }
        assert_eq!(mirror.seen().len(), 4);
        assert_eq!(stage.totals().mirrors[0].connections, 1);
    });
    assert_eq!(
        ended_of(&totals),
        [(Outcome::Delivered, 4), (Outcome::Failed(FailReason::Internal), 1)]
    );
    assert_eq!((totals.errors, totals.held_bytes), ([0; _], 0));
}
