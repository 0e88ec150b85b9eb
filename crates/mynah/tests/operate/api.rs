//! What the calls do.

use mynah_testkit::application::Application;
use mynah_testkit::binary::Metrics;
use mynah_testkit::caller::{Caller, Load};
use mynah_testkit::ill::{Behaviour, ill_mirror};
use mynah_testkit::raw::Collector;
use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::admin::{get, post, put};
use crate::harness::{Operated, before, generation, mirrored};

#[tokio::test]
async fn one_call_stops_all_copies_at_once_and_production_does_not_notice() {
    let app = Application::start().await;
    let (well, ill) = (
        Collector::start().await.unwrap(),
        ill_mirror(Behaviour::NeverAnswers).await,
    );
    let ill = ill.url().trim_start_matches("http://").parse().unwrap();
    let mirrors = [("ill", ill, ", timeout: 5m"), ("well", well.address(), "")];
    let operated = Operated::start(&mirrored(app.address(), &mirrors)).await;
    let admin = operated.mynah.admin();
    let load = Load::start(operated.mynah.address(), 8, 4);
    load.until_answered(100).await;
    assert!(get(admin, "/api/v1/mirrors/ill").await.json()["in_flight"].as_u64() > Some(0));

    let paused = post(admin, "/api/v1/pause").await;
    assert_eq!(paused.status, 200, "{paused:?}");
    assert!(
        paused.json()["mirrors"]
            .as_array()
            .unwrap()
            .iter()
            .all(|m| m["state"] == "paused")
    );
    let none_in_flight = |metrics: &Metrics| metrics.sum("mynah_copies_in_flight", &[]) == 0;
    operated
        .mynah
        .until("without copies in flight", none_in_flight)
        .await
        .unwrap();
    let (bytes, before) = (well.bytes().len(), get(admin, "/api/v1/mirrors/well").await.json());
    load.until_answered(200).await;
    let after = get(admin, "/api/v1/mirrors/well").await.json();
    assert_eq!(well.bytes().len(), bytes, "a paused mirror was sent something");
    assert_eq!(after["delivered"], before["delivered"]);
    assert!(
        after["shed"]["paused"].as_u64() > before["shed"]["paused"].as_u64(),
        "{after}"
    );

    let resumed = post(admin, "/api/v1/mirrors/well/resume").await.json();
    assert_eq!(
        (&resumed["state"], &resumed["paused"]),
        (&"running".into(), &false.into())
    );
    load.until_answered(50).await;
    assert!(get(admin, "/api/v1/mirrors/well").await.json()["delivered"].as_u64() > after["delivered"].as_u64());
    assert_eq!(get(admin, "/api/v1/mirrors/ill").await.json()["state"], "paused");
    load.stop().await;
    let metrics = operated.mynah.until("at rest", none_in_flight).await.unwrap();
    assert_eq!(metrics.all_errors(), 0, "{metrics}");
    assert_eq!(
        metrics.sum("mynah_copies_started_total", &[]),
        metrics.sum("mynah_copies_total", &[]),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_ratio_holds_from_the_next_request_until_the_next_reload_which_says_so() {
    let app = Application::start().await;
    let mirror = Collector::start().await.unwrap();
    let config = mirrored(app.address(), &[("staging", mirror.address(), ", ratio: 100%")]) + "workers: 1\n";
    let mut operated = Operated::start(&config).await;
    let admin = operated.mynah.admin();
    let mut caller = Caller::connect(operated.mynah.address()).await.unwrap();
    let set = put(admin, "/api/v1/mirrors/staging/ratio", r#"{"ratio": "300%"}"#).await;
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(
        (&set.json()["ratio"], &set.json()["configured_ratio"]),
        (&"300%".into(), &"100%".into())
    );
    caller.ask().await.unwrap();
    mirror.until(|copies| copies.len() == 3).await;

    // A file that changes, and a call: both replace what was changed.
    operated.change(&(config.clone() + "drain_timeout: 5s\n")).await;
    let output = operated.mynah.says("was replaced by what is configured").await.unwrap();
    assert!(output.contains("mirror staging: ratio 300%"), "{output}");
    caller.ask().await.unwrap();
    mirror.until(|copies| copies.len() == 4).await;
    put(admin, "/api/v1/mirrors/staging/ratio", r#"{"ratio": "0%"}"#).await;
    post(admin, "/api/v1/mirrors/staging/pause").await;
    let reloaded = post(admin, "/api/v1/reload").await;
    assert_eq!(reloaded.status, 200, "{reloaded:?}");
    assert_eq!(
        reloaded.json()["replaced"],
        serde_json::json!(["mirror staging: ratio 0%, paused"])
    );
    caller.ask().await.unwrap();
    mirror.until(|copies| copies.len() == 5).await;
}

#[tokio::test]
async fn a_renewed_certificate_is_served_at_once_and_changes_nothing_else() {
    let app = Application::start().await;
    let mirror = Collector::start().await.unwrap();
    let config = mirrored(app.address(), &[("staging", mirror.address(), "")]).replace(
        "[127.0.0.1:0]",
        "[{address: 127.0.0.1:0, tls: {certificate: tls.crt, key: tls.key}}]",
    ) + "workers: 2\nadmin: 127.0.0.1:0\n";
    let made = || {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    };
    let (old, new) = (made(), made());
    let files = |pair: &(String, String)| {
        [
            ("mynah.yaml", config.clone()),
            ("tls.crt", pair.0.clone()),
            ("tls.key", pair.1.clone()),
        ]
    };
    let mut operated = Operated::start_with(&files(&old)).await;
    let (admin, address) = (operated.mynah.admin(), operated.mynah.address());
    assert_eq!(
        (trusts(address, &old.0).await, trusts(address, &new.0).await),
        (true, false)
    );
    post(admin, "/api/v1/pause").await;

    operated.update(&files(&new));
    let metrics = operated
        .mynah
        .until("reloaded", |metrics| generation(metrics) == 2)
        .await
        .unwrap();
    assert_eq!(
        (trusts(address, &old.0).await, trusts(address, &new.0).await),
        (false, true)
    );
    assert_eq!(
        metrics.sum("mynah_mirror_paused", &[]),
        1,
        "a certificate resumed copies: {metrics}"
    );

    // A key that does not belong to it changes nothing.
    operated.update(&files(&(new.0.clone(), old.1.clone())));
    let output = operated.mynah.says("does not belong to the certificate").await.unwrap();
    assert!(output.contains("listeners[0].tls"), "{output}");
    assert!(trusts(address, &new.0).await);
}

/// Whether a client that trusts this certificate alone gets a connection.
async fn trusts(address: std::net::SocketAddr, certificate: &str) -> bool {
    use mynah_config::model::{Alpn, ClientTls};
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, certificate).unwrap();
    let tls = ClientTls {
        ca: Some(ca),
        ..ClientTls::default()
    };
    let tls = mynah_proxy::tls::ClientTlsConfig::load(&tls, &[Alpn::Http1]).unwrap();
    let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    mynah_proxy::tls::connect(&tls, "localhost", tcp).await.is_ok()
}

#[tokio::test]
async fn the_configuration_is_shown_without_its_secrets() {
    let app = Application::start().await;
    let mirror = Collector::start().await.unwrap();
    let headers = ", headers: {set: {x-api-key: 's3cret-1'}, add: {authorization: 's3cret-2'}}";
    let operated = Operated::start(&mirrored(app.address(), &[("staging", mirror.address(), headers)])).await;
    let config = get(operated.mynah.admin(), "/api/v1/config").await.json();
    let shown = config["effective"].as_str().unwrap();
    assert!(shown.contains("x-api-key") && shown.contains("***"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
    assert_eq!(config["generation"], 1);
    assert_eq!(config["hash"].as_str().unwrap().len(), 16);
}

#[tokio::test]
async fn a_reload_that_is_refused_tells_every_place() {
    let app = Application::start().await;
    let mut operated = Operated::start(&before(app.address())).await;
    let admin = operated.mynah.admin();
    operated
        .refuse(&(before(app.address()) + "drain_timeout: soon\nworkers: none\n"))
        .await;
    let refused = post(admin, "/api/v1/reload").await;
    assert_eq!((refused.status, refused.code().as_str()), (422, "config_refused"));
    let errors = refused.json()["errors"].clone();
    let errors: Vec<_> = errors.as_array().unwrap().iter().map(|e| e.as_str().unwrap()).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors[0].contains("mynah.yaml:3:") && errors[1].contains("mynah.yaml:4:"),
        "{errors:?}"
    );
}

#[tokio::test]
async fn the_log_level_changes_while_it_runs() {
    let app = Application::start().await;
    let operated = Operated::start(&before(app.address())).await;
    let admin = operated.mynah.admin();
    assert_eq!(get(admin, "/api/v1/log-level").await.json()["level"], "info");
    let refused = put(admin, "/api/v1/log-level", r#"{"level": "loud=very"}"#).await;
    assert_eq!((refused.status, refused.code().as_str()), (422, "invalid_value"));
    let set = put(admin, "/api/v1/log-level", r#"{"level": "debug"}"#).await;
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(get(admin, "/api/v1/log-level").await.json()["level"], "debug");
    let mut client = mynah_testkit::raw::End::connect(operated.mynah.address())
        .await
        .unwrap();
    assert!(client.send_all(b"GET bad HTTP/1.1\r\n\r\n").await);
    operated.mynah.says("DEBUG").await.unwrap();
}

#[tokio::test]
async fn a_drain_that_is_called_for_twice_still_lets_requests_end() {
    let app = Application::start().await;
    let mut operated = Operated::start(&before(app.address())).await;
    let admin = operated.mynah.admin();
    let load = Load::start(operated.mynah.address(), 8, 4);
    let mut held = mynah_testkit::raw::End::connect(operated.mynah.address())
        .await
        .unwrap();
    assert!(held.send_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n").await);
    assert!(held.until_ends_with(mynah_testkit::application::FIRST_HALF).await);
    load.until_answered(100).await;
    assert_eq!(post(admin, "/api/v1/drain").await.status, 202);
    load.until_turned_away().await;
    assert_eq!(post(admin, "/api/v1/drain").await.status, 202);
    operated.mynah.signal(mynah_testkit::binary::Signal::Term).await;
    operated.mynah.says("SIGTERM").await.unwrap();
    assert_eq!(get(admin, "/readyz").await.status, 503);
    assert_eq!(get(admin, "/api/v1/status").await.json()["draining"], true);
    assert!(!operated.mynah.has_ended());
    app.release();
    assert!(held.until_ends_with(mynah_testkit::application::SECOND_HALF).await);
    assert_eq!(operated.mynah.ended().await.expect("it ends").code(), Some(0));
}
