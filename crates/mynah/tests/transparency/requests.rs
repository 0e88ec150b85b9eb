//! What a request's head may look like.

use mynah_testkit::raw::{Script, script};

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A request whose head passes byte for byte, answered.
fn passes(name: &str, request: impl Into<Vec<u8>>) -> Script {
    script(name).client(request).app(OK)
}

fn target(name: &str, target: impl AsRef<[u8]>) -> Script {
    let request = [b"GET ", target.as_ref(), b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    passes(name, request)
}

fn method(name: &str, method: &str) -> Script {
    passes(name, format!("{method} /m HTTP/1.1\r\nHost: a\r\n\r\n"))
}

fn fields(name: &str, fields: impl AsRef<[u8]>) -> Script {
    let request = [b"GET /f HTTP/1.1\r\nHost: a\r\n", fields.as_ref(), b"\r\n"].concat();
    passes(name, request)
}

fn host(name: &str, line: &str) -> Script {
    passes(name, format!("GET /h HTTP/1.1\r\n{line}\r\n\r\n"))
}

/// Fields of the connection, some of which do not belong to the next one.
fn cut(name: &str, sent: &str, seen: &str) -> Script {
    let request = |fields: &str| format!("GET /c HTTP/1.1\r\nHost: a\r\n{fields}X-End: 1\r\n\r\n");
    script(name).client_as(request(sent), request(seen)).app(OK)
}

pub(crate) fn scripts() -> Vec<Script> {
    [
        targets(),
        methods(),
        many_fields(),
        hosts(),
        versions(),
        of_the_connection(),
        pipelined(),
    ]
    .concat()
}

fn targets() -> Vec<Script> {
    let high: Vec<u8> = b"/".iter().copied().chain(0x80..=0xff).collect();
    vec![
        target("a plain request", "/"),
        target("dot segments", "/a/../b/./c/.."),
        target("empty segments", "//a//b///"),
        target("escaped dots, slashes and zeros", "/%2e%2e/%2F%00%zz%"),
        target("characters that URLs should escape", "/a|b{c}\"d<e>`f\\g^h[i]'j"),
        target("bytes that are not ASCII", high),
        target("a query of odd separators", "/?a=b&a=c&&=;;?x?y=/../"),
        target("an empty query", "/a?"),
        target("a fragment", "/a#b?c"),
        target("a target of 60 KiB", format!("/{}", "t".repeat(60 * 1024))),
        target("an absolute target", "http://a/b?c"),
        target("an absolute target for another host", "http://other:8080/b"),
        target("an absolute target with another scheme", "https://a/b"),
        target("an absolute target with nothing but a query", "http://a?q=1"),
        passes("options of the server", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
    ]
}

fn methods() -> Vec<Script> {
    vec![
        method("an unknown method", "FROBNICATE"),
        method("a method in lower case", "get"),
        method("a method with punctuation", "M-SEARCH"),
        method("a method of every other character", "!#$%&'*+-.^_`|~09"),
        method("TRACE", "TRACE"),
        method("DELETE", "DELETE"),
        method("PROPFIND", "PROPFIND"),
        method("PATCH without a body", "PATCH"),
        method("a method of one letter", "X"),
        method("POST without a length", "POST"),
        passes(
            "POST of nothing",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        ),
    ]
}

fn many_fields() -> Vec<Script> {
    let high: Vec<u8> = b"X-High: ".iter().copied().chain(0x80..=0xff).chain(*b"\r\n").collect();
    let ascii: Vec<u8> = b"X-Ascii: "
        .iter()
        .copied()
        .chain(0x20..=0x7e)
        .chain(*b"x\r\n")
        .collect();
    let numbered = |n: usize| (0..n).map(|i| format!("X-{i}: {i}\r\n")).collect::<String>();
    vec![
        fields(
            "field names in any case",
            "x-lower: 1\r\nX-UPPER: 2\r\nx-MiXeD: 3\r\nACCEPT: */*\r\n",
        ),
        fields("fields without a space after the colon", "A:1\r\nB:2\r\n"),
        fields("spaces and tabs around values", "A: \t 1 \t \r\nB:\t2\r\nC:    3\r\n"),
        fields("empty values", "A:\r\nB: \r\nC:\t\r\n"),
        fields(
            "repeated fields in their places",
            "A: 1\r\nB: 1\r\nA: 2\r\nB: 2\r\na: 3\r\nA: 1\r\n",
        ),
        fields("repeated cookies", "Cookie: a=1\r\nX: 1\r\nCookie: b=2; c=3\r\n"),
        fields("names of every character", "!#$%&'*+-.^_`|~: 1\r\nx.y_z: 2\r\n0: 3\r\n"),
        fields("values that are not ASCII", high),
        fields("values of every printable character", ascii),
        fields("tabs within a value", "A: 1\t2\t\t3\r\n"),
        fields("100 fields", numbered(100)),
        fields("500 fields", numbered(500)),
        fields("a field of 100 KiB", format!("X-Long: {}\r\n", "v".repeat(100 * 1024))),
        fields(
            "a head of 250 KiB",
            format!("A: {0}\r\nB: {0}\r\n", "v".repeat(125 * 1024)),
        ),
        fields("a name of 4 KiB", format!("{}: 1\r\n", "n".repeat(4096))),
        fields(
            "what other proxies say",
            "Via: 1.1 p\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\n",
        ),
        fields(
            "credentials",
            "Authorization: Basic YTpi\r\nProxy-Authorization: Basic YTpi\r\n",
        ),
        fields(
            "conditions and ranges",
            "If-None-Match: \"x\", W/\"y\"\r\nRange: bytes=0-0,-1\r\n",
        ),
        fields(
            "dates and servers of the client's own",
            "Date: never\r\nServer: mine\r\n",
        ),
        fields("a copy that came from elsewhere", "mynah-copy: 1\r\n"),
        fields("a probe of the kubelet", "User-Agent: kube-probe/1.31\r\n"),
        fields("an expectation that nobody knows", "Expect: the-unexpected\r\n"),
        fields("an upgrade without its connection option", "Upgrade: websocket\r\n"),
    ]
}

fn hosts() -> Vec<Script> {
    vec![
        host("an empty host", "Host:"),
        host("a host with a port", "Host: example.com:8080"),
        host("a host that is an address", "Host: [2001:db8::1]:80"),
        host("a host in any case", "hOsT: ExAmPlE.CoM"),
        host("a host with an underscore", "Host: my_service.default.svc"),
        host("a host after other fields", "A: 1\r\nHost: a\r\nB: 2"),
    ]
}

fn versions() -> Vec<Script> {
    let closed = "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end";
    vec![
        script("HTTP/1.0")
            .client("GET / HTTP/1.0\r\n\r\n")
            .app(closed)
            .app_fin()
            .client_fin(),
        script("HTTP/1.0 with a host")
            .client("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
            .app(closed)
            .app_fin()
            .client_fin(),
        passes(
            "HTTP/1.0 kept alive",
            "GET / HTTP/1.0\r\nConnection: keep-alive\r\nHost: a\r\n\r\n",
        ),
        passes(
            "HTTP/1.0 with a body",
            "POST / HTTP/1.0\r\nConnection: Keep-Alive\r\nContent-Length: 4\r\n\r\nbody",
        ),
        // Empty lines before a request are for a server to ignore (RFC 9112 §2.2).
        script("an empty line before a request")
            .client_as(
                "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            )
            .app(OK),
        script("a head that trickles")
            .client_trickles("GET /slow HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n")
            .app(OK),
        script("a head in pieces")
            .client_part("GET /pie")
            .client_part("ces HTTP/1.1\r")
            .client_part("\nHost: a\r\nX: ")
            .client_part("1\r\n\r")
            .client("\n")
            .app(OK),
    ]
}

fn of_the_connection() -> Vec<Script> {
    vec![
        fields(
            "keep-alive",
            "Connection: keep-alive\r\nKeep-Alive: timeout=5, max=100\r\n",
        ),
        fields(
            "connection options in odd writing",
            "cOnNeCtIoN:\tKeep-Alive ,keep-alive,\r\n",
        ),
        fields("trailers wanted", "TE: trailers\r\nConnection: TE\r\n"),
        cut(
            "a field of the connection",
            "Connection: X-Hop\r\nX-Hop: 1\r\nX-Stays: 1\r\n",
            "X-Stays: 1\r\n",
        ),
        cut(
            "a field of the connection before its option",
            "X-Hop: 1\r\nConnection: x-hop, Keep-Alive\r\nx-HOP: 2\r\n",
            "Connection: Keep-Alive\r\n",
        ),
        cut("a connection for proxies", "Proxy-Connection: keep-alive\r\n", ""),
        cut(
            "codings that only the next one understands",
            "TE: gzip, trailers;q=0.5\r\n",
            "",
        ),
        cut(
            "several connection fields",
            "Connection: a\r\nA: 1\r\nConnection: b, keep-alive\r\nB: 1\r\nC: 1\r\n",
            "Connection: keep-alive\r\nC: 1\r\n",
        ),
        script("a connection to be closed")
            .client("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .app("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
            .app_fin()
            .client_fin(),
        script("a connection to be closed that the application keeps")
            .client("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .app(OK)
            .client_fin()
            .app_fin(),
    ]
}

fn pipelined() -> Vec<Script> {
    let get = |i: usize| format!("GET /{i} HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = |i: usize| format!("HTTP/1.1 200 OK\r\nX: {i}\r\nContent-Length: 1\r\n\r\n{}", i % 10);
    let posts = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
                 POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
                 HEAD /3 HTTP/1.1\r\nHost: a\r\n\r\nGET /4 HTTP/1.1\r\nHost: a\r\n\r\n";
    vec![
        script("exchanges one after the other")
            .client(get(1))
            .app(answer(1))
            .client(get(2))
            .app(answer(2))
            .client(get(3))
            .app(answer(3)),
        script("two requests at once, answered one by one")
            .client(get(1) + &get(2))
            .app(answer(1))
            .app(answer(2)),
        script("two requests at once, answered at once")
            .client(get(1) + &get(2))
            .app(answer(1) + &answer(2)),
        script("a request while the one before is being answered")
            .client(get(1))
            .app("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
            .client(get(2))
            .app("cd")
            .app(answer(2)),
        script("40 requests at once")
            .client((0..40).map(get).collect::<String>())
            .app((0..40).map(answer).collect::<String>()),
        script("requests with and without bodies at once").client(posts).app(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 204 No Content\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n4",
        ),
        script("a request and a half")
            .client_held(get(1) + "GET /2 HT", get(1).len())
            .app(answer(1))
            .client("TP/1.1\r\nHost: a\r\n\r\n")
            .app(answer(2)),
    ]
}
