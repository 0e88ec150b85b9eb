mod files;

use std::fs;
use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::task::Poll;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use rustls::HandshakeKind;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const LONG: Duration = Duration::from_secs(20);
/// A self-signed certificate for localhost as `openssl req -x509` makes it, an authority; and its key as PKCS#1.
const RSA_CERTIFICATE: &str = include_str!("testdata/rsa.crt");
const RSA_KEY: &str = include_str!("testdata/rsa.key");

/// Certificates in a directory of their own: an authority, `server` for localhost and `client` from it, and `other`,
/// self-signed.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        files.put("ca.crt", &ca.pem());
        for (name, host, usage) in [
            ("server", "localhost", ExtendedKeyUsagePurpose::ServerAuth),
            ("client", "someone", ExtendedKeyUsagePurpose::ClientAuth),
        ] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new([host.to_owned()]).unwrap();
            params.extended_key_usages = vec![usage];
            files.put(&format!("{name}.crt"), &params.signed_by(&key, &ca).unwrap().pem());
            files.put(&format!("{name}.key"), &key.serialize_pem());
        }
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        files.put("other.crt", &other.cert.pem());
        files.put("other.key", &other.signing_key.serialize_pem());
        files.put("rsa.crt", RSA_CERTIFICATE);
        files.put("rsa.key", RSA_KEY);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn listener(&self, name: &str) -> ListenerTls {
        ListenerTls {
            certificate: self.path(&format!("{name}.crt")),
            key: self.path(&format!("{name}.key")),
            alpn: vec![Alpn::H2, Alpn::Http1],
            client_ca: None,
        }
    }

    fn server(&self, name: &str) -> Arc<ServerConfig> {
        ServerTls::load(&self.listener(name)).unwrap()
    }

    fn trusting(&self, name: &str) -> ClientTls {
        ClientTls {
            ca: Some(self.path(name)),
            ..ClientTls::default()
        }
    }
}

/// Connects, completes both handshakes, and carries a byte each way, so that both sides know how it ended.
async fn meet(server: &Arc<ServerConfig>, client: &ClientTlsConfig, host: &str) -> io::Result<(Stream, Stream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let tcp = TcpStream::connect(listener.local_addr()?).await?;
    let accepted = listener.accept().await?.0;
    let serving = async {
        let mut stream = accept(server.clone(), accepted, LONG).await?;
        let byte = stream.read_u8().await?;
        stream.write_u8(byte).await?;
        stream.flush().await?;
        Ok::<_, io::Error>(stream)
    };
    let asking = async {
        let mut stream = connect(client, host, tcp).await?;
        stream.write_u8(7).await?;
        stream.flush().await?;
        assert_eq!(stream.read_u8().await?, 7);
        Ok(stream)
    };
    let (served, asked) = tokio::join!(serving, asking);
    // What the client found is the reason, what the server saw the consequence, except where the server refuses.
    match (served, asked) {
        (Ok(server), Ok(client)) => Ok((server, client)),
        (_, Err(error)) | (Err(error), _) => Err(error),
    }
}

fn client(tls: &ClientTls) -> ClientTlsConfig {
    ClientTlsConfig::load(tls, &[Alpn::Http1]).unwrap()
}

#[tokio::test]
async fn both_sides_agree_on_the_protocol_that_the_listener_prefers() {
    let files = Files::new();
    let server = files.server("server");
    let both = ClientTlsConfig::load(&files.trusting("ca.crt"), &[Alpn::Http1, Alpn::H2]).unwrap();
    for (client, expected) in [
        (both.clone(), Some(Alpn::H2)),
        (both.with_alpn(&[Alpn::Http1]), Some(Alpn::Http1)),
        (both.with_alpn(&[]), None),
    ] {
        let (served, asked) = meet(&server, &client, "localhost").await.unwrap();
        assert_eq!((served.alpn(), asked.alpn()), (expected, expected));
        assert!(served.is_tls() && asked.is_tls());
    }
    let mut listener = files.listener("server");
    listener.alpn = vec![Alpn::Http1];
    let server = ServerTls::load(&listener).unwrap();
    assert!(
        meet(&server, &both.with_alpn(&[Alpn::H2]), "localhost").await.is_err(),
        "nothing in common"
    );
}

#[tokio::test]
async fn either_side_may_end_its_direction_and_hear_the_other_out() {
    let files = Files::new();
    let (mut served, mut asked) = meet(&files.server("server"), &client(&files.trusting("ca.crt")), "localhost")
        .await
        .unwrap();
    asked.write_all(b"question").await.unwrap();
    asked.shutdown().await.unwrap();
    let mut text = String::new();
    served.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "question");
    let long = vec![b'a'; 1 << 20];
    let answering = async {
        served.write_all(&long).await.unwrap();
        served.shutdown().await.unwrap();
    };
    let mut answer = Vec::new();
    let (_, read) = tokio::join!(answering, asked.read_to_end(&mut answer));
    read.unwrap();
    assert!(answer == long);
}

