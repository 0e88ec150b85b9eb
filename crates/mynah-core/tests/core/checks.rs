//! What must hold for any rules and any request, for the property tests here and the targets in `fuzz/` alike. Both give
//! bytes, out of which rules and request are made: rules as the configuration lets through, requests as the protocols do.

use std::net::IpAddr;

use mynah_core::{
    CopyRewrite, CredentialPolicy, Diffusion, FieldAction, HostEdit, HostMatch, MARKER, PathMatch, Pattern, Ratio,
    RequestView, RewriteSpec, RouteMatch, ValueMatch, cookie, keyed_copies,
};

/// Bytes to make things from; zeros when they are used up.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        let [first, rest @ ..] = self.0 else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    fn word(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// Up to so many bytes that satisfy a condition; what does not is another one.
    fn bytes(&mut self, most: usize, allowed: impl Fn(u8) -> bool) -> Vec<u8> {
        let len = self.below(most + 1).min(self.0.len());
        (0..len)
            .map(|_| self.byte())
            .map(|b| if allowed(b) { b } else { b'a' })
            .collect()
    }

    /// A name out of few, so that rules and requests meet, or any.
    fn name(&mut self) -> String {
        const NAMES: [&str; 7] = [
            "cookie",
            "authorization",
            "proxy-authorization",
            "x-a",
            "x-b",
            "host",
            "token",
        ];
        match NAMES.get(self.below(NAMES.len() + 1)) {
            Some(name) => (*name).to_owned(),
            None => text(&self.bytes(70, |b| b.is_ascii_lowercase() || b == b'-')) + "z",
        }
    }

    /// The value of a field (RFC 9110 §5.5), trimmed as both protocols give it.
    fn value(&mut self) -> Vec<u8> {
        self.bytes(60, |b| b >= b' ' && b != 0x7f || b == b'\t')
            .trim_ascii()
            .to_vec()
    }

    fn value_match(&mut self) -> ValueMatch {
        match self.below(4) {
            0 => ValueMatch::Exact(text(&self.value())),
            1 => ValueMatch::Regex(self.pattern()),
            2 => ValueMatch::Present,
            _ => ValueMatch::Absent,
        }
    }

    fn pattern(&mut self) -> Pattern {
        let pattern = text(&self.bytes(12, |b| b.is_ascii_graphic()));
        Pattern::new(&pattern).unwrap_or_else(|_| Pattern::new("a").expect("a letter is a pattern"))
    }

    fn list<T>(&mut self, most: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| one(self)).collect()
    }

    fn path(&mut self) -> String {
        format!(
            "/{}",
            text(&self.bytes(6, |b| b.is_ascii_graphic() && b != b'?' && b != b'#'))
        )
    }

    fn route(&mut self) -> RouteMatch {
        RouteMatch {
            host: match self.below(3) {
                0 => None,
                1 => Some(HostMatch::Exact(self.name())),
                _ => Some(HostMatch::Suffix(self.name())),
            },
            path: match self.below(4) {
                0 => PathMatch::Any,
                1 => PathMatch::Prefix(self.path()),
                2 => PathMatch::Exact(self.path()),
                _ => PathMatch::Regex(self.pattern()),
            },
            methods: self.list(2, |s| ["GET", "POST"][s.below(2)].to_owned()),
            headers: self.list(2, |s| (s.name(), s.value_match())),
            query: self.list(2, |s| (s.name(), s.value_match())),
        }
    }

    fn request(&mut self) -> Request {
        let target = self.bytes(80, |b| b > b' ' && b != 0x7f);
        Request {
            method: [b"GET".as_slice(), b"POST", b"x"][self.below(3)],
            // Origin form mostly; an absolute form may leave nothing, or a query alone.
            target: match self.below(8) {
                0 => Vec::new(),
                1 => [b"?", target.as_slice()].concat(),
                2 => b"*".to_vec(),
                _ => [b"/", target.as_slice()].concat(),
            },
            host: (self.below(4) > 0).then(|| self.value()),
            fields: self.list(4, |s| (s.name(), s.value())),
        }
    }

    fn rewrite(&mut self) -> RewriteSpec {
        RewriteSpec {
            matched_prefix: self.below(20),
            replace_with: (self.below(2) == 1).then(|| self.path()),
            mask_query: self.list(2, Self::name),
            host: match self.below(2) {
                0 => HostEdit::Preserve,
                _ => HostEdit::Set(self.name()),
            },
            set: self.list(2, |s| (s.name(), text(&s.value()))),
            add: self.list(2, |s| (s.name(), text(&s.value()))),
            remove: self.list(2, Self::name),
            credentials: [CredentialPolicy::Keep, CredentialPolicy::Drop, CredentialPolicy::Hash][self.below(3)],
            marker: (MARKER, "1".into()),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

struct Request {
    method: &'static [u8],
    target: Vec<u8>,
    host: Option<Vec<u8>>,
    fields: Vec<(String, Vec<u8>)>,
}

impl RequestView for Request {
    fn method(&self) -> &[u8] {
        self.method
    }

    fn path_and_query(&self) -> &[u8] {
        &self.target
    }

    fn host(&self) -> Option<&[u8]> {
        self.host.as_deref()
    }

    fn header<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.fields.iter().filter(move |(known, _)| known == name);
        fields.map(|(_, value)| value.as_slice())
    }

    fn client_ip(&self) -> IpAddr {
        [127, 0, 0, 1].into()
    }
}

/// A route matches exactly when each of its conditions alone does.
///
/// # Panics
/// If it does not.
pub(crate) fn check_match(bytes: &[u8]) {
    let mut source = Source(bytes);
    let (route, request) = (source.route(), source.request());
    let any = RouteMatch::any;
    let mut alone = vec![
        RouteMatch {
            host: route.host.clone(),
            ..any()
        },
        RouteMatch {
            path: route.path.clone(),
            ..any()
        },
        RouteMatch {
            methods: route.methods.clone(),
            ..any()
        },
    ];
    alone.extend(route.headers.iter().map(|condition| RouteMatch {
        headers: vec![condition.clone()],
        ..any()
    }));
    alone.extend(route.query.iter().map(|condition| RouteMatch {
        query: vec![condition.clone()],
        ..any()
    }));
    let each = alone.iter().all(|route| route.matches(&request));
    assert_eq!(
        route.matches(&request),
        each,
        "{route:?} {}",
        request.target.escape_ascii()
    );
    if let PathMatch::Prefix(prefix) | PathMatch::Exact(prefix) = &route.path
        && alone[1].matches(&request)
    {
        assert!(request.target.starts_with(prefix.as_bytes()) || prefix == "/" && !request.target.starts_with(b"/"));
        assert_eq!(route.matched_prefix_len(), prefix.len());
    }
    let _ = cookie(request.header("cookie"), &source.name());
}

/// Nothing that is rewritten has a line end or another byte that its place does not allow; no value that is masked, dropped
/// or hashed is left; what no rule names stays.
///
/// # Panics
/// If one of these does not hold.
pub(crate) fn check_rewrite(bytes: &[u8]) {
    let mut source = Source(bytes);
    let (spec, request) = (source.rewrite(), source.request());
    let rewrite = CopyRewrite::new(spec.clone());
    let target = rewrite.target(&request.target);
    assert!(
        target.iter().all(|b| *b > b' ' && *b != 0x7f),
        "{}",
        target.escape_ascii()
    );
    check_query(&request.target, &target, &spec);
    for (name, value) in &request.fields {
        check_field(&rewrite, &spec, name, value);
    }
    for (name, value) in rewrite.appended() {
        let ours = |fields: &[(String, String)]| fields.iter().any(|(n, v)| **n == **name && v.as_bytes() == &**value);
        assert!(&**name == MARKER || ours(&spec.set) || ours(&spec.add), "{name}");
    }
}

fn check_query(before: &[u8], after: &[u8], spec: &RewriteSpec) {
    let parameters = |target: &[u8]| -> Vec<Vec<u8>> {
        let at = target.iter().position(|b| *b == b'?');
        let query = at.map(|at| target[at + 1..].to_vec());
        query
            .map(|query| query.split(|b| *b == b'&').map(<[u8]>::to_vec).collect())
            .unwrap_or_default()
    };
    let path = before.iter().position(|b| *b == b'?').unwrap_or(before.len());
    if spec.replace_with.is_some() && spec.matched_prefix > path {
        // No route says this: it matched a part of the path.
        return;
    }
    let (before, after) = (parameters(before), parameters(after));
    assert_eq!(before.len(), after.len());
    for (old, new) in before.iter().zip(&after) {
        let equals = old.iter().position(|b| *b == b'=');
        let masked = equals.is_some_and(|at| {
            spec.mask_query
                .iter()
                .any(|name| decoded(&old[..at]) == name.as_bytes())
        });
        if masked {
            let at = equals.unwrap_or_default();
            assert_eq!(new[..=at], old[..=at]);
            assert_eq!(&new[at + 1..], b"***");
        } else {
            assert_eq!(old, new);
        }
    }
}

/// A parameter's name without its encoding, in the plainest way.
fn decoded(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < name.len() {
        let pair = name
            .get(at + 1..at + 3)
            .filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        match (name[at], pair) {
            (b'%', Some(pair)) => {
                out.extend(u8::from_str_radix(&text(pair), 16));
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    out
}

fn check_field(rewrite: &CopyRewrite, spec: &RewriteSpec, name: &str, value: &[u8]) {
    let action = rewrite.field(name.as_bytes(), value);
    assert_eq!(
        rewrite.field(name.to_ascii_uppercase().as_bytes(), value),
        action,
        "{name}"
    );
    let edited = spec
        .remove
        .iter()
        .chain(spec.set.iter().map(|(name, _)| name))
        .any(|n| n == name);
    if edited || name == MARKER {
        return assert_eq!(action, FieldAction::Remove, "{name}");
    }
    let secret = ["authorization", "cookie", "proxy-authorization"].contains(&name);
    match (spec.credentials, action) {
        (CredentialPolicy::Drop, action) if secret => assert_eq!(action, FieldAction::Remove, "{name}"),
        (CredentialPolicy::Hash, FieldAction::Replace(new)) if secret => check_hashed(name, value, &new),
        (CredentialPolicy::Hash, action) if secret => panic!("{name} of {value:?}: {action:?}"),
        (_, FieldAction::Replace(new)) if name == "host" => {
            assert_eq!(HostEdit::Set(text(&new)), spec.host);
        }
        (_, action) => assert_eq!(action, FieldAction::Keep, "{name}"),
    }
}

/// No part of a credential that lets somebody log in is in what replaced it.
fn check_hashed(name: &str, old: &[u8], new: &[u8]) {
    assert!(
        new.iter().all(|b| *b >= b' ' && *b != 0x7f || *b == b'\t'),
        "{}",
        new.escape_ascii()
    );
    let secrets: Vec<&[u8]> = if name == "cookie" {
        old.split(|b| *b == b';')
            .map(|pair| pair.iter().position(|b| *b == b'=').map_or(pair, |at| &pair[at + 1..]))
            .collect()
    } else {
        old.splitn(2, |b| *b == b' ').last().into_iter().collect()
    };
    for secret in secrets.into_iter().map(<[u8]>::trim_ascii) {
        // What is short or looks like a hash may be there by chance, or stand in a cookie's name as well.
        let telling = secret.len() >= 8 && secret.iter().any(|b| !b.is_ascii_hexdigit() && !b"h:; =".contains(b));
        let occurrences = |text: &[u8]| text.windows(secret.len()).filter(|window| *window == secret).count();
        if telling && occurrences(old) == 1 {
            assert_eq!(
                occurrences(new),
                0,
                "{} in {}",
                secret.escape_ascii(),
                new.escape_ascii()
            );
        }
    }
}

/// Raising the ratio only adds copies of a key, and any run of requests has its share of copies.
///
/// # Panics
/// If it does not.
pub(crate) fn check_sampling(bytes: &[u8]) {
    let mut source = Source(bytes);
    let mut ratio = || Ratio::from_units(source.word() % 100_000_001).expect("within 10000 %");
    let (a, b) = (ratio(), ratio());
    let (low, high) = (a.min(b), a.max(b));
    let mut sampler = Diffusion::new(source.word());
    let key = source.0;
    let (few, many) = (keyed_copies(key, low), keyed_copies(key, high));
    assert!(few <= many, "{few} copies at {low}, {many} at {high}");
    let exact = f64::from(low.units()) / 1e6;
    assert!((f64::from(few) - exact).abs() <= 1.0, "{few} for {exact}");
    let mut copies = 0.0;
    for n in 1..=64 {
        copies += f64::from(sampler.next(low));
        let exact = exact * f64::from(n);
        assert!((copies - exact).abs() <= 1.0, "{copies} for {exact}");
    }
}
