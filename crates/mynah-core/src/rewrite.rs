//! What is changed on a copy: target, host, fields, credentials. Compiled once, applied to every copy.

use std::borrow::Cow;

use crate::mask::{self, CredentialPolicy};

/// The field that marks a copy, so that it is never copied again.
pub const MARKER: &str = "mynah-copy";

/// What a rewrite is made from.
#[derive(Debug, Clone)]
pub struct RewriteSpec {
    /// Bytes of the path that the route's prefix matched.
    pub matched_prefix: usize,
    /// What replaces them, if anything does.
    pub replace_with: Option<String>,
    /// Query parameters whose values are masked, as names are after percent-decoding.
    pub mask_query: Vec<String>,
    /// The host.
    pub host: HostEdit,
    /// Fields that replace every field of that name. Names of this and the next two are in lower case.
    pub set: Vec<(String, String)>,
    /// Fields that are added.
    pub add: Vec<(String, String)>,
    /// Fields that are removed.
    pub remove: Vec<String>,
    /// What happens to credentials.
    pub credentials: CredentialPolicy,
    /// Name and value of the field that marks a copy.
    pub marker: (&'static str, String),
}

/// The host of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostEdit {
    /// The original's.
    Preserve,
    /// This one.
    Set(String),
}

/// What becomes of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldAction<'a> {
    /// It stays as it came.
    Keep,
    /// It goes.
    Remove,
    /// It has this value instead.
    Replace(Cow<'a, [u8]>),
}

/// A compiled rewrite.
#[derive(Debug, Clone)]
pub struct CopyRewrite {
    matched_prefix: usize,
    replace_with: Option<Box<[u8]>>,
    mask_query: Vec<Box<[u8]>>,
    host: Option<Box<str>>,
    rules: Vec<(Box<[u8]>, Rule)>,
    /// A bit for each length that the name of a rule has.
    lengths: u64,
    appended: Vec<(Box<str>, Box<[u8]>)>,
}

#[derive(Debug, Clone, Copy)]
enum Rule {
    Remove,
    Host,
    HashCredentials,
    HashCookies,
}

impl CopyRewrite {
    /// Compiles it.
    pub fn new(spec: RewriteSpec) -> Self {
        let mut rules: Vec<(Box<[u8]>, Rule)> = Vec::new();
        let mut rule = |name: &str, rule| rules.push((name.to_ascii_lowercase().into_bytes().into(), rule));
        // The first rule for a name wins: what the user removes or sets goes before the credentials' policy.
        spec.remove
            .iter()
            .chain(spec.set.iter().map(|(name, _)| name))
            .for_each(|name| rule(name, Rule::Remove));
        rule(spec.marker.0, Rule::Remove);
        if spec.host != HostEdit::Preserve {
            rule("host", Rule::Host);
        }
        for name in mask::CREDENTIALS {
            match spec.credentials {
                CredentialPolicy::Keep => {}
                CredentialPolicy::Drop => rule(name, Rule::Remove),
                CredentialPolicy::Hash if name == "cookie" => rule(name, Rule::HashCookies),
                CredentialPolicy::Hash => rule(name, Rule::HashCredentials),
            }
        }
        let lengths = rules
            .iter()
            .fold(0, |lengths, (name, _)| lengths | length_bit(name.len()));
        let field = |(name, value): (String, String)| (name.into_boxed_str(), value.into_bytes().into_boxed_slice());
        let marker = (spec.marker.0.to_owned(), spec.marker.1);
        Self {
            matched_prefix: spec.matched_prefix,
            replace_with: spec.replace_with.map(|path| path.into_bytes().into()),
            mask_query: spec
                .mask_query
                .into_iter()
                .map(|name| name.into_bytes().into())
                .collect(),
            host: match spec.host {
                HostEdit::Preserve => None,
                HostEdit::Set(host) => Some(host.into()),
            },
            rules,
            lengths,
            appended: spec
                .set
                .into_iter()
                .chain(spec.add)
                .chain([marker])
                .map(field)
                .collect(),
        }
    }

    /// Path and query of the copy. Targets without a path (`*`, an authority) are not for this.
    pub fn target<'a>(&self, path_and_query: &'a [u8]) -> Cow<'a, [u8]> {
        let masked = mask::query(path_and_query, &self.mask_query);
        match &self.replace_with {
            Some(replacement) => {
                // An absolute form may have a query without a path: no prefix stands there.
                let matched = if masked.starts_with(b"?") {
                    0
                } else {
                    self.matched_prefix
                };
                let rest = masked.get(matched..).unwrap_or_default();
                Cow::Owned([replacement, rest].concat())
            }
            None => masked,
        }
    }

    /// What becomes of a field, whose name may be in any case. Fields of a connection are not for this.
    #[inline]
    pub fn field<'a>(&self, name: &[u8], value: &'a [u8]) -> FieldAction<'a> {
        if self.lengths & length_bit(name.len()) == 0 {
            return FieldAction::Keep;
        }
        self.ruled(name, value)
    }

    fn ruled<'a>(&self, name: &[u8], value: &'a [u8]) -> FieldAction<'a> {
        let rule = self
            .rules
            .iter()
            .find(|(ruled, _)| ruled.eq_ignore_ascii_case(name))
            .map(|(_, rule)| *rule);
        match rule {
            None => FieldAction::Keep,
            Some(Rule::Remove) => FieldAction::Remove,
            Some(Rule::Host) => {
                FieldAction::Replace(Cow::Owned(self.host.as_deref().unwrap_or_default().as_bytes().to_vec()))
            }
            Some(Rule::HashCredentials) => FieldAction::Replace(Cow::Owned(mask::hash_credentials(value))),
            Some(Rule::HashCookies) => FieldAction::Replace(Cow::Owned(mask::hash_cookies(value))),
        }
    }

    /// Fields behind the others.
    pub fn appended(&self) -> &[(Box<str>, Box<[u8]>)] {
        &self.appended
    }

    /// The host, if it is not the original's.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }
}

