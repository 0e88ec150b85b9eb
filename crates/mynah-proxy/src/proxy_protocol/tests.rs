use proptest::prelude::*;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket};

use super::*;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = SIGNATURE_V2.to_vec();
    bytes.extend_from_slice(&[command, family]);
    bytes.extend_from_slice(&(rest.len() as u16).to_be_bytes());
    bytes.extend_from_slice(rest);
    bytes
}

/// Parses the bytes whole and with others behind them, and every truncation of them, which must be incomplete.
fn accepted(bytes: &[u8]) -> Header {
    for cut in 0..bytes.len() {
        assert_eq!(parse(&bytes[..cut]), Ok(None), "cut at {cut} of {bytes:?}");
    }
    let (length, header) = parse(bytes).unwrap().unwrap();
    assert_eq!(length, bytes.len());
    let mut more = bytes.to_vec();
    more.extend_from_slice(b"GET / HTTP/1.1\r\n");
    assert_eq!(parse(&more), Ok(Some((length, header))));
    header
}

#[test]
fn version_1_names_client_and_destination() {
    for (line, source, destination) in [
        (
            "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n",
            "192.0.2.1:56324",
            "198.51.100.7:443",
        ),
        (
            "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            "255.255.255.255:65535",
            "255.255.255.255:65535",
        ),
        ("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0", "0.0.0.0:0"),
        ("PROXY TCP6 2001:db8::1 ::1 1 80\r\n", "[2001:db8::1]:1", "[::1]:80"),
        (
            "PROXY TCP6 2001:0DB8:0:0:0:0:0:A ::ffff:192.0.2.1 1 80\r\n",
            "[2001:db8::a]:1",
            "[::ffff:192.0.2.1]:80",
        ),
        (
            "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
        ),
    ] {
        assert_eq!(
            accepted(line.as_bytes()),
            Header::new(address(source), address(destination)),
            "{line:?}"
        );
    }
}

#[test]
fn version_1_without_a_known_client_gives_no_addresses() {
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(MAX_LENGTH_V1 - 16));
    assert_eq!(longest.len(), MAX_LENGTH_V1);
    for line in [
        "PROXY UNKNOWN\r\n",
        "PROXY UNKNOWN \r\n",
        "PROXY UNKNOWN ::1 ::1 1 2 3 4\r\n",
        &longest,
    ] {
        assert_eq!(accepted(line.as_bytes()), Header::default(), "{line:?}");
    }
    assert_eq!(accepted(b"PROXY UNKNOWN \xff\0\r\n"), Header::default());
}

#[test]
fn version_1_is_refused_unless_it_is_exact() {
    use ProxyProtocolError::{Address, Family, Line, Missing, Port, TooLong};
    for (line, error) in [
        ("GET / HTTP/1.1\r\n", Missing),
        ("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", Missing),
        (" PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n", Missing),
        ("PROXY\tTCP4 1.2.3.4 1.2.3.4 1 2\r\n", Missing),
        ("PROXY\r\n", Missing),
        ("PROXY \r\n", Line),
        ("PROXY TCP4\r\n", Line),
        ("PROXY TCP4 \r\n", Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", Line),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n", Line),
        ("PROXY TCP4\r1.2.3.4 1.2.3.4 1 2\r\n", Line),
        ("PROXY UNKNOWN\rx", Line),
        ("PROXY UNKNOWN\n", Line),
        ("PROXY TCP4 1.2.3.4  1 2\r\n", Address),
        ("PROXY  TCP4 1.2.3.4 1.2.3.4 1\r\n", Family),
        ("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", Family),
        ("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", Family),
        ("PROXY UNKNOWNS 1.2.3.4 1.2.3.4 1 2\r\n", Family),
        ("PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", Family),
        ("PROXY TCP4 ::1 1.2.3.4 1 2\r\n", Address),
        ("PROXY TCP6 1.2.3.4 ::1 1 2\r\n", Address),
        ("PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", Address),
        ("PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n", Address),
        ("PROXY TCP4 256.2.3.4 1.2.3.4 1 2\r\n", Address),
        ("PROXY TCP6 [::1] ::1 1 2\r\n", Address),
        ("PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", Address),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 00 2\r\n", Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n", Port),
    ] {
        assert_eq!(parse(line.as_bytes()), Err(error), "{line:?}");
    }
    assert_eq!(parse("PROXY TCP4 1.2.3.4 1.2.3.4 1 ２\r\n".as_bytes()), Err(Port));
    assert_eq!(parse(b"PROXY TCP4 \xff 1.2.3.4 1 2\r\n"), Err(Line));
    let endless = format!("PROXY UNKNOWN {}", "f".repeat(200));
    assert_eq!(parse(&endless.as_bytes()[..MAX_LENGTH_V1 - 1]), Ok(None));
    assert_eq!(parse(&endless.as_bytes()[..MAX_LENGTH_V1]), Err(TooLong));
    let one_too_long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(MAX_LENGTH_V1 - 15));
    assert_eq!(parse(one_too_long.as_bytes()), Err(TooLong));
    assert_eq!(parse(one_too_long.trim_end_matches('\n').as_bytes()), Err(TooLong));
}

