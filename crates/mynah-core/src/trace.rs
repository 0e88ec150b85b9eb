//! W3C trace context: a copy may belong to its original's trace, to none, or to one of its own.

/// The field that says which trace a request belongs to.
pub const TRACEPARENT: &str = "traceparent";
/// The field that vendors add to it.
pub const TRACESTATE: &str = "tracestate";
/// The field by which a copy with a trace of its own tells its original's `traceparent`.
pub const TRACE_LINK: &str = "mynah-traceparent";

/// Bytes of version, trace, parent and flags.
const LEN: usize = 55;

/// A `traceparent` with another trace and parent, sampled when `old` is. None when `old` is no valid one (W3C Trace Context
/// §3.2.2): whoever receives such a one starts a trace of its own.
pub fn new_trace(old: &[u8], trace: &[u8; 32], parent: &[u8; 16]) -> Option<[u8; LEN]> {
    let sampled = flags(old)? & 1;
    let mut new = *b"00-00000000000000000000000000000000-0000000000000000-00";
    new[3..35].copy_from_slice(trace);
    new[36..52].copy_from_slice(parent);
    new[54] += sampled;
    Some(new)
}

/// The flags of a valid `traceparent`.
fn flags(value: &[u8]) -> Option<u8> {
    let (known, rest) = value.split_at_checked(LEN)?;
    let hex = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let id = |part: &[u8]| hex(part) && part.iter().any(|b| *b != b'0');
    let (version, trace, parent, flags) = (&known[..2], &known[3..35], &known[36..52], &known[53..]);
    let dashes = [2, 35, 52].iter().all(|at| known[*at] == b'-');
    // Later versions may say more behind what this one knows.
    let ends = rest.is_empty() || version != b"00" && rest[0] == b'-';
    if !(dashes && ends && hex(version) && version != b"ff" && id(trace) && id(parent) && hex(flags)) {
        return None;
    }
    (flags[1] as char).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OLD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn new(old: &str) -> Option<String> {
        let new = new_trace(old.as_bytes(), &[b'a'; 32], &[b'b'; 16])?;
        Some(String::from_utf8(new.to_vec()).unwrap())
    }

    #[test]
    fn a_new_trace_is_sampled_when_the_old_one_is() {
        let ids = format!("00-{}-{}", "a".repeat(32), "b".repeat(16));
        assert_eq!(new(OLD).unwrap(), format!("{ids}-01"));
        assert_eq!(new(&OLD.replace("-01", "-00")).unwrap(), format!("{ids}-00"));
        assert_eq!(new(&OLD.replace("-01", "-fe")).unwrap(), format!("{ids}-00"));
        assert_eq!(new(&format!("01{}-more", &OLD[2..])).unwrap(), format!("{ids}-01"));
    }

    #[test]
    fn what_is_no_trace_has_no_successor() {
        for old in [
            "",
            "00",
            &OLD.to_uppercase(),
            &format!("{OLD}-more"),
            &format!("01{}more", &OLD[2..]),
            &OLD.replace("00-", "ff-"),
            &OLD.replace("b7ad6b7169203331", "0000000000000000"),
            &OLD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &OLD.replace("-b7", "_b7"),
            &OLD.replace("-01", "-g1"),
        ] {
            assert_eq!(new(old), None, "{old}");
        }
    }

    proptest! {
        #[test]
        fn a_new_trace_is_valid_and_nothing_panics(old: Vec<u8>, trace in "[0-9a-f]{31}[1-9]", parent in "[0-9a-f]{15}[1-9]") {
            let ids = (trace.as_bytes().try_into().unwrap(), parent.as_bytes().try_into().unwrap());
            prop_assert_eq!(new_trace(&old, ids.0, ids.1).is_some(), flags(&old).is_some());
            let new = new_trace(OLD.as_bytes(), ids.0, ids.1).unwrap();
            prop_assert_eq!(flags(&new), Some(1));
        }
    }
}