fn length_bit(len: usize) -> u64 {
    1 << len.min(63)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec() -> RewriteSpec {
        RewriteSpec {
            matched_prefix: 0,
            replace_with: None,
            mask_query: Vec::new(),
            host: HostEdit::Preserve,
            set: Vec::new(),
            add: Vec::new(),
            remove: Vec::new(),
            credentials: CredentialPolicy::Keep,
            marker: (MARKER, "1".into()),
        }
    }

    proptest! {
        #[test]
        fn nothing_changes_when_nothing_is_configured(name in "[a-zA-Z-]{1,80}", value: Vec<u8>, target: Vec<u8>) {
            prop_assume!(!name.eq_ignore_ascii_case(MARKER));
            let rewrite = CopyRewrite::new(spec());
            prop_assert_eq!(rewrite.field(name.as_bytes(), &value), FieldAction::Keep);
            prop_assert!(matches!(rewrite.target(&target), Cow::Borrowed(same) if same == target));
        }

        #[test]
        fn a_removed_field_goes_in_any_case(name in "[a-z-]{1,80}") {
            let rewrite = CopyRewrite::new(RewriteSpec { remove: vec![name.clone()], ..spec() });
            prop_assert_eq!(rewrite.field(name.to_uppercase().as_bytes(), b"x"), FieldAction::Remove);
        }
    }

    #[test]
    fn a_path_replaces_what_the_prefix_matched() {
        let rewrite = |matched_prefix, path: &str| {
            CopyRewrite::new(RewriteSpec {
                matched_prefix,
                replace_with: Some(path.into()),
                ..spec()
            })
        };
        assert_eq!(&*rewrite(10, "/").target(b"/entrance/a?b=1"), b"/a?b=1");
        assert_eq!(&*rewrite(1, "/entrance/").target(b"/a"), b"/entrance/a");
        assert_eq!(&*rewrite(4, "/v2").target(b"/api"), b"/v2");
    }

    #[test]
    fn a_query_without_a_path_stays_a_query() {
        let rewrite = CopyRewrite::new(RewriteSpec {
            matched_prefix: 1,
            replace_with: Some("/base".into()),
            ..spec()
        });
        assert_eq!(&*rewrite.target(b"?a=1"), b"/base?a=1");
    }

    #[test]
    fn set_fields_replace_and_added_ones_join() {
        let rewrite = CopyRewrite::new(RewriteSpec {
            set: vec![("x-env".into(), "test".into())],
            add: vec![("x-tag".into(), "a".into())],
            ..spec()
        });
        assert_eq!(rewrite.field(b"X-Env", b"prod"), FieldAction::Remove);
        assert_eq!(rewrite.field(b"X-Tag", b"b"), FieldAction::Keep);
        let appended: Vec<_> = rewrite
            .appended()
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(
            appended,
            [("x-env", b"test".as_slice()), ("x-tag", b"a"), (MARKER, b"1")]
        );
    }

    #[test]
    fn a_host_is_replaced_where_it_stands() {
        let rewrite = CopyRewrite::new(RewriteSpec {
            host: HostEdit::Set("staging:81".into()),
            ..spec()
        });
        assert_eq!(
            rewrite.field(b"Host", b"prod"),
            FieldAction::Replace(Cow::Borrowed(b"staging:81"))
        );
        assert_eq!(rewrite.host(), Some("staging:81"));
    }

    #[test]
    fn credentials_are_dropped_or_hashed() {
        let rewrite = |credentials| CopyRewrite::new(RewriteSpec { credentials, ..spec() });
        for name in [b"authorization".as_slice(), b"Cookie", b"PROXY-AUTHORIZATION"] {
            assert_eq!(
                rewrite(CredentialPolicy::Drop).field(name, b"secret"),
                FieldAction::Remove
            );
            assert!(matches!(
                rewrite(CredentialPolicy::Hash).field(name, b"secret"),
                FieldAction::Replace(_)
            ));
            assert_eq!(
                rewrite(CredentialPolicy::Keep).field(name, b"secret"),
                FieldAction::Keep
            );
        }
    }
}
