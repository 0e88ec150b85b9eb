//! Making secrets unusable on copies: query parameters are masked, credentials hashed.

use std::borrow::Cow;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// Stands in for a masked value.
const MASK: &[u8] = b"***";

/// Fields that let somebody log in, in lower case.
pub(crate) const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// What happens to credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialPolicy {
    /// They stay.
    Keep,
    /// Their fields are removed.
    Drop,
    /// Their values become a hash: distinct users stay distinct, nobody can log in.
    Hash,
}

/// The target with the values of these parameters masked. Names are compared after percent-decoding.
pub(crate) fn query<'a>(path_and_query: &'a [u8], names: &[Box<[u8]>]) -> Cow<'a, [u8]> {
    let Some(at) = (!names.is_empty())
        .then(|| memchr::memchr(b'?', path_and_query))
        .flatten()
    else {
        return Cow::Borrowed(path_and_query);
    };
    let (path, query) = path_and_query.split_at(at + 1);
    let is_masked = |pair: &[u8]| {
        let name = memchr::memchr(b'=', pair).map(|eq| &pair[..eq]);
        name.is_some_and(|name| names.iter().any(|masked| decodes_to(name, masked)))
    };
    if !query.split(|b| *b == b'&').any(is_masked) {
        return Cow::Borrowed(path_and_query);
    }
    let mut out = path.to_vec();
    for (i, pair) in query.split(|b| *b == b'&').enumerate() {
        if i > 0 {
            out.push(b'&');
        }
        match memchr::memchr(b'=', pair) {
            Some(eq) if is_masked(pair) => {
                out.extend_from_slice(&pair[..=eq]);
                out.extend_from_slice(MASK);
            }
            _ => out.extend_from_slice(pair),
        }
    }
    Cow::Owned(out)
}

/// Whether a parameter's name is this one once `%xx` and `+` are decoded.
fn decodes_to(mut encoded: &[u8], name: &[u8]) -> bool {
    for expected in name {
        let (byte, rest) = match encoded {
            [b'%', high, low, rest @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, rest),
                _ => (b'%', &encoded[1..]),
            },
            [b'+', rest @ ..] => (b' ', rest),
            [byte, rest @ ..] => (*byte, rest),
            [] => return false,
        };
        if byte != *expected {
            return false;
        }
        encoded = rest;
    }
    encoded.is_empty()
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|d| d as u8)
}

/// `Bearer abc` becomes `Bearer h:0123456789abcdef`; the scheme stays so that the test environment takes the same path.
pub(crate) fn hash_credentials(value: &[u8]) -> Vec<u8> {
    match memchr::memchr(b' ', value) {
        Some(space) if is_scheme(&value[..space]) => {
            let (scheme, secret) = value.split_at(space + 1);
            [scheme, hashed(secret).as_bytes()].concat()
        }
        _ => hashed(value).into_bytes(),
    }
}

/// Longest name of an authentication scheme; those registered have at most 16 bytes.
const SCHEME: usize = 24;

/// Whether this names an authentication scheme, and is no secret with a space behind it.
fn is_scheme(word: &[u8]) -> bool {
    word.len() <= SCHEME && word.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

/// Each cookie's value is hashed by itself; names and order stay.
pub(crate) fn hash_cookies(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 16);
    for (i, pair) in value.split(|b| *b == b';').enumerate() {
        if i > 0 {
            out.extend_from_slice(b"; ");
        }
        let pair = pair.trim_ascii();
        match memchr::memchr(b'=', pair) {
            Some(eq) => {
                out.extend_from_slice(&pair[..=eq]);
                out.extend_from_slice(hashed(&pair[eq + 1..]).as_bytes());
            }
            None => out.extend_from_slice(hashed(pair).as_bytes()),
        }
    }
    out
}

fn hashed(secret: &[u8]) -> String {
    let hash = |k0, k1| {
        let mut hasher = SipHasher13::new_with_keys(k0, k1);
        hasher.write(secret);
        hasher.finish()
    };
    format!("h:{:016x}", hash(0x6d79_6e61_682d_6372, 0x6564_656e_7469_616c))
}

/// What an access log does not say: the values of some query parameters, and those of credentials.
#[derive(Debug, Clone)]
pub struct LogMask {
    query: Vec<Box<[u8]>>,
    credentials: CredentialPolicy,
}

impl LogMask {
    /// Masks these query parameters, named as after percent-decoding.
    pub fn new(query: impl IntoIterator<Item = String>, credentials: CredentialPolicy) -> Self {
        Self {
            query: query.into_iter().map(|name| name.into_bytes().into()).collect(),
            credentials,
        }
    }

