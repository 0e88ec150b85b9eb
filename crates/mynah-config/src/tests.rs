use std::path::Path;
use std::time::Duration;

use mynah_core::{HostMatch, LogFormat, PathMatch, Ratio, ValueMatch};
use proptest::prelude::*;

use crate::model::{Alpn, Config, Credentials, HostPolicy, LogDestination, Protocol, SampleBy};
use crate::{Flags, effective, from_flags, load, parse, reference, schema};

const MINIMAL: &str = "\
listeners: [':0']
upstream: http://127.0.0.1:8080
mirrors:
  staging: http://10.0.0.7
";

fn read(text: &str) -> Config {
    parse(text, Path::new("test.yaml")).unwrap_or_else(|errors| panic!("{errors}"))
}

fn errors(text: &str) -> Vec<String> {
    match parse(text, Path::new("test.yaml")) {
        Ok(config) => panic!("accepted as {config:?}"),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

/// The one error of the minimal file with something more in it.
fn error_of(more: &str) -> String {
    let mut errors = errors(&format!("{MINIMAL}{more}"));
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors.remove(0)
}

#[test]
fn four_lines_are_enough() {
    let config = read(MINIMAL);
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.upstreams[0].url.port, 8080);
    assert_eq!(config.mirrors[0].name, "staging");
    assert_eq!(config.mirrors[0].url.port, 80);
    assert_eq!(config.mirrors[0].ratio, Ratio::ONE);
    assert_eq!(config.routes[0].mirrors, [0]);
    assert_eq!(config.drain_timeout, Duration::from_secs(25));
    assert!(config.workers >= 1);
}

#[test]
fn everything_can_be_said() {
    let config = read(
        "
listeners:
  - 127.0.0.1:81
  - {address: '[::1]:82', proxy_protocol: true}
upstream: {url: 'http://app:8080/base', protocol: http2, forwarded: x-forwarded-for, response_timeout: 30s}
mirrors:
  a:
    url: https://test.example.com/shadow
    ratio: 0.5%
    by: header(X-User-Id)
    methods: [GET, HEAD]
    host: target
    headers: {set: {X-Env: test, x-version: 1.10}, remove: [X-Secret]}
    credentials: hash
    mask_query: [token]
    requests_per_second: 2.5
    breaker: {failures: 0}
  b: http://[::1]:9000
routes:
  - match:
      host: '*.example.com'
      prefix: /api/
      headers: {x-a: 1, x-b: {present: false}}
      query: {q: {regex: '^[0-9]+$'}}
    mirrors: [b]
    replace_prefix: /
    upstream: http://other:1
workers: 3
",
    );
    assert!(config.listeners[1].proxy_protocol);
    assert_eq!(config.upstreams[0].protocol, Protocol::Http2);
    assert_eq!(config.upstreams[0].url.path.as_deref(), Some("/base"));
    let a = &config.mirrors[0];
    assert_eq!(a.ratio, Ratio::from_units(5000).unwrap());
    assert_eq!(a.by, SampleBy::Header("x-user-id".to_owned()));
    assert_eq!(a.host, HostPolicy::Target);
    assert_eq!(
        a.headers.set,
        [("x-env".into(), "test".into()), ("x-version".into(), "1.10".into())]
    );
    assert_eq!(a.headers.remove, ["x-secret"]);
    assert_eq!(a.credentials, Credentials::Hash);
    assert_eq!(config.mirrors[1].url.host, "::1");
    let route = &config.routes[0];
    assert_eq!(route.matches.host, Some(HostMatch::Suffix("example.com".to_owned())));
    assert_eq!(route.matches.path, PathMatch::Prefix("/api/".to_owned()));
    assert_eq!(
        route.matches.headers[0],
        ("x-a".to_owned(), ValueMatch::Exact("1".to_owned()))
    );
    assert_eq!(route.matches.headers[1].1, ValueMatch::Absent);
    assert_eq!((route.mirrors.as_slice(), route.upstream), ([1].as_slice(), 1));
    assert_eq!(config.workers, 3);
}

#[test]
fn an_error_names_place_key_value_and_what_was_expected() {
    let unknown = error_of("drain_timout: 5s\n");
    assert!(
        unknown.starts_with("test.yaml:5:1: drain_timout: unknown key; expected one of access_log, "),
        "{unknown}"
    );
    assert!(unknown.ends_with("did you mean 'drain_timeout'?"), "{unknown}");
    let value = error_of("drain_timeout: 5\n");
    assert_eq!(
        value,
        "test.yaml:5:16: drain_timeout: '5' is not valid; expected a duration with its unit, such as 250ms, 10s or 1m 30s"
    );
}

#[test]
fn every_kind_of_mistake_is_told() {
    for (more, expected) in [
        ("workers: 0\n", "whole number from 1 to 1024"),
        ("workers: many\n", "whole number from 1 to 1024"),
        ("workers: [1]\n", "found a list"),
        ("admin: localhost:1\n", "expected an address and port"),
        ("max_held_bytes: 64\n", "expected a size with its unit"),
        (
            "max_held_bytes: 64KiB\n",
            "mirrors.staging.window: 1MiB is more than max_held_bytes",
        ),
        (
            "limits: {head: 1KiB}\n",
            "limits.request_line: 64KiB is more than limits.head",
        ),
        ("limits: {head: 1GiB}\n", "expected 512B to 16MiB"),
        ("limits: {head_timeout: 0s}\n", "expected a duration of at least 1ms"),
        ("routes: [{match: {path: x}}]\n", "expected a path that starts with /"),
        ("routes: [{match: {regex: '('}}]\n", "unclosed group"),
        ("routes: [{match: {host: 'a:80'}}]\n", "expected a host without port"),
        (
            "routes: [{match: {methods: [get]}}]\n",
            "methods are case-sensitive; expected GET",
        ),
        (
            "routes: [{match: {headers: {'a b': x}}}]\n",
            "expected the name of a header field",
        ),
        (
            "routes: [{match: {headers: {a: {}}}}]\n",
            "exactly one key|one of exact, regex and present",
        ),
        ("routes: [{replace_prefix: /x}]\n", "nothing to replace"),
        ("routes: [{mirrors: [stagin]}]\n", "did you mean 'staging'?"),
        ("routes: [{mirrors: [staging, staging]}]\n", "listed twice"),
        (
            "routes: [{match: {prefix: /a, path: /b}}]\n",
            "at most one of prefix, path and regex",
        ),
        ("workers: ${MYNAH_TEST_UNSET}\n", "MYNAH_TEST_UNSET is not set"),
        ("workers: 1\nworkers: 2\n", "given twice, first on line 5"),
        ("listeners: x\n", "given twice"),
        (
            "access_log: {path: a, format: conbined}\n",
            "nothing to log; expected combined, json, or a text with at least one {FIELD}",
        ),
        (
            "access_log: {path: a, format: '{clinet}'}\n",
            "'clinet' is neither a field nor one of constants; expected one of time, ",
        ),
        ("access_log: {path: a, format: '{clinet}'}\n", "did you mean 'client'?"),
        (
            "access_log: {path: a, format: combined, fields: [status]}\n",
            "access_log.fields: the format is combined; expected json",
        ),
        (
            "access_log: {path: a, fields: [nod], constants: {node: a}}\n",
            "did you mean 'node'?",
        ),
        (
            "access_log: {path: a, constants: {status: a}}\n",
            "'status' is a field already",
        ),
        (
            "access_log: {path: a, constants: {a-b: a}}\n",
            "'a-b' is no name for a constant",
        ),
        (
            "access_log: {path: a, buffer: 1KiB}\n",
            "1KiB is not valid; expected 64KiB to 1GiB",
        ),
        ("request_id: 'x y'\n", "expected the name of a header field"),
        ("request_id: Connection\n", "it belongs to the connection"),
    ] {
        let error = error_of(more);
        assert!(expected.split('|').any(|part| error.contains(part)), "{more}: {error}");
    }
    for (mirror, expected) in [
        ("ftp://x", "expected a URL"),
        ("http://user@x", "expected a URL"),
        ("http://x:0", "expected a URL"),
        ("http://x:99999", "expected a URL"),
        ("http://127.0.0.1:8080", "this is the upstream"),
        ("http://127.0.0.1:9470", "Mynah's own address 127.0.0.1:9470"),
        ("http://127.0.0.1:81", "Mynah's own address 127.0.0.1:81"),
        ("{url: http://x, tls: {insecure: true}}", "the URL is http"),
        ("{url: https://x, tls: {key: Cargo.toml}}", "key without certificate"),
        ("{url: https://x, tls: {ca: nowhere.pem}}", "cannot read 'nowhere.pem'"),
        (
            "{url: https://x, tls: {ca: Cargo.toml, insecure: true}}",
            "both ca and insecure",
        ),
        ("{url: http://x, ratio: 10001%}", "expected a percentage"),
        ("{url: http://x, by: header}", "expected request, header(NAME)"),
        ("{url: http://x, host: 'a b'}", "expected preserve, target"),
        ("{url: http://x, credentials: dorp}", "did you mean 'drop'?"),
        ("{url: http://x, requests_per_second: 0}", "at least 0.001"),
        ("{url: http://x, timeout: 0s}", "at least 1ms"),
        ("{url: http://x, window: 1B}", "at least 1KiB"),
        (
            "{url: http://x, headers: {set: {Content-Length: 1}}}",
            "it frames the message",
        ),
        (
            "{url: http://x, headers: {add: {a: \"b\\r\\nc\"}}}",
            "without line ends",
        ),
        (
            "{url: http://x, headers: {set: {a: x, A: y}}}",
            "given twice, in different case",
        ),
        (
            "{url: http://x, access_log: {path: logs/}}",
            "expected a file, or stdout",
        ),
        ("{url: http://x, trace: nwe}", "expected keep, drop or new"),
        (
            "{url: http://x, trace: new, headers: {set: {Traceparent: a}}}",
            "trace changes this field already",
        ),
        ("{ratio: 5%}", "mirrors.m.url: missing"),
        ("", "mirrors.m: expected a URL|missing"),
    ] {
        let text = format!("listeners: ['127.0.0.1:81']\nupstream: http://127.0.0.1:8080\nmirrors:\n  m: {mirror}\n");
        let errors = errors(&text);
        assert_eq!(errors.len(), 1, "{mirror}: {errors:#?}");
        assert!(
            expected.split('|').any(|part| errors[0].contains(part)),
            "{mirror}: {}",
            errors[0]
        );
    }
}

#[test]
fn adaptive_is_a_word_or_a_mapping() {
    let adaptive = |text: &str| {
        let text = MINIMAL.replace("http://10.0.0.7", &format!("{{url: http://b, adaptive: {text}}}"));
        let printed = crate::effective_text(&text, Path::new("test.yaml")).unwrap();
        assert_eq!(read(&printed), read(&text));
        read(&text).mirrors[0].adaptive
    };
    assert_eq!(adaptive("false"), None);
    assert_eq!(adaptive("{floor: 2%, enabled: false}"), None);
    let usual = adaptive("true").unwrap();
    assert_eq!((usual.error_rate, usual.latency_factor, usual.floor), (0.05, 3.0, 0.01));
    let given = adaptive("{latency: 200ms, error_rate: 0%}").unwrap();
    assert_eq!(
        (given.latency, given.error_rate),
        (Some(Duration::from_millis(200)), 0.0)
    );
    for (text, expected) in [
        (
            "{floor: 0%}",
            "adaptive.floor: 0% is not valid; expected 0.0001% to 100%",
        ),
        ("{lower: 95%}", "expected 0.0001% to 90%"),
        ("{interval: 1ms}", "at least 10ms"),
        ("{latency_factor: 1}", "a number of at least 1.1"),
        ("maybe", "expected true or false"),
    ] {
        let text = MINIMAL.replace("http://10.0.0.7", &format!("{{url: http://b, adaptive: {text}}}"));
        assert!(errors(&text)[0].contains(expected), "{:?}", errors(&text));
    }
}

#[test]
fn all_errors_are_told_at_once_and_in_order() {
    let text = "\
listeners: []
upstream: {url: 'http://a:1', protcol: http2}
mirrors:
  a b: http://x
  c: {url: 'http://a:1', ratio: 5}
routes: [{mirrors: [d]}]
limits: {head: '${MYNAH_TEST_UNSET}'}
";
    let errors = errors(text);
    let keys = [
        "listeners:",
        "upstream.protcol:",
        "mirrors.a b:",
        "mirrors.c.url:",
        "mirrors.c.ratio:",
        "routes[0].mirrors[0]:",
    ];
    assert_eq!(errors.len(), keys.len() + 1, "{errors:#?}");
    for key in keys {
        assert!(
            errors
                .iter()
                .any(|error| error.contains(&format!(": {key}")) || error.contains(key)),
            "{key}: {errors:#?}"
        );
    }
    let lines: Vec<u32> = errors
        .iter()
        .map(|error| error.split(':').nth(1).unwrap().parse().unwrap())
        .collect();
    assert!(lines.is_sorted(), "{lines:?}");
}

#[test]
fn shared_connections_tell_of_no_single_client() {
    let errors = errors("listeners: [':80']\nupstream: {url: 'http://a', connections: shared, proxy_protocol: v2}\n");
    assert!(
        matches!(&errors[..], [error] if error.contains("upstream.connections: 'shared' is not valid with 'proxy_protocol'")),
        "{errors:?}"
    );
}

#[test]
fn what_cannot_be_yaml_has_a_place() {
    assert!(
        errors("listeners: [")[0].starts_with("test.yaml:"),
        "{:?}",
        errors("listeners: [")
    );
    assert!(errors("- a\n- b\n")[0].contains("expected a mapping, found a list"));
    assert!(errors("")[0].contains("missing"));
}

#[test]
fn the_effective_configuration_reads_back_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mynah.yaml");
    let more = "routes: [{match: {regex: '^/a$', headers: {x: {present: true}}}, mirrors: [staging]}]\nadmin: '[::1]:1'\n\
        access_log: {path: /a, format: '{{{client}', constants: {b: c}}\nrequest_id: x-id\n";
    std::fs::write(&file, format!("{MINIMAL}{more}")).unwrap();
    let once = load(&file).unwrap();
    let text = effective(&file).unwrap();
    std::fs::write(&file, &text).unwrap();
    assert_eq!(load(&file).unwrap(), once, "{text}");
    assert_eq!(effective(&file).unwrap(), text);
}

