//! Flags of `run`, `schema`, `completions`, `probe` and `--version`.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use crate::mynah;

fn here() -> &'static Path {
    Path::new(".")
}

#[test]
fn flags_that_are_wrong_are_named() {
    let run = |args: &[&str]| mynah(here(), &[&["run"], args].concat());
    let (code, out, errors) = run(&["--listen", ":0", "--upstream", "ftp://a", "--mirror", "m=http://b?x"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(
        errors,
        "error: --upstream: 'ftp://a' is not valid; expected a URL such as http://127.0.0.1:8080 or https://test.example.com/path, without user, query or fragment\n\
         error: --mirror: 'http://b?x' is not valid; expected a URL such as http://127.0.0.1:8080 or https://test.example.com/path, without user, query or fragment\n"
    );
    for (args, part) in [
        (&["--listen", ":0"][..], "--upstream <URL>"),
        (
            &["--listen", ":0", "--upstream", "http://a", "--ratio", "5%"],
            "--mirror",
        ),
        (
            &[
                "--listen",
                ":0",
                "--upstream",
                "http://a",
                "--mirror",
                "http://b",
                "--ratio",
                "5",
            ],
            "expected a percentage",
        ),
        (&["--config", "x", "--listen", ":0"], "cannot be used with"),
        (&["--conifg", "x"], "--config"),
        (&[], "--config <FILE>"),
    ] {
        let (code, out, errors) = run(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {errors}");
        assert!(errors.contains(part), "{args:?}: {errors}");
    }
}

#[test]
fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = [
        "run",
        "--listen",
        &address,
        "--upstream",
        "http://127.0.0.1:9",
        "--admin",
        "127.0.0.1:0",
    ];
    let (code, out, errors) = mynah(here(), &args);
    assert_eq!((code, out.as_str()), (1, ""), "{errors}");
    assert!(errors.contains(&address) && errors.starts_with("mynah: "), "{errors}");
}

#[test]
fn the_schema_is_json_and_the_reference_names_every_part() {
    let (code, schema, errors) = mynah(here(), &["schema"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(schema["title"], "Mynah configuration");
    let (code, reference, errors) = mynah(here(), &["schema", "--reference"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    for key in schema["properties"].as_object().unwrap().keys() {
        assert!(reference.contains(&format!("`{key}`")), "{key}");
    }
}

#[test]
fn every_shell_gets_completions_of_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script, errors) = mynah(here(), &["completions", shell]);
        assert_eq!((code, errors.as_str()), (0, ""), "{shell}");
        for command in ["run", "check", "demo", "schema", "probe", "completions"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let (code, _, errors) = mynah(here(), &["completions", "basch"]);
    assert_eq!(code, 2);
    assert!(errors.contains("bash"), "{errors}");
}

#[test]
fn the_version_is_one_line() {
    let (code, out, errors) = mynah(here(), &["--version"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    let version = format!("mynah {}", env!("CARGO_PKG_VERSION"));
    assert!(out.starts_with(&version) && out.lines().count() == 1, "{out}");
}

/// Answers one request.
fn answering(response: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(response.as_bytes());
        // Until the other side has seen enough.
        let _ = stream.read(&mut request);
    });
    format!("http://{address}/readyz")
}

#[test]
fn a_probe_is_the_exit_code() {
    let ready = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(mynah(here(), &["probe", &ready]), (0, String::new(), String::new()));
    let draining = answering("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(
        mynah(here(), &["probe", &draining]),
        (
            1,
            String::new(),
            format!("mynah: {draining}: 503 Service Unavailable\n")
        )
    );
    let silent = answering("");
    let (code, out, errors) = mynah(here(), &["probe", &silent, "--timeout", "50ms"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(errors, format!("mynah: {silent}: no answer within 50ms\n"));
    let (code, out, errors) = mynah(here(), &["probe", "localhost"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(
        errors,
        "error: 'localhost' is not a URL such as http://127.0.0.1:9470/readyz\n"
    );
}
