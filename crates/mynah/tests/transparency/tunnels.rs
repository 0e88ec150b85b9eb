//! Upgrades and CONNECT.

use mynah_testkit::raw::{Script, script};

use crate::requests::OK;
use crate::responses::GET;

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const CONNECT: &str = "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n";
const CONNECTED: &str = "HTTP/1.1 200 Connection Established\r\n\r\n";

fn switched(name: &str) -> Script {
    script(name).client(UPGRADE).tunnel().app(SWITCHED)
}

fn connected(name: &str) -> Script {
    script(name).client(CONNECT).tunnel().app(CONNECTED)
}

pub(crate) fn scripts() -> Vec<Script> {
    [switching(), in_tunnels(), ends(), refused()].concat()
}

fn switching() -> Vec<Script> {
    vec![
        switched("an upgrade").client("\x01ping").app("\x01pong"),
        switched("an upgrade after which the application speaks first").app("hello").client("hello"),
        script("an upgrade and the first frame at once")
            .client(UPGRADE)
            .tunnel()
            .app(format!("{SWITCHED}\u{1}first"))
            .client("\x01ping"),
        script("frames sent before the upgrade is accepted")
            .client(UPGRADE)
            .tunnel()
            .client_part("\x01early")
            .app(SWITCHED)
            .client("\x01ping"),
        script("an upgrade and frames at once")
            .client_held(format!("{UPGRADE}\u{1}early"), UPGRADE.len())
            .tunnel_from(UPGRADE.len())
            .app(SWITCHED)
            .client_caught_up()
            .client("\x01ping"),
        script("an interim response before the upgrade")
            .client(UPGRADE)
            .tunnel()
            .app("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n")
            .app(SWITCHED)
            .client("\x01ping"),
        script("an upgrade with options in odd writing")
            .client("GET / HTTP/1.1\r\nHost: a\r\nuPgRaDe: Chat/1, Chat/2\r\ncOnNeCtIoN: keep-alive,\tuPgRaDe\r\n\r\n")
            .tunnel()
            .app("HTTP/1.1 101 Sure\r\nUpgrade: Chat/2\r\nConnection: upgrade\r\n\r\n")
            .client("a")
            .app("b"),
        script("an upgrade with a body")
            .client("POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 4\r\n\r\nbody")
            .tunnel()
            .app("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
            .client("a")
            .app("b"),
        script("an upgrade after other exchanges")
            .client(GET)
            .app(OK)
            .client(UPGRADE)
            .tunnel()
            .app(SWITCHED)
            .client("a")
            .app("b"),
        script("an upgrade to HTTP/2 with its settings")
            .client_as(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            )
            .app(OK),
        connected("CONNECT").client("\x16\x03\x01").app("\x16\x03\x03"),
        script("CONNECT and the first bytes at once")
            .client(CONNECT)
            .tunnel()
            .app(format!("{CONNECTED}first"))
            .client("second"),
    ]
}

fn in_tunnels() -> Vec<Script> {
    let every_byte: Vec<u8> = (0..=255).collect();
    let long = "t".repeat(2 << 20);
    vec![
        switched("every byte through a tunnel")
            .client(every_byte.clone())
            .app(every_byte),
        switched("2 MiB through a tunnel").client(long.clone()).app(long),
        switched("a tunnel byte by byte")
            .client_each("abcdefgh")
            .app_each("ABCDEFGH"),
        switched("requests through a tunnel")
            .client(GET)
            .app(OK)
            .client("GET bad\nrequest\r\r\n")
            .app("HTTP/9 no"),
        connected("requests through CONNECT")
            .client(format!("{GET}{GET}"))
            .app(OK),
        switched("a tunnel where nothing happens").quiet().client("a").app("b"),
    ]
}

fn ends() -> Vec<Script> {
    let every = |name: &str, open: fn(&str) -> Script| {
        [
            open(&format!("{name}: the client ends and the application goes on"))
                .client("bye")
                .client_fin()
                .quiet()
                .app("one")
                .app("two")
                .app_fin(),
            open(&format!("{name}: the application ends and the client goes on"))
                .app("bye")
                .app_fin()
                .quiet()
                .client("one")
                .client("two")
                .client_fin(),
            open(&format!("{name}: the client resets")).client("a").client_reset(),
            open(&format!("{name}: the application resets")).app("a").app_reset(),
            open(&format!("{name}: the client ends, the application resets"))
                .client("a")
                .client_fin()
                .app_reset(),
            open(&format!("{name}: the application ends, the client resets"))
                .app("a")
                .app_fin()
                .client_reset(),
        ]
    };
    [every("upgraded", switched), every("connected", connected)].concat()
}

fn refused() -> Vec<Script> {
    let needs =
        "HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.2\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nno";
    vec![
        script("an upgrade that is passed over").client(UPGRADE).app(OK).client(GET).app(OK),
        script("an upgrade that is refused").client(UPGRADE).app(needs).client(GET).app(OK),
        script("an upgrade that is passed over, and a request behind it")
            .client_held(format!("{UPGRADE}{GET}"), UPGRADE.len())
            .app(OK)
            .client_caught_up()
            .app(OK),
        script("CONNECT that is refused")
            .client(CONNECT)
            .app("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\nContent-Length: 2\r\n\r\nno")
            .client(GET)
            .app(OK),
        script("CONNECT that wants credentials and the end")
            .client(CONNECT)
            .app("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            .app_fin()
            .client_fin(),
        script("an upgrade before which a request is still to be answered")
            .client(format!("{GET}{UPGRADE}"))
            .tunnel()
            .app(OK)
            .app(SWITCHED)
            .client("a")
            .app("b"),
    ]
}
