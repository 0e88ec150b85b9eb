//! Lowering the share of copies that is sent while a mirror is failing or slowing, and raising it again.
//!
//! Looks at copies that have ended, an interval at a time. Where they fail too often, or take much longer than is usual for
//! this mirror, the share falls to what the mirror has just been able to answer, and further until what has queued up there
//! is gone; where all is well it rises again, fast up to a little under what the mirror could answer before, and from
//! there in small steps. Copies from before the last fall do not count: they tell of a load that is no more.

use std::time::{Duration, Instant};

use crate::ratio::Ratio;

/// Copies that an interval needs to be judged by.
const ENOUGH: u32 = 5;
/// After so many intervals one copy is enough.
const PATIENT: u32 = 4;
/// How much an interval moves what is usual towards its own latency, when that is slower or faster.
const SLOWER: f64 = 0.02;
const FASTER: f64 = 0.3;
/// How much slower than usual is taken for usual with each fall: a mirror that stays slow whatever it is sent is like that now.
const RESIGNED: f64 = 1.1;
/// Latencies that differ by less are the same: a local mirror answers within microseconds, and scheduling is slower.
const SLACK: f64 = 0.005;
/// Where the share starts, and how it grows until the mirror's capacity is known.
const START: f64 = 0.1;
const DOUBLE: f64 = 2.0;
/// How the share returns towards what the mirror could answer, and how near.
const RETURN: f64 = 1.5;
const NEAR: f64 = 0.9;
/// After each so many intervals, the share rises in larger steps.
const SURER: u32 = 4;
/// How the share goes on to fall while what has queued up is not gone.
const DRAIN: f64 = 0.7;

/// What is to be kept to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveSpec {
    /// Share of copies, 0 to 1, that may fail.
    pub error_rate: f64,
    /// How many times the usual latency is too slow, where no latency is given.
    pub latency_factor: f64,
    /// Which mean latency is too slow.
    pub latency: Option<Duration>,
    /// The share never falls below this, 0 to 1.
    pub floor: f64,
    /// How long is looked at before the share changes.
    pub interval: Duration,
    /// By how much of itself the share rises in an interval, beyond what the mirror is known to be able to answer; more, the
    /// longer all is well.
    pub raise: f64,
    /// By how much of itself the share falls in an interval, at most.
    pub lower: f64,
}

/// The share of copies that one mirror is sent.
#[derive(Debug, Clone)]
pub struct Adaptive {
    spec: AdaptiveSpec,
    share: f64,
    /// The share that the mirror could answer when there was last too much.
    capacity: Option<f64>,
    /// Mean latency in seconds while all is well.
    usual: Option<f64>,
    /// The share has just been lowered, and all was not well since.
    falling: bool,
    /// Intervals since then in which the share rose beyond what the mirror could answer before.
    well: u32,
    /// Copies that began before this do not count.
    since: Instant,
    window: Window,
    in_flight: u32,
}

/// What happened in an interval.
#[derive(Debug, Clone)]
struct Window {
    began: Instant,
    /// Copies sent.
    sent: u32,
    /// Copies that ended well, whenever they began.
    answered: u32,
    /// Of those that count: how many ended well, how many did not, and the sum of latencies of the former.
    good: u32,
    bad: u32,
    latency: f64,
}

impl Window {
    fn new(now: Instant) -> Self {
        Self {
            began: now,
            sent: 0,
            answered: 0,
            good: 0,
            bad: 0,
            latency: 0.0,
        }
    }
}

impl Adaptive {
    /// Starts with a tenth, which doubles in each interval in which all is well.
    pub fn new(spec: AdaptiveSpec, now: Instant) -> Self {
        Self {
            share: START.max(spec.floor).min(1.0),
            capacity: None,
            usual: None,
            falling: false,
            well: 0,
            since: now,
            window: Window::new(now),
            in_flight: 0,
            spec,
        }
    }

    /// The share to send now.
    pub fn share(&self) -> Ratio {
        let units = (self.share * f64::from(Ratio::ONE.units())).round() as u32;
        Ratio::from_units(units.clamp(1, Ratio::ONE.units())).unwrap_or(Ratio::ONE)
    }

