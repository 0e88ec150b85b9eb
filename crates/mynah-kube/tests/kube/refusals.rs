//! What inject refuses, with the reason and what to do instead, and what it decides by itself.

use crate::common::{manifest, options};
use mynah_kube::inject::{Mode, Options, Takeover};
use mynah_kube::{Refusal, inject};
use serde_json::{Value, json};

fn refused(text: &str, options: &Options) -> Refusal {
    match inject(text, options) {
        Err(mynah_kube::Error::Refused(refusal)) => {
            assert!(!refusal.remedy.is_empty());
            *refusal
        }
        other => panic!("not refused: {other:?}"),
    }
}

fn in_place(takeover: Takeover) -> Options {
    options(Mode::InPlace, Some(takeover))
}

fn stream(objects: &[Value]) -> String {
    objects.iter().map(|object| format!("---\n{object}\n")).collect()
}

fn service(name: &str, port: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": {"app": "a"}, "ports": [port]}})
}

fn deployment(change: impl Fn(&mut Value)) -> Value {
    let mut object = manifest();
    change(&mut object["spec"]["template"]["spec"]);
    object
}

#[test]
fn two_services_on_different_ports_are_refused_until_one_is_chosen() {
    let text = stream(&[
        service("one", json!({"port": 80, "targetPort": 8080})),
        service("two", json!({"port": 81, "targetPort": 9090})),
        deployment(|pod| pod["containers"][0]["ports"] = json!([{"containerPort": 8080}, {"containerPort": 9090}])),
    ]);
    let mut options = in_place(Takeover::Redirect);
    let refusal = refused(&text, &options);
    assert!(
        refusal.reason.contains("service/one → 8080, service/two → 9090"),
        "{refusal}"
    );
    options.port = Some("9090".to_owned());
    assert!(inject(&text, &options).unwrap().text.contains("--port\",\"9090\""));
    options.port = None;
    options.service = Some("one".to_owned());
    assert!(inject(&text, &options).unwrap().text.contains("--port\",\"8080\""));
}

#[test]
fn a_pod_on_the_network_of_its_node_is_refused() {
    let text = stream(&[
        service("s", json!({"port": 8080})),
        deployment(|pod| pod["hostNetwork"] = json!(true)),
    ]);
    assert!(
        refused(&text, &in_place(Takeover::Redirect))
            .reason
            .contains("hostNetwork")
    );
}

#[test]
fn a_port_that_is_not_found_is_refused() {
    let alone = stream(&[deployment(|_| {})]);
    assert!(
        refused(&alone, &in_place(Takeover::Redirect))
            .reason
            .contains("no Service")
    );
    let misnamed = stream(&[
        service("s", json!({"port": 80, "targetPort": "web"})),
        deployment(|_| {}),
    ]);
    assert!(
        refused(&misnamed, &in_place(Takeover::Named))
            .reason
            .contains("no port of")
    );
    let mut options = in_place(Takeover::Redirect);
    options.port = Some("8080".to_owned());
    inject(&alone, &options).unwrap();
}

#[test]
fn what_is_injected_already_is_refused() {
    let text = stream(&[service("s", json!({"port": 8080})), deployment(|_| {})]);
    let options = in_place(Takeover::Redirect);
    let injected = inject(&text, &options).unwrap().text;
    assert!(refused(&injected, &options).reason.contains("already"));
    let by_hand = stream(&[
        service("s", json!({"port": 8080})),
        deployment(|pod| pod["initContainers"] = json!([{"name": "mynah", "image": "x"}])),
    ]);
    assert!(refused(&by_hand, &options).reason.contains("already"));
}

#[test]
fn an_application_that_cannot_be_told_is_not_taken_over_by_port() {
    let text = stream(&[service("s", json!({"port": 8080})), deployment(|_| {})]);
    assert!(
        refused(&text, &options(Mode::InPlace, None))
            .remedy
            .contains("--takeover redirect")
    );
    assert!(refused(&text, &in_place(Takeover::Port)).remedy.contains("--app-env"));
    let mut from_secret = in_place(Takeover::Port);
    from_secret.app_env = vec![("PORT".to_owned(), "{port}".to_owned())];
    let text = stream(&[
        service("s", json!({"port": 8080})),
        deployment(|pod| {
            pod["containers"][0]["env"] = json!([{"name": "PORT", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}])
        }),
    ]);
    assert!(refused(&text, &from_secret).reason.contains("valueFrom"));
}

