use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::sampler::Diffusion;

const SPEC: AdaptiveSpec = AdaptiveSpec {
    error_rate: 0.05,
    latency_factor: 3.0,
    latency: None,
    floor: 0.01,
    interval: Duration::from_millis(250),
    raise: 0.05,
    lower: 0.5,
};
const STEP: Duration = Duration::from_millis(1);

/// A server that serves so many copies a second, one after the other, and production that asks for more.
struct Play {
    adaptive: Adaptive,
    now: Instant,
    production: f64,
    owed: f64,
    diffusion: Diffusion,
    seed: u64,
    per_second: f64,
    /// It turns away what it cannot serve at once, instead of letting it queue.
    refuses: bool,
    queue: VecDeque<Instant>,
    /// When the one that is served ends.
    busy_until: Instant,
    sent: u32,
}

impl Play {
    fn new(production: f64, per_second: f64, refuses: bool) -> Self {
        let now = Instant::now();
        Self {
            adaptive: Adaptive::new(SPEC, now),
            now,
            production,
            owed: 0.0,
            diffusion: Diffusion::new(0),
            seed: 1,
            per_second,
            refuses,
            queue: VecDeque::new(),
            busy_until: now,
            sent: 0,
        }
    }

    /// A number between 0.5 and 1.5 (splitmix64).
    fn noise(&mut self) -> f64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        0.5 + ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn step(&mut self) {
        self.now += STEP;
        while self.busy_until <= self.now
            && let Some(began) = self.queue.pop_front()
        {
            let start = self.busy_until.max(began);
            self.busy_until = start + Duration::from_secs_f64(self.noise() / self.per_second);
            self.adaptive.answered(began, self.busy_until);
        }
        self.owed += self.production * STEP.as_secs_f64() * self.noise();
        while self.owed >= 1.0 {
            self.owed -= 1.0;
            if self.diffusion.next(self.adaptive.share()) == 0 {
                self.adaptive.look(self.now);
                continue;
            }
            self.sent += 1;
            self.adaptive.sent(self.now);
            if self.refuses && self.queue.len() > 4 {
                self.adaptive.failed(self.now, self.now);
            } else {
                self.queue.push_back(self.now);
            }
        }
    }

    /// Copies a second that are sent, over so many seconds.
    fn rate(&mut self, seconds: u32) -> f64 {
        self.sent = 0;
        (0..seconds * 1000).for_each(|_| self.step());
        f64::from(self.sent) / f64::from(seconds)
    }
}

#[test]
fn a_mirror_as_large_as_production_gets_everything_within_seconds() {
    let mut play = Play::new(400.0, 2000.0, false);
    play.rate(3);
    assert_eq!(play.adaptive.share(), Ratio::ONE);
    play.rate(60);
    assert_eq!(play.adaptive.share(), Ratio::ONE);
}

#[test]
fn the_share_settles_near_the_capacity_and_follows_it() {
    for refuses in [false, true] {
        let mut play = Play::new(400.0, 100.0, refuses);
        for capacity in [100.0, 200.0, 50.0, 150.0] {
            play.per_second = capacity;
            play.rate(8);
            let rate = play.rate(20);
            assert!(
                (0.7 * capacity..=1.15 * capacity).contains(&rate),
                "{rate} copies a second at {capacity}, refuses: {refuses}"
            );
            assert!(play.queue.len() < capacity as usize, "{} wait", play.queue.len());
        }
    }
}

#[test]
fn a_mirror_that_answers_nothing_any_more_gets_a_trickle_and_comes_back() {
    let mut play = Play::new(400.0, 2000.0, false);
    play.rate(5);
    play.busy_until = play.now + Duration::from_secs(20);
    play.rate(15);
    assert!(
        play.adaptive.share() <= Ratio::from_units(10_000).unwrap(),
        "{}",
        play.adaptive.share()
    );
    play.rate(25);
    assert_eq!(play.adaptive.share(), Ratio::ONE);
}

#[test]
fn a_mirror_that_is_slow_without_load_is_how_it_is() {
    let now = Instant::now();
    let mut adaptive = Adaptive::new(SPEC, now);
    // Usual is 10 ms, and then 100 ms whatever is sent.
    for i in 0..40_000_u32 {
        let at = now + Duration::from_millis(10) * i;
        let took = Duration::from_millis(if i < 1000 { 10 } else { 100 });
        adaptive.sent(at);
        adaptive.answered(at, at + took);
    }
    assert_eq!(adaptive.share(), Ratio::ONE);
}

#[test]
fn a_given_latency_is_kept_to_instead_of_the_usual_one() {
    let now = Instant::now();
    let latency = Some(Duration::from_millis(50));
    let mut adaptive = Adaptive::new(AdaptiveSpec { latency, ..SPEC }, now);
    for i in 0..1000_u32 {
        let at = now + Duration::from_millis(10) * i;
        adaptive.sent(at);
        adaptive.answered(at, at + Duration::from_millis(60));
    }
    assert_eq!(adaptive.share(), Ratio::from_units(10_000).unwrap());
}

proptest! {
    #[test]
    fn the_share_stays_between_floor_and_whole(
        events in prop::collection::vec((0..5_u8, 0..2_000_u64, 0..5_000_u64), 0..400), floor in 0.0001..1.0_f64,
    ) {
        let mut now = Instant::now();
        let start = now;
        let mut adaptive = Adaptive::new(AdaptiveSpec { floor, ..SPEC }, now);
        for (event, millis, ago) in events {
            now += Duration::from_millis(millis);
            let began = now.checked_sub(Duration::from_millis(ago)).unwrap_or(start);
            let before = adaptive.share().units();
            match event {
                0 => adaptive.sent(now),
                1 => adaptive.answered(began, now),
                2 => adaptive.failed(began, now),
                3 => adaptive.given_up(),
                _ => adaptive.look(now),
            }
            let share = adaptive.share().units();
            prop_assert!((floor * 1e6).floor() as u32 <= share && share <= 1_000_000, "{share}");
            prop_assert!(f64::from(share) >= (f64::from(before) * (1.0 - SPEC.lower)).floor(), "{before} to {share}");
            prop_assert!(f64::from(share) <= f64::from(before) * 2.0 + 1.0, "{before} to {share}");
        }
    }
}