    /// A target, or a URL.
    pub fn target<'a>(&self, target: &'a [u8]) -> Cow<'a, [u8]> {
        query(target, &self.query)
    }

    /// A field's value, whose name is in lower case; none when it is not told.
    pub fn field<'a>(&self, name: &str, value: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        match (CREDENTIALS.contains(&name), self.credentials) {
            // A page that was asked for with a secret is told again in what it leads to.
            (false, _) if name == "referer" => Some(self.target(value)),
            (false, _) | (true, CredentialPolicy::Keep) => Some(Cow::Borrowed(value)),
            (true, CredentialPolicy::Drop) => None,
            (true, CredentialPolicy::Hash) if name == "cookie" => Some(Cow::Owned(hash_cookies(value))),
            (true, CredentialPolicy::Hash) => Some(Cow::Owned(hash_credentials(value))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(target: &str, names: &[&str]) -> String {
        let names: Vec<Box<[u8]>> = names.iter().map(|n| n.as_bytes().into()).collect();
        String::from_utf8(query(target.as_bytes(), &names).into_owned()).unwrap()
    }

    #[test]
    fn parameters_are_masked_wherever_they_stand_and_however_they_are_written() {
        assert_eq!(masked("/a?token=abc&x=1", &["token"]), "/a?token=***&x=1");
        assert_eq!(
            masked("/a?x=1&token=a&token=b", &["token"]),
            "/a?x=1&token=***&token=***"
        );
        assert_eq!(masked("/a?%74oken=a=b", &["token"]), "/a?%74oken=***");
        assert_eq!(masked("/a?a+b=1&a%20b=2", &["a b"]), "/a?a+b=***&a%20b=***");
        assert_eq!(
            masked("/a?token&tokens=1&TOKEN=1", &["token"]),
            "/a?token&tokens=1&TOKEN=1"
        );
        assert_eq!(masked("/token=1", &["token"]), "/token=1");
    }

    proptest! {
        #[test]
        fn no_masked_value_is_left(value in "[a-z0-9]{4,12}", before in "[a-z=&]{0,9}") {
            let out = masked(&format!("/p?{before}&secret={value}#"), &["secret"]);
            prop_assert!(out.ends_with("secret=***"), "{}", out);
        }

        #[test]
        fn no_text_makes_it_panic(target: Vec<u8>, name: Vec<u8>) {
            let _ = query(&target, &[name.into()]);
            let _ = hash_cookies(&target);
            let _ = hash_credentials(&target);
        }

        #[test]
        fn equal_secrets_stay_equal_and_none_is_left(a in "[a-zA-Z0-9]{8,20}", b in "[a-zA-Z0-9]{8,20}") {
            let hash = |s: &str| hash_credentials(format!("Bearer {s}").as_bytes());
            prop_assert_eq!(hash(&a) == hash(&b), a == b);
            prop_assert!(hash(&a).starts_with(b"Bearer h:"));
            prop_assert!(!String::from_utf8(hash(&a)).unwrap().contains(&a));
        }
    }

    #[test]
    fn a_log_tells_no_secret_unless_it_is_told_to() {
        let mask = |policy| LogMask::new(["token".to_owned()], policy);
        let field = |policy, name, value: &'static str| {
            mask(policy)
                .field(name, value.as_bytes())
                .map(|value| String::from_utf8(value.into_owned()).unwrap())
        };
        for name in CREDENTIALS {
            assert_eq!(field(CredentialPolicy::Drop, name, "secret"), None);
            assert_eq!(field(CredentialPolicy::Keep, name, "secret").unwrap(), "secret");
            assert!(field(CredentialPolicy::Hash, name, "secret").unwrap().starts_with("h:"));
        }
        assert_eq!(field(CredentialPolicy::Drop, "x-a", "b").unwrap(), "b");
        assert_eq!(
            field(CredentialPolicy::Drop, "referer", "http://a/b?token=c&d=e").unwrap(),
            "http://a/b?token=***&d=e"
        );
        assert_eq!(&*mask(CredentialPolicy::Hash).target(b"/?token=a"), b"/?token=***");
    }

    #[test]
    fn a_secret_with_a_space_behind_it_is_no_scheme() {
        for value in ["user:password rest", "0123456789abcdef0123456789abcdef x", "a/b+c= x"] {
            let hash = hash_credentials(value.as_bytes());
            assert!(hash.starts_with(b"h:"), "{value}");
        }
    }

    #[test]
    fn cookies_keep_their_names() {
        let out = String::from_utf8(hash_cookies(b"sid=abc; theme=dark;x")).unwrap();
        let names: Vec<_> = out.split("; ").map(|pair| pair.split('=').next().unwrap()).collect();
        assert_eq!(names[..2], ["sid", "theme"]);
        assert!(!out.contains("abc") && !out.contains("dark"));
    }
}
