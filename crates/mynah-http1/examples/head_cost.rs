//! Measures what a request's head costs: finding its end, parsing and classifying it.
//!
//! `cargo run --release -p mynah-http1 --example head_cost`
#![allow(clippy::print_stdout, reason = "prints what it measured")]
#![allow(clippy::unwrap_used, reason = "a measurement on a head that is known to be valid")]

use std::hint::black_box;
use std::time::Instant;

use mynah_http1::{HeadScanner, Limits, RequestHead};

const HEAD: &[u8] = b"GET /api/v2/orders/1234567890/items?limit=50&offset=100&sort=created HTTP/1.1\r\n\
    Host: shop.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: application/json, text/plain, */*\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://shop.example.com/orders\r\n\
    Authorization: Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN\r\n\
    Connection: keep-alive\r\n\
    Cookie: sid=0123456789abcdef0123456789abcdef; theme=dark; consent=1\r\n\
    X-Request-Id: 7f3d2c1b-0a9e-4f8d-b7c6-5a4b3c2d1e0f\r\n\
    Cache-Control: no-cache\r\n\
    Priority: u=0\r\n\r\n";

fn measure(what: &str, mut work: impl FnMut()) {
    let best = (0..20)
        .map(|_| {
            let start = Instant::now();
            (0..50_000).for_each(|_| work());
            start.elapsed().as_nanos() as f64 / 50_000.0
        })
        .fold(f64::INFINITY, f64::min);
    println!("{what:40} {best:7.1} ns");
}

fn main() {
    let limits = Limits::default();
    let mut list = Vec::new();
    println!("a head of {} bytes and 12 fields", HEAD.len());
    measure("find the end", || {
        black_box(HeadScanner::new().scan(black_box(HEAD), &limits).unwrap());
    });
    measure("parse and classify", || {
        let head = RequestHead::parse(black_box(HEAD), &mut list, &limits).unwrap();
        black_box((head.body(), head.persistent(), head.host()));
    });
}