#[test]
fn access_logs_mask_what_copies_have_masked() {
    let config = read(
        "
listeners: [':0']
upstream: http://127.0.0.1:8080
mirrors:
  a: {url: http://a, mask_query: [x, y], access_log: {path: stdout, mask_query: [z]}}
  b: {url: http://b, mask_query: [y, w], access_log: /var/log/b.log}
access_log: {path: logs/a.log, format: combined}
request_id: X-Request-Id
",
    );
    let log = config.access_log.unwrap();
    assert_eq!(log.mask_query, ["x", "y", "w"]);
    assert_eq!(log.destination, LogDestination::File("logs/a.log".into()));
    assert_eq!(log.credentials, Credentials::Hash);
    let logs: Vec<_> = config.mirrors.iter().map(|m| m.access_log.clone().unwrap()).collect();
    assert_eq!(logs[0].mask_query, ["z", "x", "y"]);
    assert_eq!(logs[0].destination, LogDestination::Stdout);
    assert_eq!(logs[1].destination, LogDestination::File("/var/log/b.log".into()));
    assert_eq!((&logs[1].format, logs[1].buffer.bytes()), (&LogFormat::Json, 1 << 20));
    let id = config.request_id.unwrap();
    assert_eq!((id.header.as_str(), id.generate), ("x-request-id", false));
}

#[test]
fn paths_start_in_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cert.pem"), "").unwrap();
    let file = folder.path().join("mynah.yaml");
    let text = "listeners: [{address: ':1', tls: {certificate: cert.pem, key: ./cert.pem, alpn: [http/1.1]}}]\nupstream: http://a\n";
    std::fs::write(&file, text).unwrap();
    let config = load(&file).unwrap();
    let tls = config.listeners[0].tls.as_ref().unwrap();
    assert_eq!(tls.certificate, folder.path().join("cert.pem"));
    assert_eq!(tls.alpn, [Alpn::Http1]);
}

#[test]
fn flags_have_the_same_meaning_and_errors_as_a_file() {
    let flags = |mirrors: &[&str]| Flags {
        listen: ":0".to_owned(),
        upstream: "http://127.0.0.1:8080".to_owned(),
        mirrors: mirrors.iter().map(|m| (*m).to_owned()).collect(),
        ratio: Ratio::from_units(250_000),
        workers: Some(1),
        admin: None,
    };
    let config = from_flags(flags(&["http://a/?", "http://b"])).unwrap_err();
    assert!(
        config
            .to_string()
            .starts_with("error: --mirror: 'http://a/?' is not valid"),
        "{config}"
    );
    let config = from_flags(flags(&["http://a/x=1", "b=http://b"])).unwrap();
    let names: Vec<&str> = config.mirrors.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["b", "mirror"]);
    assert!(config.mirrors.iter().all(|mirror| mirror.ratio.to_string() == "25%"));
    let twice = from_flags(flags(&["a=http://a", "a=http://b"])).unwrap_err();
    assert!(twice.to_string().contains("two mirrors are called 'a'"), "{twice}");
}

