//! What joins a request to its copies.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

use mynah_config::model::RequestId;
use mynah_core::{CopyRewrite, FieldAction, RequestView};

/// Random identifiers, of one worker: a keyed hash of a count, with a key of the system's randomness.
pub(crate) struct IdSource {
    key: RandomState,
    count: Cell<u64>,
}

impl IdSource {
    pub(crate) fn new() -> Self {
        Self {
            key: RandomState::new(),
            count: Cell::new(0),
        }
    }

    /// The next, as so many hexadecimal digits.
    pub(crate) fn next<const DIGITS: usize>(&self) -> [u8; DIGITS] {
        let mut digits = [b'0'; DIGITS];
        for part in digits.chunks_mut(16) {
            self.count.set(self.count.get() + 1);
            let mut bits = self.key.hash_one(self.count.get());
            for digit in part {
                *digit = b"0123456789abcdef"[(bits & 15) as usize];
                bits >>= 4;
            }
        }
        digits
    }
}

/// Which field tells a request's identifier.
pub(crate) struct RequestIds {
    header: Rc<str>,
    generate: bool,
}

/// An identifier that a request did not come with.
#[derive(Debug, Clone)]
pub(crate) struct GeneratedId {
    header: Rc<str>,
    value: [u8; 32],
}

impl RequestIds {
    pub(crate) fn new(config: &RequestId) -> Self {
        Self {
            header: config.header.as_str().into(),
            generate: config.generate,
        }
    }

    /// An identifier for a request that came without one, if it is to have one.
    pub(crate) fn generate(&self, request: &impl RequestView, source: &IdSource) -> Option<GeneratedId> {
        (self.generate && request.header(&self.header).next().is_none()).then(|| GeneratedId {
            header: self.header.clone(),
            value: source.next(),
        })
    }
}

impl GeneratedId {
    pub(crate) fn value(&self) -> &[u8] {
        &self.value
    }

    /// The field for a copy, unless copies do not have it or have another.
    pub(crate) fn on_copy(&self, rewrite: &CopyRewrite) -> Option<(&str, &[u8])> {
        let kept = rewrite.field(self.header.as_bytes(), &self.value) == FieldAction::Keep;
        kept.then_some((&*self.header, &self.value[..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_hexadecimal_and_differ() {
        let (one, other) = (IdSource::new(), IdSource::new());
        let ids: std::collections::HashSet<[u8; 32]> = (0..1000).flat_map(|_| [one.next(), other.next()]).collect();
        assert_eq!(ids.len(), 2000);
        assert!(ids.iter().flatten().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
        assert!(ids.iter().all(|id| id[..16] != id[16..]));
    }
}
