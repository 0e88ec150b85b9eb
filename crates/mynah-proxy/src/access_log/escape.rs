//! Values within lines: whatever a client sends, it can neither end a line nor a quoted value, nor reach a terminal.

use mynah_core::LogFormat;

/// Longer values are cut.
pub(super) const LONGEST: usize = 8 * 1024;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// As nginx does: `\xXX` for quotes, backslashes, control bytes and everything that is not ASCII; `-` for nothing.
    Text,
    /// A JSON string; `null` for nothing.
    Json,
}

impl Style {
    pub(super) fn of(format: &LogFormat) -> Self {
        if *format == LogFormat::Json {
            Self::Json
        } else {
            Self::Text
        }
    }

    /// A value, or that there is none.
    pub(super) fn value(self, value: Option<&[u8]>, out: &mut Vec<u8>) {
        match (self, value) {
            (Self::Text, None) => out.push(b'-'),
            (Self::Text, Some(value)) => self.part(value, out),
            (Self::Json, None) => out.extend_from_slice(b"null"),
            (Self::Json, Some(value)) => {
                out.push(b'"');
                self.part(value, out);
                out.push(b'"');
            }
        }
    }

    /// A part of a value.
    pub(super) fn part(self, value: &[u8], out: &mut Vec<u8>) {
        let value = &value[..value.len().min(LONGEST)];
        let plain = |b: &u8| matches!(b, 0x20..=0x7e) && !matches!(b, b'"' | b'\\');
        match self {
            _ if value.iter().all(plain) => out.extend_from_slice(value),
            Self::Text => value.iter().for_each(|b| {
                if plain(b) {
                    out.push(*b);
                } else {
                    out.extend_from_slice(&[b'\\', b'x', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
                }
            }),
            Self::Json => json(value, out),
        }
    }
}

/// Bytes that are not UTF-8 are told as the characters of the same numbers.
fn json(value: &[u8], out: &mut Vec<u8>) {
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                // Line ends of Unicode, and what changes the direction of writing, are for no terminal either.
                c if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                    unicode(c as u32, out);
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        chunk.invalid().iter().for_each(|b| unicode(u32::from(*b), out));
    }
}

fn unicode(c: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(HEX[(c >> shift & 15) as usize]);
    }
}

/// A number in decimal.
pub(super) fn number(mut n: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Digits of a fraction, with the zeros before them.
pub(super) fn fraction(n: u32, width: u32, out: &mut Vec<u8>) {
    out.push(b'.');
    (0..width)
        .rev()
        .for_each(|place| out.push(b'0' + (n / 10_u32.pow(place) % 10) as u8));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(style: Style, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        style.value(Some(value), &mut out);
        out
    }

    proptest! {
        #[test]
        fn no_value_ends_a_line_or_a_quotation(value: Vec<u8>) {
            let text = written(Style::Text, &value);
            prop_assert!(text.iter().all(|b| matches!(b, 0x20..=0x7e) && *b != b'"'));
            let json = written(Style::Json, &value);
            let text = std::str::from_utf8(&json).unwrap();
            prop_assert!(!text.chars().any(char::is_control));
            let read: String = serde_json::from_str(text).unwrap();
            if let Ok(value) = std::str::from_utf8(&value) {
                prop_assert_eq!(read, value);
            }
        }

        #[test]
        fn numbers_are_decimal(n: u64, micros in 0..1_000_000_u32) {
            let mut out = Vec::new();
            number(n, &mut out);
            fraction(micros, 6, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{n}.{micros:06}"));
        }
    }

    #[test]
    fn values_are_escaped_as_nginx_does() {
        assert_eq!(
            written(Style::Text, b"a\"b\\c\r\n\xc3\xa9\x7f"),
            br"a\x22b\x5Cc\x0D\x0A\xC3\xA9\x7F"
        );
        assert_eq!(
            String::from_utf8(written(Style::Json, "a\"b\\c\n\u{9b}\u{202e}é".as_bytes())).unwrap(),
            r#""a\"b\\c\u000A\u009B\u202Eé""#
        );
        assert_eq!(written(Style::Json, b"\xff"), br#""\u00FF""#);
        assert_eq!(written(Style::Text, &[b'a'; LONGEST + 1]).len(), LONGEST);
    }
}
