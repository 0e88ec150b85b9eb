//! The circuit breaker: a failing mirror is left alone for a while.

use std::time::{Duration, Instant};

/// The breaker stays open at most this many times its configured time, however often probes fail.
const MAX_BACKOFF: u32 = 8;

/// Whether copies may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// They are.
    Closed,
    /// They are not.
    Open,
    /// One is on its way to find out.
    HalfOpen,
}

/// What the breaker says to a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Go.
    Yes,
    /// Go, and report: everyone else waits for this one.
    Probe,
    /// Do not.
    No,
}

/// Opens after so many failures in a row, lets one copy through as a probe after a while, and closes when that one
/// succeeds. Each failed probe doubles the wait, up to eight times the configured one.
#[derive(Debug, Clone)]
pub struct CircuitBreaker {
    failures: u32,
    open_for: Duration,
    in_a_row: u32,
    backoff: u32,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed,
    Open(Instant),
    HalfOpen,
}

impl CircuitBreaker {
    /// Opens after so many failures in a row, never when 0, and for so long.
    pub fn new(failures: u32, open_for: Duration) -> Self {
        Self {
            failures,
            open_for,
            in_a_row: 0,
            backoff: 1,
            state: State::Closed,
        }
    }

    /// The state it is in.
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open(_) => BreakerState::Open,
            State::HalfOpen => BreakerState::HalfOpen,
        }
    }

    /// Whether a copy may be sent now. A probe must be followed by exactly one of [`success`](Self::success),
    /// [`failure`](Self::failure) and [`probe_cancelled`](Self::probe_cancelled).
    pub fn admit(&mut self, now: Instant) -> Admission {
        match self.state {
            State::Closed => Admission::Yes,
            State::Open(until) if now >= until => {
                self.state = State::HalfOpen;
                Admission::Probe
            }
            State::Open(_) | State::HalfOpen => Admission::No,
        }
    }

    /// A copy was delivered.
    pub fn success(&mut self, probe: bool) {
        if probe || matches!(self.state, State::Closed) {
            self.state = State::Closed;
            self.in_a_row = 0;
            self.backoff = 1;
        }
    }

    /// A copy failed.
    pub fn failure(&mut self, now: Instant, probe: bool) {
        if probe {
            self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
            self.open(now);
        } else if matches!(self.state, State::Closed) && self.failures > 0 {
            self.in_a_row += 1;
            if self.in_a_row >= self.failures {
                self.open(now);
            }
        }
    }

    /// The probe was given up before it could tell: the next copy probes instead.
    pub fn probe_cancelled(&mut self, now: Instant) {
        if matches!(self.state, State::HalfOpen) {
            self.state = State::Open(now);
        }
    }

    fn open(&mut self, now: Instant) {
        self.in_a_row = 0;
        self.state = State::Open(now + self.open_for * self.backoff);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WAIT: Duration = Duration::from_secs(1);

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_a_good_probe() {
        let now = Instant::now();
        let mut breaker = CircuitBreaker::new(3, WAIT);
        for failed in [true, true, false, true, true, true] {
            assert_eq!(breaker.admit(now), Admission::Yes);
            if failed {
                breaker.failure(now, false)
            } else {
                breaker.success(false)
            }
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        assert_eq!(breaker.admit(now + WAIT - Duration::from_nanos(1)), Admission::No);
        assert_eq!(breaker.admit(now + WAIT), Admission::Probe);
        assert_eq!(breaker.admit(now + WAIT), Admission::No);
        breaker.success(true);
        assert_eq!(breaker.admit(now + WAIT), Admission::Yes);
    }

    #[test]
    fn failed_probes_wait_longer_up_to_a_bound() {
        let mut now = Instant::now();
        let mut breaker = CircuitBreaker::new(1, WAIT);
        breaker.failure(now, false);
        let mut wait = WAIT;
        for _ in 0..6 {
            now += wait;
            assert_eq!(breaker.admit(now), Admission::Probe);
            breaker.failure(now, true);
            wait = (wait * 2).min(WAIT * MAX_BACKOFF);
            assert_eq!(breaker.admit(now + wait - Duration::from_nanos(1)), Admission::No);
        }
    }

    #[test]
    fn a_cancelled_probe_lets_the_next_copy_probe() {
        let now = Instant::now();
        let mut breaker = CircuitBreaker::new(1, WAIT);
        breaker.failure(now, false);
        assert_eq!(breaker.admit(now + WAIT), Admission::Probe);
        breaker.probe_cancelled(now + WAIT);
        assert_eq!(breaker.admit(now + WAIT), Admission::Probe);
    }

    #[test]
    fn it_never_opens_when_turned_off() {
        let now = Instant::now();
        let mut breaker = CircuitBreaker::new(0, WAIT);
        (0..100).for_each(|_| breaker.failure(now, false));
        assert_eq!(breaker.admit(now), Admission::Yes);
    }

    proptest! {
        #[test]
        fn never_more_than_one_probe_at_a_time(events in prop::collection::vec((0..4_u8, 0..3_000_u64), 1..200)) {
            let mut now = Instant::now();
            let mut breaker = CircuitBreaker::new(2, WAIT);
            let mut probing = false;
            for (event, millis) in events {
                now += Duration::from_millis(millis);
                match event {
                    0 => match breaker.admit(now) {
                        Admission::Probe => { prop_assert!(!probing); probing = true; }
                        Admission::Yes => prop_assert!(!probing),
                        Admission::No => {}
                    },
                    1 if probing => { breaker.success(true); probing = false; }
                    2 if probing => { breaker.failure(now, true); probing = false; }
                    // A copy from before it opened ends late.
                    3 => breaker.failure(now, false),
                    _ => breaker.success(false),
                }
            }
        }
    }
}