#[test]
fn the_schema_names_every_key_and_knows_short_forms() {
    let schema = schema();
    assert_eq!(schema["additionalProperties"], false);
    assert!(
        schema["$defs"]["Upstream"]["anyOf"][0]["type"] == "string",
        "{schema:#}"
    );
    for own in ["x-kind", "x-short"] {
        assert!(
            !schema.to_string().contains(own),
            "our own keywords are not for editors"
        );
    }
    let reference = reference();
    for key in [
        "`drain_timeout`",
        "`limits`",
        "## `mirrors.NAME.breaker`",
        "## `routes[].match`",
        "`max_in_flight`",
    ] {
        assert!(reference.contains(key), "{key}");
    }
}

#[test]
fn a_printed_literal_dollar_brace_was_read_back_as_a_variable() {
    let more = "routes: [{match: {prefix: '/$${p}', query: {'$${q}': '$${v}'}}, replace_prefix: '/$${a}'}]\n";
    let text = format!("{MINIMAL}{more}");
    let once = read(&text);
    assert_eq!(once.routes[0].matches.path, PathMatch::Prefix("/${p}".to_owned()));
    assert_eq!(once.routes[0].matches.query[0].0, "${q}");
    let printed = crate::effective_text(&text, Path::new("test.yaml")).unwrap();
    assert_eq!(read(&printed), once, "{printed}");
}

