//! `mynah check`, and what `run` says of the same files.

use std::fs;

use tempfile::{TempDir, tempdir};

use crate::mynah;

const MINIMAL: &str = "\
listeners: [':0']
upstream: http://127.0.0.1:8080
mirrors:
  staging: http://10.0.0.7
";

/// A folder with a file in it.
fn folder(text: impl AsRef<[u8]>) -> TempDir {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("mynah.yaml"), text).unwrap();
    folder
}

/// What `check` says of a file that is refused, without the list of keys behind `expected one of`.
fn refused(text: impl AsRef<[u8]>) -> String {
    let folder = folder(text);
    let (code, out, errors) = mynah(folder.path(), &["check", "mynah.yaml"]);
    assert_eq!((code, out.as_str()), (2, ""), "{errors}");
    for more in [
        &["check", "--print", "mynah.yaml"][..],
        &["run", "--config", "mynah.yaml"],
    ] {
        let again = mynah(folder.path(), more);
        assert_eq!(again, (2, String::new(), errors.clone()), "{more:?}");
    }
    let short = |line: &str| match line.split_once("expected one of ") {
        Some((before, list)) => format!(
            "{before}expected one of …{}",
            list.find(';').map_or("", |at| &list[at..])
        ),
        None => line.to_owned(),
    };
    errors.lines().map(|line| short(line) + "\n").collect()
}

#[test]
fn a_file_in_order_is_ok() {
    let folder = folder(MINIMAL);
    let said = mynah(folder.path(), &["check", "mynah.yaml"]);
    assert_eq!(said, (0, "mynah.yaml: ok\n".to_owned(), String::new()));
}

#[test]
fn everything_wrong_is_told_at_once_with_its_place() {
    assert_eq!(
        refused(
            "\
listeners: [':0', 80]
upstream: {url: 'http://a:1', protcol: http2}
mirrors:
  staging:
    url: http://b
    ratio: 25
    credentials: hidden
    requests_per_second: -1
routes:
  - match: {prefix: api, methods: [get]}
    mirrors: [stagin]
drain_timeout: 5
limits: {head: 1KiB, fields: many}
worker: 2
"
        ),
        "\
mynah.yaml:1:19: listeners[1]: '80' is not valid; expected an address and port such as 0.0.0.0:80 or [::]:80, or :80 for every address
mynah.yaml:2:31: upstream.protcol: unknown key; expected one of …; did you mean 'protocol'?
mynah.yaml:6:12: mirrors.staging.ratio: '25' is not valid; expected a percentage from 0% to 10000% in steps of 0.0001%, such as 25%
mynah.yaml:7:18: mirrors.staging.credentials: 'hidden' is not valid; expected keep, drop or hash
mynah.yaml:8:26: mirrors.staging.requests_per_second: '-1' is not valid; expected a number of at least 0.001
mynah.yaml:10:21: routes[0].match.prefix: 'api' is not valid; expected a path that starts with /, without query
mynah.yaml:10:36: routes[0].match.methods[0]: 'get' is not valid; methods are case-sensitive; expected GET
mynah.yaml:11:15: routes[0].mirrors[0]: no mirror is called 'stagin'; expected one of …; did you mean 'staging'?
mynah.yaml:12:16: drain_timeout: '5' is not valid; expected a duration with its unit, such as 250ms, 10s or 1m 30s
mynah.yaml:13:1: limits.request_line: 64KiB is more than limits.head, 1KiB; expected at most that
mynah.yaml:13:30: limits.fields: 'many' is not valid; expected a whole number from 1 to 65535
mynah.yaml:14:1: worker: unknown key; expected one of …; did you mean 'workers'?
"
    );
}

#[test]
fn what_is_no_configuration_is_told_with_its_place() {
    for (text, expected) in [
        (
            "",
            "mynah.yaml:1:1: listeners: missing; expected a list; each element is an address such as :80, or a mapping\nmynah.yaml:1:1: upstream: missing; expected a URL such as http://127.0.0.1:8080, or a mapping\n",
        ),
        ("- a\n", "mynah.yaml:1:1: expected a mapping, found a list\n"),
        ("a: 1\n---\nb: 2\n", "mynah.yaml:3:1: a second document; expected one\n"),
        (
            "listeners: x\nlisteners: y\nupstream: http://a\n",
            "mynah.yaml:2:1: key 'listeners' is given twice, first on line 1; expected it once\n",
        ),
        (
            "listeners: ['${MYNAH_TEST_UNSET}']\nupstream: http://a\n",
            "mynah.yaml:1:13: environment variable MYNAH_TEST_UNSET is not set; ${MYNAH_TEST_UNSET:-default} gives it a default\n",
        ),
    ] {
        let errors = refused(text);
        assert!(errors.contains(expected), "{text:?}: {errors}");
    }
    assert_eq!(
        refused(b"listeners: \xff\n"),
        "mynah.yaml: cannot read: stream did not contain valid UTF-8\n"
    );
    for text in [
        "listeners: [",
        "listeners: {",
        "a: b: c",
        "\tlisteners: x",
        "listeners: \"x",
        "*a",
        "%",
        "'",
    ] {
        let errors = refused(text);
        assert!(errors.starts_with("mynah.yaml:"), "{text:?}: {errors}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = tempdir().unwrap();
    for args in [&["check", "nowhere.yaml"][..], &["run", "-c", "nowhere.yaml"]] {
        let (code, out, errors) = mynah(folder.path(), args);
        assert_eq!((code, out.as_str()), (2, ""));
        assert_eq!(
            errors,
            "nowhere.yaml: cannot read: No such file or directory (os error 2)\n"
        );
    }
}

#[test]
fn what_is_printed_is_the_same_configuration() {
    let folder = folder(
        "\
listeners: [{address: '127.0.0.1:0', proxy_protocol: true}]
upstream: {url: 'http://${MYNAH_TEST_UNSET:-app}:8080/v1', forwarded: x-forwarded-for}
mirrors:
  a: {url: 'https://a.example', tls: {insecure: true}, ratio: 0.5%, adaptive: true, headers: {set: {X-Raw: '$${b}'}}}
routes:
  - match: {host: '*.example.com', regex: '^/[a-z]+$'}
    mirrors: [a]
workers: 2
",
    );
    let (code, printed, errors) = mynah(folder.path(), &["check", "--print", "mynah.yaml"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    for line in [
        "  url: http://app:8080/v1\n",
        "        X-Raw: $${b}\n",
        "      floor: 1%\n",
        "drain_timeout: 25s\n",
    ] {
        assert!(printed.contains(line), "{line:?} in {printed}");
    }
    fs::write(folder.path().join("printed.yaml"), &printed).unwrap();
    let again = mynah(folder.path(), &["check", "--print", "printed.yaml"]);
    assert_eq!(again, (0, printed, String::new()));
}
