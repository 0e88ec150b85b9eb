//! Requests that look dangerous and are not: every server reads them alike.

use crate::harness::Case;

fn whole(name: &str, bytes: impl Into<Vec<u8>>) -> Case {
    Case {
        name: name.to_owned(),
        valid: bytes.into(),
        rest: Vec::new(),
        status: 0,
    }
}

fn fields(name: &str, fields: &str, body: &str) -> Case {
    whole(name, format!("POST /odd HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}"))
}

pub(crate) fn cases() -> Vec<Case> {
    let smuggled = "GET /inside HTTP/1.1\r\nHost: b\r\n\r\n";
    let length = smuggled.len();
    vec![
        fields(
            "a body that is a request",
            &format!("Content-Length: {length}\r\n"),
            smuggled,
        ),
        fields(
            "a chunk that is a request",
            "Transfer-Encoding: chunked\r\n",
            &format!("{length:x}\r\n{smuggled}\r\n0\r\n\r\n"),
        ),
        fields(
            "a coding in odd case and space",
            "tRANSFER-eNCODING:\t chUNKed \t\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
        ),
        fields("a length with zeros before", "Content-Length: 0003\r\n", "abc"),
        fields("a length in odd space", "CONTENT-LENGTH:\t3 \t\r\n", "abc"),
        fields(
            "a field that is nearly a coding",
            "Transfer_Encoding: chunked\r\nContent-Length: 3\r\n",
            "abc",
        ),
        fields(
            "a field that is nearly a length",
            "X-Content-Length: 30\r\nContent-Length: 3\r\n",
            "abc",
        ),
        fields(
            "a value that holds a coding",
            "X: Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
            "abc",
        ),
        fields(
            "chunk sizes with zeros before",
            "Transfer-Encoding: chunked\r\n",
            "00003\r\nabc\r\n000\r\n\r\n",
        ),
        fields(
            "chunks with extensions",
            "Transfer-Encoding: chunked\r\n",
            "3;a=b;c\r\nabc\r\n0;d\r\n\r\n",
        ),
        fields(
            "chunks with trailers",
            "Transfer-Encoding: chunked\r\n",
            "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
        ),
        fields("a body of nothing", "Content-Length: 0\r\n", ""),
        fields(
            "an expectation and the body at once",
            "Expect: 100-continue\r\nContent-Length: 3\r\n",
            "abc",
        ),
        fields(
            "an override of the method",
            "X-HTTP-Method-Override: DELETE\r\nContent-Length: 3\r\n",
            "abc",
        ),
        fields(
            "a rewritten path",
            "X-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\nContent-Length: 0\r\n",
            "",
        ),
        whole(
            "GET with a body, and another request",
            "GET /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        whole(
            "chunks, and another request",
            "POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n\
             POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\ny",
        ),
        whole(
            "an empty line between two requests",
            "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        whole(
            "a length that hides no request from GET",
            "GET /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        whole(
            "DELETE with a body",
            "DELETE /d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        ),
    ]
}