#[test]
fn a_value_of_many_lines_is_told_on_one() {
    let error = error_of("drain_timeout: \"a\\nb\\e[2Jc\"\n");
    assert!(error.contains("'a\\nb\\u{1b}[2Jc' is not valid"), "{error}");
    let huge = error_of(&format!("drain_timeout: '{}'\n", "ü".repeat(1_000_000)));
    assert!(
        huge.len() < 2000 && huge.contains("expected a duration"),
        "{}",
        huge.len()
    );
}

#[test]
fn what_would_take_long_is_refused_or_read_at_once() {
    let bomb = (b'b'..=b'i').fold("a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, c| {
        let (name, before) = (char::from(c), char::from(c - 1));
        format!(
            "{text}{name}: &{name} [{}]\n",
            vec![format!("*{before}"); 10].join(", ")
        )
    });
    assert!(
        errors(&bomb)[0].contains("at most 100000 keys and values"),
        "{:?}",
        errors(&bomb)
    );
    for (text, told) in [
        ("[".repeat(100_000), 1),
        (format!("listeners: [{}]\n", "1, ".repeat(90_000)), 1000),
        ((0..49_000).map(|i| format!("key{i}: 1\n")).collect(), 1000),
        ("a: &a\n  b: *a\n".to_owned(), 1),
        ("&a [*a]".to_owned(), 1),
    ] {
        let errors = errors(&text);
        assert!(
            (1..=told + 2).contains(&errors.len()),
            "{}: {}",
            &text[..20.min(text.len())],
            errors.len()
        );
    }
}

#[test]
fn a_certificate_that_is_a_pipe_is_refused_and_not_waited_for() {
    let error = errors("listeners: [{address: ':1', tls: {certificate: /, key: /dev/null}}]\nupstream: http://a\n");
    assert!(error[0].contains("it is no regular file"), "{error:?}");
}

#[test]
fn a_second_document_is_told_in_our_words() {
    assert_eq!(
        errors("a: 1\n---\nb: 2\n")[0],
        "test.yaml:3:1: a second document; expected one"
    );
}

proptest! {
    /// A text either becomes a configuration or errors, and every error has a message.
    #[test]
    fn nothing_panics(text in "(listeners|upstream|mirrors|routes|[a-z]{0,3})?[:\\- \n\\[\\]{}a-z0-9/%\"'&*!|>$]{0,60}") {
        if let Err(errors) = parse(&text, Path::new("x")) {
            prop_assert!(errors.iter().all(|error| !error.message().is_empty()));
        }
    }
}