#[test]
fn version_2_names_client_and_destination() {
    let inet = [192, 0, 2, 1, 198, 51, 100, 7, 0xdc, 0x04, 0x01, 0xbb];
    let expected = Header::new(address("192.0.2.1:56324"), address("198.51.100.7:443"));
    assert_eq!(accepted(&v2(0x21, 0x11, &inet)), expected);

    let with_fields = [&inet[..], &[0x04, 0, 2, 1, 2, 0xea, 0, 0, 0xff]].concat();
    assert_eq!(accepted(&v2(0x21, 0x11, &with_fields)), expected);

    let mut inet6 = Vec::new();
    inet6.extend_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
    inet6.extend_from_slice(&Ipv6Addr::LOCALHOST.octets());
    inet6.extend_from_slice(&[0, 1, 0, 80]);
    assert_eq!(
        accepted(&v2(0x21, 0x21, &inet6)),
        Header::new(address("[2001:db8::1]:1"), address("[::1]:80"))
    );
}

#[test]
fn version_2_without_a_client_over_tcp_gives_no_addresses() {
    for (command, family, rest) in [
        (0x20, 0x00, vec![]),
        (0x20, 0x11, vec![1; 12]),
        (0x20, 0x11, vec![]),
        (0x20, 0xff, vec![7; 3]),
        (0x21, 0x00, vec![]),
        (0x21, 0x00, vec![7; 5]),
        (0x21, 0x12, vec![1; 12]),
        (0x21, 0x22, vec![1; 36]),
        (0x21, 0x31, vec![b'/'; 216]),
        (0x21, 0x32, vec![b'/'; 220]),
        (0x20, 0x00, vec![0; MAX_LENGTH - FIXED_V2]),
    ] {
        assert_eq!(
            accepted(&v2(command, family, &rest)),
            Header::default(),
            "{command:x} {family:x}"
        );
    }
}

#[test]
fn version_2_is_refused_as_soon_as_a_byte_is_wrong() {
    use ProxyProtocolError::{Command, Family, Missing, TooLong, TooShort, Version};
    for (bytes, cut, error) in [
        (v2(0x11, 0x11, &[0; 12]), 13, Version),
        (v2(0x31, 0x11, &[0; 12]), 13, Version),
        (v2(0x22, 0x11, &[0; 12]), 13, Command),
        (v2(0x2f, 0x11, &[0; 12]), 13, Command),
        (v2(0x21, 0x01, &[0; 12]), 14, Family),
        (v2(0x21, 0x10, &[0; 12]), 14, Family),
        (v2(0x21, 0x13, &[0; 12]), 14, Family),
        (v2(0x21, 0x41, &[0; 12]), 14, Family),
        (v2(0x21, 0x11, &[0; 11]), 16, TooShort),
        (v2(0x21, 0x12, &[]), 16, TooShort),
        (v2(0x21, 0x21, &[0; 35]), 16, TooShort),
        (v2(0x21, 0x31, &[0; 215]), 16, TooShort),
        (v2(0x20, 0x00, &[0; MAX_LENGTH - FIXED_V2 + 1]), 16, TooLong),
        (v2(0x21, 0x11, &[0; 65535]), 16, TooLong),
    ] {
        assert_eq!(parse(&bytes[..cut - 1]), Ok(None), "{error} one byte early");
        assert_eq!(parse(&bytes[..cut]), Err(error));
        assert_eq!(parse(&bytes), Err(error));
    }
    for wrong in 0..SIGNATURE_V2.len() {
        let mut bytes = v2(0x21, 0x11, &[0; 12]);
        bytes[wrong] ^= 0x80;
        assert_eq!(parse(&bytes[..=wrong]), Err(Missing));
    }
}

