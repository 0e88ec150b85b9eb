//! Which requests are copied, and how often: exactly by error diffusion, or by a key so that one user is all in or all out.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::ratio::Ratio;

/// Spreads copies evenly: any window of n requests yields n × ratio copies, give or take one.
#[derive(Debug, Clone)]
pub struct Diffusion {
    /// What has accumulated towards the next copy, in units of 0.0001 %.
    owed: u32,
}

impl Diffusion {
    /// Starts with so much (modulo 100 %) towards the first copy, in units of 0.0001 %, so that several samplers do not
    /// copy in step.
    pub fn new(phase: u32) -> Self {
        Self {
            owed: phase % Ratio::ONE.units(),
        }
    }

    /// Copies of the next request.
    pub fn next(&mut self, ratio: Ratio) -> u32 {
        self.owed += ratio.fraction();
        let extra = u32::from(self.owed >= Ratio::ONE.units());
        self.owed -= extra * Ratio::ONE.units();
        ratio.whole() + extra
    }
}

/// Copies of every request with this key: the same on every pod and in every version, and raising the ratio only adds.
pub fn keyed_copies(key: &[u8], ratio: Ratio) -> u32 {
    // The key is public on purpose: every pod must come to the same result.
    let mut hasher = SipHasher13::new_with_keys(0x6d79_6e61_682d_7261, 0x7469_6f2d_6b65_7901);
    hasher.write(key);
    // A place in 0..100 %, without the bias of a remainder.
    let place = ((u128::from(hasher.finish()) * u128::from(Ratio::ONE.units())) >> 64) as u32;
    ratio.whole() + u32::from(place < ratio.fraction())
}

/// The value of a cookie, from the values of all `Cookie` fields.
pub fn cookie<'a>(fields: impl Iterator<Item = &'a [u8]>, name: &str) -> Option<&'a [u8]> {
    fields.flat_map(|field| field.split(|b| *b == b';')).find_map(|pair| {
        let pair = pair.trim_ascii();
        pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ratio(units: u32) -> Ratio {
        Ratio::from_units(units).unwrap()
    }

    proptest! {
        #[test]
        fn any_window_is_exact_give_or_take_one(units in 0..=100_000_000_u32, phase: u32, skip in 0..2_000_usize, n in 1..2_000_u64) {
            let ratio = ratio(units);
            let mut sampler = Diffusion::new(phase);
            (0..skip).for_each(|_| { sampler.next(ratio); });
            let copies: u64 = (0..n).map(|_| u64::from(sampler.next(ratio))).sum();
            let exact = n as f64 * f64::from(units) / 1e6;
            prop_assert!((copies as f64 - exact).abs() <= 1.0, "{copies} for {exact}");
        }

        #[test]
        fn raising_the_ratio_only_adds(key: Vec<u8>, a in 0..=100_000_000_u32, b in 0..=100_000_000_u32) {
            prop_assert!(keyed_copies(&key, ratio(a.min(b))) <= keyed_copies(&key, ratio(a.max(b))));
        }

        #[test]
        fn a_cookie_is_found_among_others(value in "[a-z0-9]{0,9}", before in "[a-z]{1,5}=[a-z]{0,5}; ") {
            let field = format!("{before}sid={value}; other=1");
            prop_assert_eq!(cookie([field.as_bytes()].into_iter(), "sid"), Some(value.as_bytes()));
        }
    }

    #[test]
    fn the_share_of_keys_is_the_ratio() {
        let copied: u32 = (0..100_000_u32)
            .map(|user| keyed_copies(&user.to_be_bytes(), ratio(250_000)))
            .sum();
        // Five standard deviations of a binomial distribution.
        assert!((24_315..=25_685).contains(&copied), "{copied}");
    }

    #[test]
    fn the_hash_of_a_key_never_changes() {
        let copied: Vec<_> = (0..64_u8)
            .filter(|key| keyed_copies(&[*key], ratio(100_000)) == 1)
            .collect();
        assert_eq!(copied, [17, 28], "pods of other versions decide otherwise");
    }

    #[test]
    fn a_cookie_is_not_found_within_another_name() {
        assert_eq!(cookie([b"xsid=1; sidx=2".as_slice()].into_iter(), "sid"), None);
    }
}
