//! What is printed once every address is bound: what runs where, one line each.

use std::fmt::Write;

use mynah_config::model::{Endpoint, Mirror, SampleBy};
use mynah_proxy::Bound;

/// A line for each listener, upstream and mirror; the admin address comes last, so whoever has read it has read all.
pub(crate) fn lines(bound: &Bound) -> String {
    let config = bound.config();
    let mut text = String::new();
    let mut line = |content: std::fmt::Arguments<'_>| writeln!(text, "{content}").expect("a string takes everything");
    for (address, tls) in bound.listeners() {
        line(format_args!("listener {address}{}", if *tls { " tls" } else { "" }));
    }
    for upstream in &config.upstreams {
        line(format_args!("upstream {}", url(&upstream.url)));
    }
    for mirror in &config.mirrors {
        line(format_args!(
            "mirror {} {} {}{}",
            mirror.name,
            url(&mirror.url),
            mirror.ratio,
            by(mirror)
        ));
    }
    if let Some(metrics) = bound.metrics() {
        line(format_args!("metrics {metrics}"));
    }
    line(format_args!("admin {}", bound.admin()));
    text
}

fn url(endpoint: &Endpoint) -> String {
    let scheme = if endpoint.tls { "https" } else { "http" };
    let path = endpoint.path.as_deref().unwrap_or_default();
    if endpoint.host.contains(':') {
        format!("{scheme}://[{}]:{}{path}", endpoint.host, endpoint.port)
    } else {
        format!("{scheme}://{}:{}{path}", endpoint.host, endpoint.port)
    }
}

fn by(mirror: &Mirror) -> String {
    match &mirror.by {
        SampleBy::Request => String::new(),
        SampleBy::Header(name) => format!(" by header({name})"),
        SampleBy::Cookie(name) => format!(" by cookie({name})"),
        SampleBy::ClientIp => " by client-ip".to_owned(),
    }
}
