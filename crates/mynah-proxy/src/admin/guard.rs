//! Who may call the API.
//!
//! Three ways lead to an address that only this host reaches: a program on the host, which may; a page of another site that
//! a browser on the host has open, which is told by `Origin` and `Sec-Fetch-Site`; and such a page under a name that its
//! owner has made to resolve to this host, which is told by `Host`. Whoever comes from elsewhere needs the token.

use std::net::IpAddr;

use http::{HeaderMap, header};
use mynah_config::token;
use subtle::ConstantTimeEq;

use super::Access;
use super::problem::{Code, Problem};

/// Whether a request with these fields may do anything.
pub(super) fn admit(headers: &HeaderMap, access: &Access) -> Result<(), Problem> {
    same_origin(headers)?;
    match access {
        Access::Nobody => Err(nobody()),
        Access::Private => known_host(headers),
        Access::Token { file, private } => {
            if *private {
                known_host(headers)?;
            }
            let token = token::read(file).map_err(|error| {
                tracing::error!(%error, "admin token unusable");
                Problem::new(Code::TokenUnavailable, "the token cannot be read; see the log")
            })?;
            let given = bearer(headers).unwrap_or_default();
            if bool::from(given.as_bytes().ct_eq(token.as_bytes())) {
                Ok(())
            } else {
                Err(Problem::new(
                    Code::Unauthorized,
                    "expected Authorization: Bearer with the token of admin.token_file",
                ))
            }
        }
    }
}

/// The answer where the API is off.
pub(super) fn nobody() -> Problem {
    Problem::new(
        Code::ApiOff,
        "others reach this address, so the API needs admin.token_file; without it here are /metrics, /healthz and /readyz",
    )
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// A browser says where a request comes from; programs that are no browsers say nothing.
fn same_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let foreign = || Problem::new(Code::ForeignOrigin, "the API is not for pages of other sites");
    let site = headers.get("sec-fetch-site").map(header::HeaderValue::as_bytes);
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        return Err(foreign());
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let host = headers.get(header::HOST).map(header::HeaderValue::as_bytes);
    let from = origin
        .as_bytes()
        .strip_prefix(b"http://")
        .or(origin.as_bytes().strip_prefix(b"https://"));
    match (from, host) {
        (Some(from), Some(host)) if from.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(foreign()),
    }
}

/// An address, or a name that is this host's by definition; what others can make of other names is their matter.
fn known_host(headers: &HeaderMap) -> Result<(), Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let known = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().is_ok_and(is_this_host),
        _ => false,
    };
    if known {
        Ok(())
    } else {
        Err(Problem::new(
            Code::ForeignHost,
            "expected Host to be localhost or an address",
        ))
    }
}

fn is_this_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (
                name.parse::<header::HeaderName>().unwrap(),
                value.parse::<header::HeaderValue>().unwrap(),
            )
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn programs_and_the_own_page_may() {
        for may in [
            &[("host", "127.0.0.1:9470")][..],
            &[("host", "[::1]:9470")],
            &[("host", "localhost")],
            &[("host", "LOCALHOST:1")],
            &[
                ("host", "localhost:9470"),
                ("origin", "http://localhost:9470"),
                ("sec-fetch-site", "same-origin"),
            ],
            &[("host", "127.0.0.1"), ("sec-fetch-site", "none")],
        ] {
            assert!(admit(&fields(may), &Access::Private).is_ok(), "{may:?}");
        }
    }

    #[test]
    fn pages_of_others_may_not() {
        for may_not in [
            &[("host", "localhost:9470"), ("origin", "http://evil.example")][..],
            &[("host", "localhost:9470"), ("origin", "http://localhost:8080")],
            &[("host", "localhost:9470"), ("origin", "null")],
            &[("host", "localhost:9470"), ("sec-fetch-site", "cross-site")],
            &[("host", "localhost:9470"), ("sec-fetch-site", "same-site")],
            &[("host", "evil.example"), ("origin", "http://evil.example")],
            &[("host", "evil.example:9470")],
            &[("host", "localhost.evil.example")],
            &[("host", "127.0.0.1.evil.example")],
            &[("host", "")],
            &[],
        ] {
            assert!(admit(&fields(may_not), &Access::Private).is_err(), "{may_not:?}");
        }
    }

    #[test]
    fn only_the_whole_token_opens() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "0123456789abcdef\n").unwrap();
        let access = Access::Token {
            file: file.clone(),
            private: false,
        };
        let with = |value| admit(&fields(&[("host", "mynah.example"), ("authorization", value)]), &access);
        assert!(with("Bearer 0123456789abcdef").is_ok());
        assert!(with("bearer 0123456789abcdef").is_ok());
        for wrong in [
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Bearer ",
            "Bearer",
            "0123456789abcdef",
            "Basic 0123456789abcdef",
        ] {
            assert!(with(wrong).is_err(), "{wrong}");
        }
        assert!(admit(&fields(&[("host", "mynah.example")]), &access).is_err());
        // Replaced while running.
        std::fs::write(&file, "fedcba9876543210").unwrap();
        assert!(with("Bearer 0123456789abcdef").is_err());
        assert!(with("Bearer fedcba9876543210").is_ok());
        // Nothing is not what no token is equal to.
        std::fs::write(&file, "").unwrap();
        assert!(with("Bearer ").is_err());
        assert!(admit(&fields(&[("host", "localhost")]), &Access::Nobody).is_err());
    }
}
