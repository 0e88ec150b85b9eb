//! The ratios that keys step through: 1, 2 and 5 of every power of ten percent, and nothing at all.

use mynah_core::Ratio;

/// The next larger step, if there is one.
pub(super) fn up(ratio: Ratio) -> Ratio {
    steps().find(|step| *step > ratio).unwrap_or(ratio)
}

/// The next smaller step, or nothing.
pub(super) fn down(ratio: Ratio) -> Ratio {
    steps().take_while(|step| *step < ratio).last().unwrap_or(Ratio::ZERO)
}

fn steps() -> impl Iterator<Item = Ratio> {
    let units = (0..=8).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u32.pow(power)));
    units.filter_map(Ratio::from_units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(text: &str) -> Ratio {
        text.parse().unwrap()
    }

    #[test]
    fn keys_step_through_round_ratios() {
        for (from, to) in [
            ("0%", "0.0001%"),
            ("0.0003%", "0.0005%"),
            ("10%", "20%"),
            ("20%", "50%"),
            ("99%", "100%"),
            ("100%", "200%"),
            ("10000%", "10000%"),
        ] {
            assert_eq!(up(ratio(from)), ratio(to), "up from {from}");
        }
        for (from, to) in [
            ("0%", "0%"),
            ("0.0001%", "0%"),
            ("25%", "20%"),
            ("20%", "10%"),
            ("10000%", "5000%"),
        ] {
            assert_eq!(down(ratio(from)), ratio(to), "down from {from}");
        }
    }
}
