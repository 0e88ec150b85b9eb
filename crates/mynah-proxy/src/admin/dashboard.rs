//! The dashboard: a page that draws the metrics, and changes ratios and pauses through the admin API.
//!
//! Three files within the binary, and nothing from elsewhere: the page's policy lets it load and call only what came from
//! the same address.

use http::{HeaderValue, Response, header};
use http_body_util::Full;
use hyper::body::Bytes;

/// What the page may do: its own script, style and calls, and never within another page.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

/// The file of the dashboard at this path, if there is one.
pub(super) fn file(path: &str) -> Option<Response<Full<Bytes>>> {
    let (kind, content) = match path {
        "/" => ("text/html; charset=utf-8", include_str!("dashboard/index.html")),
        "/dashboard.css" => ("text/css; charset=utf-8", include_str!("dashboard/dashboard.css")),
        "/dashboard.js" => ("text/javascript; charset=utf-8", include_str!("dashboard/dashboard.js")),
        _ => return None,
    };
    let mut response = Response::new(Full::new(Bytes::from_static(content.as_bytes())));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Some(response)
}
