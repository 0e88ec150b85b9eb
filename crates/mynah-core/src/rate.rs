//! Copies per second: a token bucket.

use std::time::Instant;

/// Lets through at most so many per second over any stretch of time, and a tenth of a second's worth (at least one) at once.
#[derive(Debug, Clone)]
pub struct RateLimiter {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled: Instant,
}

impl RateLimiter {
    /// A full bucket.
    pub fn new(per_second: f64, now: Instant) -> Self {
        let burst = (per_second / 10.0).max(1.0);
        Self {
            per_second,
            burst,
            tokens: burst,
            filled: now,
        }
    }

    /// Whether one more may go now.
    pub fn admit(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        self.tokens = (self.tokens + passed * self.per_second).min(self.burst);
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_one_burst(rate in 0.1..10_000.0_f64, gaps in prop::collection::vec(0..200_000_u64, 1..500)) {
            let start = Instant::now();
            let mut limiter = RateLimiter::new(rate, start);
            let mut now = start;
            let mut admitted = 0_u32;
            for micros in gaps {
                now += Duration::from_micros(micros);
                admitted += u32::from(limiter.admit(now));
                let bound = rate * (now - start).as_secs_f64() + (rate / 10.0).max(1.0);
                prop_assert!(f64::from(admitted) <= bound + 1e-6);
            }
        }
    }

    #[test]
    fn a_steady_stream_below_the_rate_passes_whole() {
        let start = Instant::now();
        let mut limiter = RateLimiter::new(100.0, start);
        assert!((1..1000).all(|i| limiter.admit(start + Duration::from_millis(11) * i)));
    }
}
