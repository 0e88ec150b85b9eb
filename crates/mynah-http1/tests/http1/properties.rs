//! Properties of all messages, and of all bytes.

use mynah_http1::RequestKind;
use proptest::prelude::*;

use crate::checks::{Event, Side, check_prefixes, check_request, check_response, check_stream, read};
use crate::generate::{nearly, request, response, tokens};

fn kind() -> impl Strategy<Value = RequestKind> {
    prop::sample::select([RequestKind::Head, RequestKind::Connect, RequestKind::Other].as_slice())
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Requests), kind().prop_map(Side::Responses)]
}

/// The data of a stream, and how many messages ended in it.
fn heads_and_ends(events: &[Event]) -> (Vec<&[u8]>, usize) {
    let heads = events.iter().filter_map(|event| match event {
        Event::Head(head) => Some(&head[..]),
        _ => None,
    });
    let ends = events.iter().filter(|event| matches!(event, Event::End(_))).count();
    (heads.collect(), ends)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn well_formed_requests_are_read_and_edited_without_loss((head, _) in request()) {
        check_request(&head);
    }

    #[test]
    fn well_formed_responses_are_read_and_edited_without_loss((head, _) in response(), kind in kind()) {
        check_response(&head, kind);
    }

    #[test]
    fn pipelined_requests_end_where_the_next_one_starts(messages in prop::collection::vec(request(), 1..4), cut in 1..64usize) {
        let stream = messages.iter().map(|(head, body)| [&head[..], body].concat()).collect::<Vec<_>>().concat();
        let events = read(Side::Requests, [&stream[..]]);
        let (heads, ends) = heads_and_ends(&events);
        prop_assert_eq!(heads, messages.iter().map(|(head, _)| &head[..]).collect::<Vec<_>>());
        prop_assert_eq!(ends, messages.len());
        prop_assert_eq!(events.last(), Some(&Event::EndOfStream(true)));
        check_stream(Side::Requests, &stream, cut);
    }

    #[test]
    fn part_of_a_message_is_never_a_whole_one((head, body) in request(), len in any::<prop::sample::Index>()) {
        check_prefixes(Side::Requests, &head);
        let stream = [&head[..], &body].concat();
        let len = len.index(stream.len());
        let events = read(Side::Requests, [&stream[..len]]);
        prop_assert_eq!(heads_and_ends(&events).1, 0);
        prop_assert_eq!(events.last(), Some(&Event::EndOfStream(len == 0)));
    }

    #[test]
    fn part_of_a_response_head_is_never_a_whole_one((head, _) in response(), kind in kind()) {
        check_prefixes(Side::Responses(kind), &head);
    }

    #[test]
    fn nearly_well_formed_requests_are_read_alike_however_they_are_cut(stream in nearly(request()), cut in 1..64usize) {
        check_stream(Side::Requests, &stream, cut);
    }

    #[test]
    fn nearly_well_formed_responses_are_read_alike_however_they_are_cut(
        stream in nearly(response()), kind in kind(), cut in 1..64usize,
    ) {
        check_stream(Side::Responses(kind), &stream, cut);
    }

    #[test]
    fn any_bytes_are_read_alike_however_they_are_cut(
        stream in prop::collection::vec(any::<u8>(), 0..200), side in side(), cut in 1..64usize,
    ) {
        check_stream(side, &stream, cut);
    }

    #[test]
    fn any_tokens_are_read_alike_however_they_are_cut(stream in tokens(), side in side(), cut in 1..64usize) {
        check_stream(side, &stream, cut);
    }
}