    /// What it keeps to.
    pub fn spec(&self) -> AdaptiveSpec {
        self.spec
    }

    /// A copy is sent.
    pub fn sent(&mut self, now: Instant) {
        self.window.sent += 1;
        self.in_flight += 1;
        self.look(now);
    }

    /// A copy that began then has been answered well.
    pub fn answered(&mut self, began: Instant, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.window.answered += 1;
        if began >= self.since {
            self.window.good += 1;
            self.window.latency += now.saturating_duration_since(began).as_secs_f64();
        }
        self.look(now);
    }

    /// A copy that began then has failed, or the mirror has answered that it cannot.
    pub fn failed(&mut self, began: Instant, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.window.bad += u32::from(began >= self.since);
        self.look(now);
    }

    /// A copy that was sent was given up for a reason that says nothing about the mirror.
    pub fn given_up(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Looks whether an interval has passed. To be called where no copies are sent either, so that a mirror that answers
    /// nothing any more is found out.
    pub fn look(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.window.began);
        if passed < self.spec.interval {
            return;
        }
        let ended = self.window.good + self.window.bad;
        let patient = passed >= self.spec.interval * PATIENT;
        if ended < ENOUGH && !(patient && ended > 0) {
            if patient && self.is_stuck(passed) {
                self.lower(now);
            }
            return;
        }
        let mean = (self.window.good > 0).then(|| self.window.latency / f64::from(self.window.good));
        let too_many_fail = f64::from(self.window.bad) > self.spec.error_rate * f64::from(ended);
        let too_slow = mean.zip(self.limit()).is_some_and(|(mean, limit)| mean > limit);
        if too_many_fail || too_slow {
            if too_slow {
                self.usual = self.usual.map(|usual| usual * RESIGNED);
            }
            self.lower(now);
        } else {
            self.learn(mean);
            self.raise(now);
        }
    }

    /// Copies are under way, and none has ended for longer than any should take.
    fn is_stuck(&self, passed: Duration) -> bool {
        self.in_flight > 0
            && self.window.sent > 0
            && self.limit().is_some_and(|limit| passed.as_secs_f64() > 2.0 * limit)
    }

    /// The mean latency, in seconds, past which the mirror is too slow.
    fn limit(&self) -> Option<f64> {
        match self.spec.latency {
            Some(latency) => Some(latency.as_secs_f64()),
            None => self
                .usual
                .map(|usual| (usual * self.spec.latency_factor).max(usual + SLACK)),
        }
    }

    fn learn(&mut self, mean: Option<f64>) {
        let Some(mean) = mean else { return };
        self.usual = Some(match self.usual {
            None => mean,
            Some(usual) if mean < usual => usual + FASTER * (mean - usual),
            Some(usual) => usual + SLOWER * (mean - usual),
        });
    }

    fn lower(&mut self, now: Instant) {
        let answered = f64::from(self.window.answered) / f64::from(self.window.sent.max(1));
        let could = self.share * answered.min(1.0);
        let wanted = if self.falling {
            self.share * DRAIN
        } else {
            self.capacity = Some(could.max(self.spec.floor));
            (could * NEAR).min(self.share * NEAR)
        };
        let least = self.share * (1.0 - self.spec.lower);
        self.share = wanted.max(least).max(self.spec.floor);
        self.falling = true;
        self.well = 0;
        self.since = now;
        self.window = Window::new(now);
    }

    fn raise(&mut self, now: Instant) {
        let share = match self.capacity {
            None => self.share * DOUBLE,
            Some(capacity) if self.share < capacity * NEAR => (self.share * RETURN).min(capacity * NEAR),
            Some(_) => {
                self.well += 1;
                // The longer all is well, the surer it is that the mirror can answer more than it could.
                let raise = self.spec.raise * (1.0 + f64::from(self.well / SURER));
                self.share * (1.0 + raise).min(RETURN)
            }
        };
        self.share = share.min(1.0);
        if self.share >= 1.0 {
            self.capacity = None;
        }
        self.falling = false;
        self.window = Window::new(now);
    }
}

#[cfg(test)]
mod tests;
