//! A clock that stands still until the test moves it.
//!
//! A paused runtime ([`tokio::time::pause`]) leaps to the next timer whenever nothing is left to do, also when all that is
//! left is on its way through a socket. While a [`StandingClock`] exists it does not: timers fire only when the test lets time
//! pass, so what gets done without that was done without waiting for any of them.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::task::{JoinHandle, yield_now};

/// How long, on a real clock, a test may take to do what it says. Then time runs again, and the test fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time passes in steps of this length.
const STEP: Duration = Duration::from_millis(50);
/// Times that sockets are looked at between two steps, so that what a timer set off gets done before the next one fires.
const LOOKS: usize = 24;
/// What the kernel is given, on a real clock, to carry bytes from one socket to another when it does not do so at once.
const MOMENT: Duration = Duration::from_millis(2);

/// Keeps the clock of a paused, single-threaded runtime where it is. Time runs again when it is dropped.
#[derive(Debug)]
pub struct StandingClock {
    _standing: Sender<()>,
    holding: JoinHandle<bool>,
}

impl StandingClock {
    /// Stops the clock of the runtime that this is called on, which is paused already.
    pub fn stop() -> Self {
        let (standing, until) = channel();
        // The runtime does not leap while a blocking task may still have something to say.
        let holding =
            tokio::task::spawn_blocking(move || matches!(until.recv_timeout(PATIENCE), Err(RecvTimeoutError::Timeout)));
        Self {
            _standing: standing,
            holding,
        }
    }

    /// Whether the clock runs again because the test took too long.
    pub fn ran_out(&self) -> bool {
        self.holding.is_finished()
    }

    /// Lets everything happen that needs no time.
    pub async fn settle(&self) {
        let (_kept, never) = channel::<()>();
        let moment = tokio::task::spawn_blocking(move || never.recv_timeout(MOMENT));
        // It ends by running out.
        let _ = moment.await;
        for _ in 0..LOOKS {
            yield_now().await;
        }
    }

    /// Lets time pass.
    pub async fn pass(&self, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(STEP);
            tokio::time::advance(step).await;
            self.settle().await;
            left -= step;
        }
    }

    /// Waits, without any time passing, until a condition holds. Whether it does.
    pub async fn until(&self, condition: impl Fn() -> bool) -> bool {
        while !condition() {
            if self.ran_out() {
                return false;
            }
            yield_now().await;
        }
        true
    }

    /// Lets time pass until a condition holds, but not more than `most`. Whether it does.
    pub async fn pass_until(&self, most: Duration, condition: impl Fn() -> bool) -> bool {
        let mut left = most;
        self.settle().await;
        while !condition() && !left.is_zero() {
            let step = left.min(STEP);
            self.pass(step).await;
            left -= step;
        }
        condition()
    }
}