#[test]
fn names_and_host_ports_are_taken_over_only_where_that_works() {
    let numeric = stream(&[service("s", json!({"port": 8080})), deployment(|_| {})]);
    assert!(
        refused(&numeric, &in_place(Takeover::Named))
            .reason
            .contains("by one name")
    );
    let mut headless = service("s", json!({"port": 8080, "targetPort": "http"}));
    headless["spec"]["clusterIP"] = json!("None");
    assert!(
        refused(&stream(&[headless, deployment(|_| {})]), &in_place(Takeover::Named))
            .reason
            .contains("headless")
    );
    let host_port = stream(&[
        service("s", json!({"port": 80, "targetPort": "http"})),
        deployment(|pod| pod["containers"][0]["ports"][0]["hostPort"] = json!(8080)),
    ]);
    assert!(
        refused(&host_port, &in_place(Takeover::Named))
            .reason
            .contains("hostPort")
    );
    inject(&host_port, &in_place(Takeover::Redirect)).unwrap();
}

#[test]
fn what_speaks_tls_itself_is_refused() {
    let text = stream(&[
        service("s", json!({"port": 443, "targetPort": 8080, "appProtocol": "https"})),
        deployment(|_| {}),
    ]);
    assert!(refused(&text, &in_place(Takeover::Redirect)).reason.contains("TLS"));
}

#[test]
fn a_mirror_that_is_no_url_is_refused() {
    let text = stream(&[service("s", json!({"port": 8080})), deployment(|_| {})]);
    let mut options = in_place(Takeover::Redirect);
    options.mirrors[0].1 = "not a url".to_owned();
    assert!(refused(&text, &options).reason.contains("url"));
    // The application itself would get every copy.
    options.mirrors[0].1 = "http://127.0.0.1:8080".to_owned();
    assert!(refused(&text, &options).reason.contains("upstream"));
}

#[test]
fn ports_that_mynah_needs_are_not_taken_from_others() {
    let text = stream(&[
        service("s", json!({"port": 8080})),
        deployment(|pod| pod["containers"][0]["ports"] = json!([{"containerPort": 8080}, {"containerPort": 9480}])),
    ]);
    let injected = inject(&text, &in_place(Takeover::Redirect)).unwrap().text;
    assert!(injected.contains("\"--to\",\"9481\""), "{injected}");
    let mut options = in_place(Takeover::Redirect);
    options.listen_port = Some(9480);
    assert!(refused(&text, &options).reason.contains("9480 is taken"));
}

#[test]
fn the_clients_address_is_kept_only_by_redirection_and_for_that_alone_mynah_gets_a_capability() {
    let text = stream(&[
        service("s", json!({"port": 80, "targetPort": "http"})),
        deployment(|_| {}),
    ]);
    let mut options = in_place(Takeover::Redirect);
    let capabilities = |options: &Options| inject(&text, options).unwrap().text.matches("NET_ADMIN").count();
    assert_eq!(capabilities(&options), 1, "the init container's");
    options.preserve_source = true;
    assert_eq!(capabilities(&options), 2);
    assert!(inject(&text, &options).unwrap().text.contains("preserve_source: true"));
    options.takeover = Some(Takeover::Named);
    assert!(refused(&text, &options).remedy.contains("redirect"));
}

#[test]
fn a_port_below_1024_comes_with_the_right_to_bind_it_without_root() {
    let text = stream(&[
        service("s", json!({"port": 80})),
        deployment(|pod| pod["containers"][0]["ports"] = json!([{"containerPort": 80}])),
    ]);
    let mut options = in_place(Takeover::Port);
    options.app_env = vec![("PORT".to_owned(), "{port}".to_owned())];
    let injected = inject(&text, &options).unwrap().text;
    assert!(injected.contains("net.ipv4.ip_unprivileged_port_start"), "{injected}");
}

#[test]
fn the_workload_beside_is_selected_by_the_service_and_told_apart_by_a_label() {
    let text = stream(&[
        service("s", json!({"port": 80, "targetPort": "http"})),
        deployment(|_| {}),
    ]);
    let mut options = options(Mode::Beside, None);
    options.amount.share = Some("10%".parse().unwrap());
    let injected = inject(&text, &options).unwrap();
    assert_eq!(injected.mirroring.to_string(), "deployment/a-mirror");
    assert!(injected.notes[0].contains("1/4 × 40% = 10%"), "{:?}", injected.notes);
    assert_eq!(
        injected.text.matches("mynah.dev/workload").count(),
        3,
        "{}",
        injected.text
    );
    assert!(
        injected.text.ends_with(&text[text.rfind("---").unwrap()..]),
        "the workload itself is untouched"
    );
}