#[test]
fn addresses_of_two_families_are_written_as_ipv6_and_mapped_ones_as_ipv4() {
    let (four, six) = (address("192.0.2.1:5"), address("[2001:db8::1]:6"));
    let mapped = address("[::ffff:192.0.2.9]:7");
    let line = |source, destination| {
        let mut out = b"x".to_vec();
        write(ProxyProtocolVersion::V1, source, destination, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(line(four, six), "xPROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 5 6\r\n");
    assert_eq!(line(six, mapped), "xPROXY TCP6 2001:db8::1 ::ffff:192.0.2.9 6 7\r\n");
    assert_eq!(line(mapped, four), "xPROXY TCP4 192.0.2.9 192.0.2.1 7 5\r\n");
    let mut out = Vec::new();
    write(ProxyProtocolVersion::V2, four, mapped, &mut out);
    assert_eq!(out, v2(0x21, 0x11, &[192, 0, 2, 1, 192, 0, 2, 9, 0, 5, 0, 7]));
}

fn socket_address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

/// Bytes that come near to being headers.
fn nearly_header() -> impl Strategy<Value = Vec<u8>> {
    let line = "PROXY (TCP4|TCP6|UNKNOWN|[A-Z]{1,4}) ?([0-9.]{1,12}|[0-9a-f:]{1,12}) [0-9.:]{1,12} [0-9]{1,6} [0-9]{0,6}(\r\n|\n|\r)?.{0,90}";
    let v2 = (
        any::<u8>(),
        any::<u8>(),
        prop::collection::vec(any::<u8>(), 0..300),
        0..400_u16,
    )
        .prop_map(|(command, family, rest, length)| {
            let mut bytes = v2(0x20 | (command & 0x13), family & 0x33, &rest);
            bytes[14..16].copy_from_slice(&length.to_be_bytes());
            bytes
        });
    prop_oneof![
        line.prop_map(String::into_bytes),
        v2,
        prop::collection::vec(any::<u8>(), 0..200)
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(source in socket_address(), destination in socket_address(), second: bool) {
        let version = if second { ProxyProtocolVersion::V2 } else { ProxyProtocolVersion::V1 };
        let mut bytes = Vec::new();
        write(version, source, destination, &mut bytes);
        let header = accepted(&bytes);
        for (read, written) in [(header.source, source), (header.destination, destination)] {
            let read = read.unwrap();
            prop_assert_eq!(read.ip().to_canonical(), written.ip().to_canonical());
            prop_assert_eq!(read.port(), written.port());
        }
    }

    #[test]
    fn a_verdict_does_not_change_when_more_bytes_come(bytes in nearly_header()) {
        let whole = parse(&bytes);
        if let Ok(Some((length, _))) = whole {
            prop_assert!(length <= bytes.len());
        }
        for cut in 0..bytes.len() {
            let verdict = parse(&bytes[..cut]);
            prop_assert!(verdict == Ok(None) || verdict == whole, "{verdict:?} at {cut}, {whole:?} in the end");
        }
    }
}

async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_nodelay(true).unwrap();
    let client = socket.connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

#[tokio::test]
async fn what_follows_a_header_stays_in_the_socket() {
    let long = v2(0x21, 0x11, &[7; 3000]);
    for header in [b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n".to_vec(), long] {
        let (mut client, mut server) = connection().await;
        client.write_all(&[&header[..], b"hello"].concat()).await.unwrap();
        drop(client);
        assert!(read(&mut server).await.unwrap().source.is_some());
        let mut rest = Vec::new();
        server.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"hello");
    }
}

#[tokio::test]
async fn a_header_may_come_byte_by_byte() {
    let (mut client, mut server) = connection().await;
    let reading = tokio::spawn(async move { (read(&mut server).await, server) });
    for byte in *b"PROXY TCP6 ::1 ::2 3 4\r\n!" {
        client.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let (header, mut server) = reading.await.unwrap();
    assert_eq!(header.unwrap(), Header::new(address("[::1]:3"), address("[::2]:4")));
    assert_eq!(server.read_u8().await.unwrap(), b'!');
}

#[tokio::test]
async fn a_connection_that_ends_within_its_header_or_has_none_is_an_error() {
    let (mut client, mut server) = connection().await;
    client.write_all(b"PROXY TCP6 ::1").await.unwrap();
    drop(client);
    assert_eq!(
        read(&mut server).await.unwrap_err().kind(),
        io::ErrorKind::UnexpectedEof
    );

    let (mut client, mut server) = connection().await;
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let error = read(&mut server).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(error.to_string(), "no PROXY protocol header");
}
