//! What is read from files, and what is said of files that cannot be used.

use super::*;

#[tokio::test]
async fn keys_are_read_in_every_usual_form() {
    let files = Files::new();
    // PKCS#8 holds the SEC1 structure as its last part: an octet string of 109 bytes for P-256.
    let pkcs8 = KeyPair::from_pem(&files.text("server.key")).unwrap().serialize_der();
    let sec1 = &pkcs8[memchr::memmem::find(&pkcs8, &[0x04, 0x6d, 0x30, 0x6b]).unwrap() + 2..];
    let sec1 = pem_of("EC PRIVATE KEY", sec1);
    assert!(RSA_KEY.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    assert!(files.text("server.key").starts_with("-----BEGIN PRIVATE KEY-----"));

    let trusting = client(&files.trusting("ca.crt"));
    for key in [
        sec1,
        files.text("server.key"),
        format!("# a comment\n{}\n", files.text("server.key")),
    ] {
        let mut listener = files.listener("server");
        listener.key = files.put("form.key", &key);
        assert!(
            meet(&ServerTls::load(&listener).unwrap(), &trusting, "localhost")
                .await
                .is_ok(),
            "{key}"
        );
    }
    let both = files.put(
        "both.pem",
        &format!("{}{}", files.text("server.key"), files.text("server.crt")),
    );
    let listener = ListenerTls {
        certificate: both.clone(),
        key: both,
        ..files.listener("server")
    };
    assert!(ServerTls::load(&listener).is_ok(), "certificate and key in one file");
}

fn pem_of(label: &str, der: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut base64 = String::new();
    for chunk in der.chunks(3) {
        let bits = chunk.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * i)) as usize % 64];
            base64.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}

#[test]
fn what_cannot_be_used_is_named_with_its_file() {
    let files = Files::new();
    let cut = files.text("ca.crt").replace("-----END CERTIFICATE-----", "");
    let broken_key = pem_of("PRIVATE KEY", &[0x30, 3, 2, 1, 0]);
    files.put("empty", "");
    files.put("cut.crt", &cut);
    files.put("noise.crt", &pem_of("CERTIFICATE", b"no certificate"));
    files.put(
        "base64.crt",
        "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
    );
    files.put("broken.key", &broken_key);
    files.put("pkcs8-passphrase.key", &pem_of("ENCRYPTED PRIVATE KEY", b"secret"));
    files.put(
        "rsa-passphrase.key",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    );
    let server = |certificate: &str, key: &str, ca: Option<&str>| {
        let listener = ListenerTls {
            certificate: files.path(certificate),
            key: files.path(key),
            alpn: Vec::new(),
            client_ca: ca.map(|name| files.path(name)),
        };
        ServerTls::load(&listener).map(|_| ()).unwrap_err().to_string()
    };
    let upstream = |tls: ClientTls| ClientTlsConfig::load(&tls, &[]).map(|_| ()).unwrap_err().to_string();
    let dir = format!("{}/", files.0.path().display());
    for (error, expected) in [
        (
            server("none.crt", "server.key", None),
            "none.crt: No such file or directory (os error 2)",
        ),
        (
            server("server.crt", "none.key", None),
            "none.key: No such file or directory (os error 2)",
        ),
        (server("empty", "server.key", None), "empty: no certificate in PEM form"),
        (
            server("server.key", "server.key", None),
            "server.key: no certificate in PEM form; it holds a private key",
        ),
        (
            server("server.crt", "server.crt", None),
            "server.crt: no private key in PEM form; it holds a certificate",
        ),
        (server("server.crt", "empty", None), "empty: no private key in PEM form"),
        (server("cut.crt", "server.key", None), "cut.crt: invalid PEM: "),
        (
            server("base64.crt", "server.key", None),
            "base64.crt: invalid PEM: base64 decode error",
        ),
        (
            server("noise.crt", "server.key", None),
            "noise.crt: certificate 1 is not usable: invalid peer certificate: BadEncoding",
        ),
        (
            server("server.crt", "broken.key", None),
            "broken.key: private key is not usable: ",
        ),
        (
            server("server.crt", "pkcs8-passphrase.key", None),
            "pkcs8-passphrase.key: no private key in PEM form; keys with a passphrase are not supported",
        ),
        (
            server("server.crt", "rsa-passphrase.key", None),
            "rsa-passphrase.key: no private key in PEM form; keys with a passphrase are not supported",
        ),
        (
            server("server.crt", "other.key", None),
            "other.key: private key does not belong to the certificate in ",
        ),
        (
            server("server.crt", "server.key", Some("none.crt")),
            "none.crt: No such file or directory (os error 2)",
        ),
        (
            server("server.crt", "server.key", Some("noise.crt")),
            "noise.crt: certificate 1 is not usable: ",
        ),
        (
            upstream(files.trusting("none.crt")),
            "none.crt: No such file or directory (os error 2)",
        ),
        (
            upstream(files.trusting("server.key")),
            "server.key: no certificate in PEM form; it holds a private key",
        ),
        (
            upstream(ClientTls {
                certificate: Some(files.path("client.crt")),
                ..files.trusting("ca.crt")
            }),
            "client.crt: a client certificate needs both a certificate file and a key file",
        ),
    ] {
        assert!(
            error.starts_with(&format!("{dir}{expected}")),
            "{error:?} does not start with {expected:?}"
        );
    }
    let named = ClientTls {
        server_name: Some("no name".to_owned()),
        ..files.trusting("ca.crt")
    };
    assert_eq!(
        upstream(named),
        "server name \"no name\" is neither a host name nor an address"
    );
}
