//! Texts of every kind: any, nearly right, and right ones with odd values.

use proptest::prelude::*;

use crate::checks::check_text;

const WHOLE: &str = "\
listeners: [':80', {address: '127.0.0.1:81', proxy_protocol: true}]
upstream: {url: 'http://127.0.0.1:8080/base', forwarded: forwarded, response_timeout: 1m 30s}
mirrors:
  a: {url: 'https://a.example/x', ratio: 0.5%, by: cookie(sid), headers: {set: {X-A: b}}, mask_query: [token]}
  b: http://[::1]:9000
routes:
  - match: {host: '*.example.com', prefix: /api/, headers: {x: {present: false}}, query: {q: {regex: '^a'}}}
    mirrors: [b]
    replace_prefix: /
  - {}
workers: 3
limits: {head: 1MiB}
";

/// A YAML scalar in double quotes that is this text.
fn quoted(text: &str) -> String {
    let escaped: String = text.chars().map(|c| format!("\\U{:08X}", u32::from(c))).collect();
    format!("\"{escaped}\"")
}

/// Text in which everything that means something to YAML or to us is likely.
fn odd() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "$",
        "${",
        "$${",
        "}",
        "'",
        "\"",
        ":",
        ": ",
        "#",
        " #",
        "-",
        "- ",
        "!",
        "&a",
        "*a",
        "|",
        ">",
        "%",
        "@",
        "`",
        "null",
        "~",
        "true",
        "no",
        "0x1",
        "1e3",
        ".inf",
        "2026-01-01",
        "\\",
        "ü",
        "😀",
        "/",
        "a",
        "[",
        "{",
        ",",
        "?",
        "=",
        "<<",
        "   ",
        "\u{a0}",
        "\u{2028}",
        "\u{feff}",
    ]);
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_refused_with_places_or_reads_back(text in "\\PC{0,200}") {
        check_text(&text);
    }

    #[test]
    fn a_file_with_a_piece_cut_out_or_put_in_is_refused_or_reads_back(
        at in 0..WHOLE.len(), cut in 0..20_usize, piece in odd(),
    ) {
        let end = (at + cut).min(WHOLE.len());
        check_text(&format!("{}{piece}{}", &WHOLE[..at], &WHOLE[end..]));
    }

    #[test]
    fn odd_values_are_printed_so_that_they_read_back(values in prop::collection::vec(odd(), 8)) {
        let value = |i: usize| quoted(&values[i].replace("${", "$${"));
        let text = format!(
            "listeners: [':0']
upstream: http://u:1
mirrors:
  m: {{url: 'https://m', headers: {{set: {{a: {}}}, add: {{b: {}}}}}, mask_query: [{}], tls: {{server_name: {}}}}}
routes:
  - match: {{headers: {{a: {}}}, query: {{{}: {}}}}}
  - {{match: {{prefix: '/x'}}, replace_prefix: {}}}
",
            value(0), value(1), value(2), value(3), value(4), value(5), value(6), quoted("/"),
        );
        check_text(&text);
    }
}

#[test]
fn an_error_behind_carriage_returns_is_on_the_line_that_they_start() {
    assert!(!check_text("a\r\r\rb: \0\r\nc: *ref"));
}

#[test]
fn the_whole_file_is_accepted() {
    assert!(check_text(WHOLE));
}
