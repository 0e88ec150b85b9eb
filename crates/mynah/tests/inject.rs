//! `mynah inject`, `mynah eject` and `mynah takeover --dry-run`, black box.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

const MANIFESTS: &str = "\
# three pods
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web   # the application
        image: example/web
        ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
";

fn mynah(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mynah"))
        .args(args)
        .env_remove("MYNAH_IMAGE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_pipe_through_inject_and_eject_is_what_went_in() {
    let inject = [
        "inject",
        "-f",
        "-",
        "--beside",
        "--share",
        "10%",
        "--mirror",
        "http://test.internal",
        "--app-args",
        "-port {port}",
    ];
    let injected = mynah(&inject, MANIFESTS);
    let said = text(&injected.stderr);
    assert!(injected.status.success(), "{said}");
    assert_eq!(
        said,
        "deployment/web: 1 of 4 pods mirror, ratio 40%: 1/4 × 40% = 10% of all requests are copied\n\
         deployment/web: takeover port: service/web sends to 8080, which is Mynah's; container web listens on 8081\n"
    );
    let ejected = mynah(&["eject", "-f", "-"], text(&injected.stdout));
    assert_eq!(text(&ejected.stdout), MANIFESTS);
    assert_eq!(
        text(&ejected.stderr),
        "deployment/web-mirror: removed\nconfigmap/web-mynah: removed\n"
    );
}

#[test]
fn what_is_refused_says_why_and_what_to_do_and_prints_nothing() {
    let refused = mynah(
        &["inject", "-f", "-", "--in-place", "--mirror", "http://test.internal"],
        MANIFESTS,
    );
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stdout.is_empty());
    let said = text(&refused.stderr);
    assert!(
        said.starts_with("mynah: deployment/web: the Service sends to port 8080 by number"),
        "{said}"
    );
    assert!(said.contains("--takeover redirect"), "{said}");
    let nothing = mynah(&["eject", "-f", "-"], MANIFESTS);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(text(&nothing.stderr).contains("was not injected here"));
}

#[test]
fn what_is_no_yaml_is_told_with_its_place() {
    let broken = mynah(
        &["inject", "-f", "-", "--in-place", "--mirror", "http://test.internal"],
        "a: [1\nb: 2\n",
    );
    assert_eq!(broken.status.code(), Some(2));
    assert!(
        text(&broken.stderr).starts_with("mynah: cannot read the manifests: line 2"),
        "{}",
        text(&broken.stderr)
    );
}

#[test]
fn the_rules_of_a_takeover_can_be_read_before_they_are_written() {
    let printed = mynah(&["takeover", "--port", "8080", "--to", "9480", "--dry-run"], "");
    assert!(text(&printed.stdout).contains("iifname != \"lo\" tcp dport 8080 redirect to :9480"));
    let same = mynah(&["takeover", "--port", "8080", "--to", "8080", "--dry-run"], "");
    assert_eq!(same.status.code(), Some(2));
}
