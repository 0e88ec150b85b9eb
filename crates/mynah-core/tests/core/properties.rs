//! Rules and requests made from random bytes.

use proptest::prelude::*;

use crate::checks::{check_match, check_rewrite, check_sampling};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_route_matches_when_each_condition_alone_does(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check_match(&bytes);
    }

    #[test]
    fn nothing_masked_or_malformed_is_in_what_is_rewritten(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        check_rewrite(&bytes);
    }

    #[test]
    fn samplers_keep_to_the_ratio(bytes in prop::collection::vec(any::<u8>(), 12..40)) {
        check_sampling(&bytes);
    }
}

#[test]
fn a_printable_target_with_a_masked_parameter_is_checked() {
    // A rewrite that masks `token`, and a request that has it.
    let spec = [0, 0, 1, 6, 0, 0, 0, 0, 0];
    let target = b"a?token=secret";
    let request = [&[target.len() as u8][..], target, &[0, 7, 0, 0]].concat();
    check_rewrite(&[&spec[..], &request].concat());
}
