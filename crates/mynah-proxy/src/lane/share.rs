//! The share of copies that a lane sends while its mirror is failing or slowing. What it holds back is shed.

use std::cell::RefCell;
use std::sync::atomic::Ordering::Relaxed;

use mynah_core::{Adaptive, AdaptiveSpec, Diffusion, FailReason, Outcome, Ratio, ShedReason};
use tokio::time::Instant;

use super::Lane;

/// A lane's share, and what decides which copies belong to it.
pub(crate) struct Share {
    adaptive: RefCell<Adaptive>,
    diffusion: RefCell<Diffusion>,
}

impl Share {
    /// Goes on where `before` is, if it keeps to the same.
    pub(super) fn new(spec: AdaptiveSpec, now: Instant, before: Option<&Self>) -> Self {
        let known = before.map(|before| before.adaptive.borrow().clone());
        let known = known.filter(|adaptive| adaptive.spec() == spec);
        Self {
            adaptive: RefCell::new(known.unwrap_or_else(|| Adaptive::new(spec, now.into_std()))),
            diffusion: RefCell::new(Diffusion::new(0)),
        }
    }

    /// How many of a request's copies are sent. Where a key decides, it does so for the lower ratio as well: users leave and
    /// come back whole.
    pub(crate) fn keeps(&self, copies: u32, ratio: Ratio, by_key: impl FnOnce(Ratio) -> Option<u32>) -> u32 {
        let share = self.adaptive.borrow().share();
        if share == Ratio::ONE {
            return copies;
        }
        match by_key(of(ratio, share)) {
            Some(keyed) => keyed.min(copies),
            None => (0..copies).map(|_| self.diffusion.borrow_mut().next(share)).sum(),
        }
    }

    pub(super) fn held_back(&self, now: Instant) {
        self.adaptive.borrow_mut().look(now.into_std());
    }

    pub(super) fn sent(&self, now: Instant) {
        self.adaptive.borrow_mut().sent(now.into_std());
    }

    /// A copy that was sent has ended, with this status if there was one.
    pub(super) fn ended(&self, outcome: Outcome, status: u16, began: Instant, now: Instant) {
        let mut adaptive = self.adaptive.borrow_mut();
        let (began, now) = (began.into_std(), now.into_std());
        match outcome {
            Outcome::Delivered if status < 500 => adaptive.answered(began, now),
            Outcome::Failed(FailReason::Internal) => adaptive.given_up(),
            // A mirror that does not read fast enough is as good as one that does not answer.
            Outcome::Delivered | Outcome::Failed(_) | Outcome::Shed(ShedReason::Window) => adaptive.failed(began, now),
            Outcome::Shed(_) => adaptive.given_up(),
        }
    }
}

impl Lane {
    /// Tells the share to who reads the counters.
    pub(super) fn show_share(&self) {
        if self.retired.get() {
            // The mirror's present lane has a share of its own.
            return;
        }
        let share = self
            .share
            .as_ref()
            .map_or(Ratio::ONE, |share| share.adaptive.borrow().share());
        let held_back = Ratio::ONE.units() - share.units();
        self.stats.held_back.store(held_back, Relaxed);
    }
}

/// A share of a ratio.
fn of(ratio: Ratio, share: Ratio) -> Ratio {
    let units = u64::from(ratio.units()) * u64::from(share.units()) / u64::from(Ratio::ONE.units());
    Ratio::from_units(units as u32).unwrap_or(ratio)
}
