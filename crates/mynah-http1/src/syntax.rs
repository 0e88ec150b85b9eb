//! Which bytes may stand where (RFC 9110 §5.6, RFC 3986).

const TCHAR: u8 = 1;
const HOST: u8 = 2;
const LITERAL: u8 = 4;

/// What each byte may be part of.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let unreserved = b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        // The comma may stand in a host, but a list of hosts is what some would read.
        let sub_delim = matches!(b, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=');
        let token = unreserved || matches!(b, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'^' | b'`' | b'|');
        let host = unreserved || sub_delim || b == b'%';
        let literal = host || b == b':';
        classes[byte] = token as u8 * TCHAR + host as u8 * HOST + literal as u8 * LITERAL;
        byte += 1;
    }
    classes
}

fn is(byte: u8, class: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

/// A byte of a token (RFC 9110 §5.6.2).
pub(crate) fn is_tchar(byte: u8) -> bool {
    is(byte, TCHAR)
}

/// A token.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| is_tchar(*b))
}

/// A byte of a field's value or a reason phrase: no control but the tab.
pub(crate) fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x20..=0x7e | 0x80..)
}

/// A field's value or a reason phrase, which may be empty.
pub(crate) fn is_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| is_value_byte(*b))
}

/// How many bytes of a field's value stand at the start: those before the first control other than the tab. Nothing when
/// all are of the value.
pub(crate) fn value_len(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let (words, _) = bytes.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let below_space = word.wrapping_sub(ONES * 0x20) & !word;
        let deleted = word ^ (ONES * 0x7f);
        let deleted = deleted.wrapping_sub(ONES) & !deleted;
        // The lowest bit that is set is right; a borrow can only make those above it wrong.
        let controls = (below_space | deleted) & HIGH;
        if controls != 0 {
            let first = i * 8 + controls.trailing_zeros() as usize / 8;
            return rest_of_value(bytes, first);
        }
    }
    rest_of_value(bytes, words.len() * 8)
}

/// The same from `at` on, byte by byte.
fn rest_of_value(bytes: &[u8], at: usize) -> Option<usize> {
    bytes[at..].iter().position(|b| !is_value_byte(*b)).map(|len| at + len)
}

/// A target of whatever form: no spaces and no controls.
pub(crate) fn is_target(bytes: &[u8]) -> bool {
    // Without an early exit, so that many bytes are looked at in one instruction.
    !bytes.is_empty() && bytes.iter().fold(true, |valid, b| valid & (*b > b' ') & (*b != 0x7f))
}

/// A host, with or without a port: `name`, `name:80`, `[::1]:80`. Empty is valid; a port alone is not.
pub(crate) fn is_host(bytes: &[u8]) -> bool {
    bytes.is_empty() || port(bytes).is_some()
}

/// The port of a host and port, empty when there is none; nothing when the host is invalid.
pub(crate) fn port(bytes: &[u8]) -> Option<&[u8]> {
    let rest = if let Some(literal) = bytes.strip_prefix(b"[") {
        let end = literal.iter().position(|b| !is(*b, LITERAL))?;
        if end == 0 || literal[end] != b']' {
            return None;
        }
        &literal[end + 1..]
    } else {
        let end = bytes.iter().position(|b| !is(*b, HOST)).unwrap_or(bytes.len());
        if end == 0 {
            return None;
        }
        &bytes[end..]
    };
    match rest {
        [] => Some(rest),
        [b':', port @ ..] if port.iter().all(u8::is_ascii_digit) => Some(port),
        _ => None,
    }
}

/// A plain number. Nothing when it does not fit a signed one: there, what servers read begins to differ.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().try_fold(0i64, |number, b| {
        let digit = b.is_ascii_digit().then(|| i64::from(b - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })?;
    Some(number.unsigned_abs())
}

/// The members of a comma-separated list, without the empty ones.
pub(crate) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|b| *b == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_ends_at_the_first_byte_that_is_none_of_it(bytes in "[ -~\t]{0,40}", end: u8, more: Vec<u8>) {
            let bytes = [bytes.as_bytes(), &[end], &more].concat();
            prop_assert_eq!(value_len(&bytes), bytes.iter().position(|b| !is_value_byte(*b)));
        }
    }
}
