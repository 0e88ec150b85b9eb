//! What lines do not say, and what nobody makes them say.

use mynah_testkit::app;

use crate::harness::{Setup, application, exchange};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[tokio::test]
async fn what_is_masked_on_a_copy_is_masked_in_its_log_and_in_productions() {
    let mirror = app::mirror().await;
    let format = r#"{target} {query} "{request}" {header(authorization)} {header(cookie)} {header(referer)}"#;
    let logged = Setup {
        upstream: application(&[OK]).await,
        top: &format!("access_log: {{path: access.log, format: '{format}', mask_query: [session]}}"),
        mirrors: format!(
            "{{m: {{url: '{}', mask_query: [token], credentials: drop, access_log: {{path: m.log, format: '{format}'}}}}}}",
            mirror.url()
        ),
    }
    .start()
    .await;
    exchange(
        &mut logged.client().await,
        "GET /a?token=alpha&session=beta HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer gamma\r\nCookie: sid=delta; b=epsilon\r\n\
         Referer: http://h/?token=alpha\r\n\r\n",
        "hello",
    )
    .await;
    let line = logged.line("access.log").await;
    let copy = logged.line("m.log").await;
    for secret in ["alpha", "beta", "gamma", "delta", "epsilon"] {
        assert!(!line.contains(secret), "{secret}: {line}");
    }
    let (masked, credentials) = line.split_once(" Bearer h:").unwrap();
    assert_eq!(
        masked,
        r#"/a?token=***&session=*** token=***&session=*** "GET /a?token=***&session=*** HTTP/1.1""#
    );
    assert!(
        credentials.contains(" sid=h:") && credentials.ends_with(" http://h/?token=***"),
        "{credentials}"
    );
    assert_eq!(
        copy,
        r#"/a?token=***&session=beta token=***&session=beta "GET /a?token=***&session=beta HTTP/1.1" - - http://h/?token=***"#
    );
}

#[tokio::test]
async fn no_request_can_add_a_line_or_end_a_quotation() {
    let logged = Setup {
        upstream: application(&[OK]).await,
        top: r#"access_log: {path: access.log, format: '"{header(x-a)}" "{path}" {status}'}"#,
        mirrors: format!(
            "{{m: {{url: 'http://{}', access_log: {{path: m.log, fields: [path, header(x-a), status]}}}}}}",
            application(&[OK]).await
        ),
    }
    .start()
    .await;
    let mut client = logged.client().await;
    let sent = client
        .send_all(b"GET /\" HTTP/1.1\r\nHost: h\r\nX-A: a\" 200\\n\t\xff\xc2\x9b\r\n\r\n")
        .await;
    assert!(sent && client.until_ends_with(b"hello").await);
    assert_eq!(
        logged.line("access.log").await,
        r#""a\x22 200\x5Cn\x09\xFF\xC2\x9B" "/\x22" 200"#
    );
    assert_eq!(
        logged.line("m.log").await,
        r#"{"path":"/\"","header_x_a":"a\" 200\\n\u0009\u00FF\u009B","status":200}"#
    );
}
