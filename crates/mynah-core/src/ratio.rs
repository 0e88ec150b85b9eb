//! How many copies a matching request gets.

use std::fmt;
use std::str::FromStr;

/// Units of one ratio: 100 % in steps of 0.0001 %.
const ONE: u32 = 1_000_000;
const MAX: u32 = 100 * ONE;
/// Decimal places of a percentage.
const PLACES: usize = 4;

/// Copies per matching request, from `0%` to `10000%` in steps of `0.0001%`; `250%` sends two or three copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio(u32);

/// What is not a ratio.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a percentage from 0% to 10000% in steps of 0.0001%, such as 25%")]
pub struct RatioError;

impl Ratio {
    /// No copies.
    pub const ZERO: Self = Self(0);
    /// One copy for each request.
    pub const ONE: Self = Self(ONE);

    /// A ratio of so many times 0.0001 %; none above 10000 %.
    pub fn from_units(units: u32) -> Option<Self> {
        (units <= MAX).then_some(Self(units))
    }

    /// The ratio in units of 0.0001 %.
    pub fn units(self) -> u32 {
        self.0
    }

    /// Copies that every request gets.
    pub(crate) fn whole(self) -> u32 {
        self.0 / ONE
    }

    /// What remains beyond the whole copies, in units of 0.0001 %.
    pub(crate) fn fraction(self) -> u32 {
        self.0 % ONE
    }
}

impl FromStr for Ratio {
    type Err = RatioError;

    fn from_str(text: &str) -> Result<Self, RatioError> {
        let number = text.strip_suffix('%').ok_or(RatioError)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > PLACES {
            return Err(RatioError);
        }
        let whole: u32 = whole.parse().map_err(|_| RatioError)?;
        let fraction: u32 = format!("{fraction:0<PLACES$}").parse().map_err(|_| RatioError)?;
        let scale = 10_u32.pow(PLACES as u32);
        whole
            .checked_mul(scale)
            .and_then(|w| w.checked_add(fraction))
            .and_then(Self::from_units)
            .ok_or(RatioError)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = 10_u32.pow(PLACES as u32);
        let (whole, fraction) = (self.0 / scale, self.0 % scale);
        if fraction == 0 {
            return write!(f, "{whole}%");
        }
        let places = format!("{fraction:0PLACES$}");
        write!(f, "{whole}.{}%", places.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_shown_reads_back(units in 0..=MAX) {
            let ratio = Ratio::from_units(units).unwrap();
            prop_assert_eq!(ratio.to_string().parse(), Ok(ratio));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = text.parse::<Ratio>();
        }
    }

    #[test]
    fn percentages_are_read_to_the_last_step() {
        for (text, units) in [
            ("25%", 250_000),
            ("0.5%", 5_000),
            ("0.0001%", 1),
            ("10000%", MAX),
            ("250%", 2_500_000),
        ] {
            assert_eq!(text.parse::<Ratio>().unwrap().units(), units, "{text}");
        }
        for text in [
            "25",
            "",
            "%",
            "-1%",
            "1.%",
            ".5%",
            "0.00001%",
            "10000.0001%",
            "1e2%",
            "25 %",
            "99999999999%",
        ] {
            assert_eq!(text.parse::<Ratio>(), Err(RatioError), "{text}");
        }
    }
}
