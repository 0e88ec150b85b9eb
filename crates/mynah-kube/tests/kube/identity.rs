//! What inject does to manifests of the kinds that people run, and that eject leaves exactly what was there before.

use std::path::Path;
use std::{env, fs};

use mynah_kube::inject::{Mode, Options, Takeover};
use mynah_kube::{Error, eject, inject};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::common::options;
use crate::generate::{Style, any_manifests, any_style};

/// Every way to inject that these manifests may allow.
pub(crate) fn ways() -> Vec<Options> {
    let mut ways = Vec::new();
    for mode in [Mode::Beside, Mode::InPlace] {
        for takeover in [Takeover::Port, Takeover::Named, Takeover::Redirect] {
            let mut way = options(mode, Some(takeover));
            if takeover == Takeover::Port {
                way.app_env = vec![("PORT".to_owned(), "{port}".to_owned())];
                way.app_args = vec!["-host".to_owned(), "0.0.0.0:{port}".to_owned()];
            }
            way.native = (mode == Mode::Beside).then_some(false);
            ways.push(way);
        }
    }
    ways
}

/// Injects in every way and ejects again; returns how many ways there were.
fn there_and_back(name: &str, text: &str, ways: &[Options]) -> usize {
    let mut worked = 0;
    for way in ways {
        let injected = match inject(text, way) {
            Ok(injected) => injected,
            Err(Error::Refused(refusal)) => {
                assert!(
                    !refusal.reason.contains("cannot edit"),
                    "{name}, {:?}: {refusal}",
                    way.takeover
                );
                continue;
            }
            Err(error) => panic!("{name}: {error}"),
        };
        assert_ne!(injected.text, text);
        assert!(injected.text.contains("mynah:test"), "{name}");
        let again = inject(
            &injected.text,
            &Options {
                target: Some(injected.workload.clone()),
                ..way.clone()
            },
        );
        assert!(again.is_err(), "{name}: injected twice");
        let ejected = eject(&injected.text, None).unwrap_or_else(|error| panic!("{name}: {error}\n{}", injected.text));
        assert_eq!(
            ejected.text, text,
            "{name}, {:?} {:?}:\n{}",
            way.mode, way.takeover, injected.text
        );
        worked += 1;
    }
    worked
}

fn manifests() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests");
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                fs::read_to_string(path).unwrap(),
            )
        })
        .collect();
    found.sort();
    found
}

#[test]
fn eject_leaves_hand_written_manifests_exactly_as_they_were() {
    let manifests = manifests();
    assert!(manifests.len() >= 12, "{} manifests", manifests.len());
    for (name, text) in &manifests {
        assert!(there_and_back(name, text, &ways()) >= 2, "{name}: hardly any way works");
    }
}

#[test]
fn line_ends_of_another_system_and_a_missing_last_one_survive() {
    let ways: Vec<_> = ways().into_iter().filter(|way| way.mode == Mode::InPlace).collect();
    for (name, text) in &manifests() {
        if name.contains("crlf") {
            continue;
        }
        there_and_back(name, &text.replace('\n', "\r\n"), &ways);
        if !name.contains("script-last") {
            there_and_back(name, text.trim_end(), &ways);
        }
        there_and_back(name, &format!("\u{feff}{text}"), &ways);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn inject_then_eject_is_the_identity(manifests in any_manifests(), style in any_style(), way in 0_usize..6) {
        let text = Style::write(&style, &manifests);
        there_and_back("generated", &text, &ways()[way..=way]);
    }
}

#[test]
fn most_generated_manifests_can_be_injected() {
    // Otherwise the property above would hold for nothing.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut worked = 0;
    for _ in 0..40 {
        let manifests = any_manifests().new_tree(&mut runner).unwrap().current();
        let style = any_style().new_tree(&mut runner).unwrap().current();
        let redirect = &ways()[5..6];
        worked += there_and_back("generated", &Style::write(&style, &manifests), redirect);
    }
    assert!(worked >= 25, "{worked} of 40");
}