#[tokio::test]
async fn what_waits_inside_for_the_socket_leaves_while_reading() {
    let files = Files::new();
    let (mut served, mut asked) = meet(&files.server("server"), &client(&files.trusting("ca.crt")), "localhost")
        .await
        .unwrap();
    // The peer does not read yet: write until the socket is full and the rest is kept inside.
    let chunk = [7; 16 * 1024];
    let mut written = 0;
    poll_fn(|cx| match Pin::new(&mut served).poll_write(cx, &chunk) {
        Poll::Ready(result) => {
            written += result.unwrap();
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        Poll::Pending => Poll::Ready(()),
    })
    .await;
    let Stream::Tls(tls) = &served else {
        unreachable!("it accepted")
    };
    assert!(tls.get_ref().1.wants_write());
    let asking = async {
        let mut read = vec![0; written];
        asked.read_exact(&mut read).await.unwrap();
        asked.write_u8(1).await.unwrap();
        asked.flush().await.unwrap();
    };
    let both = async { tokio::join!(served.read_u8(), asking) };
    let (byte, ()) = tokio::time::timeout(LONG, both)
        .await
        .expect("neither side waits for the other");
    assert_eq!(byte.unwrap(), 1);
}

#[tokio::test]
async fn a_peer_that_ends_without_saying_so_is_told_from_one_that_does() {
    let files = Files::new();
    let (served, mut asked) = meet(&files.server("server"), &client(&files.trusting("ca.crt")), "localhost")
        .await
        .unwrap();
    drop(served);
    assert_eq!(asked.read_u8().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_certificate_is_verified_against_the_authority_and_the_name() {
    let files = Files::new();
    let server = files.server("server");
    let fails = async |tls: ClientTls, host: &str| {
        let error = meet(&server, &client(&tls), host).await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        error.to_string()
    };
    assert!(
        meet(&server, &client(&files.trusting("ca.crt")), "localhost")
            .await
            .is_ok()
    );
    assert!(
        meet(&server, &client(&files.trusting("ca.crt")), "localhost.")
            .await
            .is_ok()
    );

    let error = fails(files.trusting("other.crt"), "localhost").await;
    assert!(error.contains("UnknownIssuer"), "{error}");
    let error = fails(files.trusting("ca.crt"), "example.com").await;
    assert!(error.contains("example.com"), "{error}");
    fails(files.trusting("ca.crt"), "127.0.0.1").await;

    let named = ClientTls {
        server_name: Some("localhost".to_owned()),
        ..files.trusting("ca.crt")
    };
    assert!(meet(&server, &client(&named), "example.com").await.is_ok());
    let named = ClientTls {
        server_name: Some("example.com".to_owned()),
        ..files.trusting("ca.crt")
    };
    fails(named, "localhost").await;
}

#[tokio::test]
async fn insecure_accepts_whoever_answers() {
    let files = Files::new();
    let insecure = client(&ClientTls {
        insecure: true,
        ..ClientTls::default()
    });
    for name in ["server", "other", "rsa", "client"] {
        assert!(
            meet(&files.server(name), &insecure, "example.com").await.is_ok(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_self_signed_certificate_can_be_its_own_authority() {
    let files = Files::new();
    for name in ["other", "rsa"] {
        let trusting = client(&files.trusting(&format!("{name}.crt")));
        assert!(
            meet(&files.server(name), &trusting, "localhost").await.is_ok(),
            "{name}"
        );
        assert!(
            meet(&files.server(name), &trusting, "example.com").await.is_err(),
            "{name}: for its names only"
        );
    }
    let trusting = client(&files.trusting("rsa.crt"));
    assert!(meet(&files.server("other"), &trusting, "localhost").await.is_err());
}

#[tokio::test]
async fn a_certificate_out_of_date_is_refused_even_if_it_is_named() {
    let files = Files::new();
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        params.is_ca = is_ca;
        files.put("old.crt", &params.self_signed(&key).unwrap().pem());
        files.put("old.key", &key.serialize_pem());
        let result = meet(&files.server("old"), &client(&files.trusting("old.crt")), "localhost").await;
        let error = result.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("expired"), "{error}");
    }
}

#[tokio::test]
async fn clients_must_have_a_certificate_where_one_is_asked_for() {
    let files = Files::new();
    let mut listener = files.listener("server");
    listener.client_ca = Some(files.path("ca.crt"));
    let server = ServerTls::load(&listener).unwrap();
    let with = |name: &str| ClientTls {
        certificate: Some(files.path(&format!("{name}.crt"))),
        key: Some(files.path(&format!("{name}.key"))),
        ..files.trusting("ca.crt")
    };
    assert!(meet(&server, &client(&with("client")), "localhost").await.is_ok());
    assert!(
        meet(&server, &client(&with("other")), "localhost").await.is_err(),
        "from another authority"
    );
    assert!(
        meet(&server, &client(&files.trusting("ca.crt")), "localhost")
            .await
            .is_err(),
        "without"
    );
}

#[tokio::test]
async fn the_second_connection_resumes_the_first_ones_session() {
    let files = Files::new();
    let server = files.server("server");
    let client = client(&files.trusting("ca.crt"));
    let kind = async |client: &ClientTlsConfig, server: &Arc<ServerConfig>| {
        let (_served, asked) = meet(server, client, "localhost").await.unwrap();
        let Stream::TlsClient(tls) = asked else {
            unreachable!("it connected")
        };
        tls.get_ref().1.handshake_kind().unwrap()
    };
    assert_eq!(kind(&client, &server).await, HandshakeKind::Full);
    assert_eq!(kind(&client, &server).await, HandshakeKind::Resumed);
    assert_eq!(kind(&client.clone(), &server).await, HandshakeKind::Resumed);
    assert_eq!(
        kind(&client.with_alpn(&[Alpn::Http1]), &server).await,
        HandshakeKind::Full,
        "sessions of its own"
    );
    assert_eq!(
        kind(&client, &files.server("server")).await,
        HandshakeKind::Full,
        "loaded again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_says_hello_is_given_up() {
    let files = Files::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let _silent = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let accepted = listener.accept().await.unwrap().0;
    let error = accept(files.server("server"), accepted, LONG).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}
