//! The one side of the matrix: what a mirror does, and how the copies that it is sent have to end.

use mynah_core::{FailReason, Outcome, ShedReason};
use mynah_testkit::ill::Behaviour;

/// A test for every behaviour of a mirror, each of which calls `$shape` with it.
macro_rules! every_behaviour {
    ($shape:expr) => {
        crate::behaviours::every_behaviour!($shape,
            healthy: Healthy,
            that_never_answers: NeverAnswers,
            that_never_reads: NeverReads,
            that_is_slow: Slow,
            that_refuses: Refuses,
            that_resets: Resets,
            that_speaks_garbage: Garbage,
            that_answers_without_end: Endless,
            whose_name_does_not_resolve: NoName,
            whose_tls_fails: TlsFails,
            that_is_a_black_hole: BlackHole,
        );
    };
    ($shape:expr, $($name:ident: $behaviour:ident,)*) => {
        mod a_mirror {
            use super::*;
            use mynah_testkit::ill::Behaviour;

            $(
                #[test]
                fn $name() {
                    $shape(Behaviour::$behaviour);
                }
            )*

            #[test]
            fn of_every_behaviour_is_among_these() {
                assert_eq!([$(Behaviour::$behaviour),*], Behaviour::ALL);
            }
        }
    };
}
pub(crate) use every_behaviour;

/// How copies end.
pub(crate) struct Ends {
    /// At least one copy like this.
    pub(crate) mostly: Outcome,
    /// All others like one of these.
    pub(crate) others: Vec<Outcome>,
}

/// How copies end that are small, or so large that a mirror which does not keep up with them loses them.
pub(crate) fn ends(behaviour: Behaviour, large: bool) -> Ends {
    use Outcome::{Delivered, Failed, Shed};
    // A failing mirror is left alone, and no mirror gets more than its bounds allow.
    let failed = |reason| (Failed(reason), vec![Shed(ShedReason::BreakerOpen)]);
    let lost = (Shed(ShedReason::Window), vec![]);
    let (mostly, mut others) = match behaviour {
        Behaviour::Healthy => (Delivered, vec![]),
        // What is sent is taken, and discarded past a bound.
        Behaviour::Endless => (Delivered, vec![]),
        Behaviour::NeverAnswers => failed(FailReason::Timeout),
        Behaviour::NeverReads | Behaviour::Slow if large => lost,
        Behaviour::NeverReads => failed(FailReason::Timeout),
        Behaviour::Slow => (Delivered, vec![]),
        Behaviour::Refuses => failed(FailReason::Connect),
        Behaviour::Resets => failed(FailReason::Reset),
        Behaviour::Garbage => failed(FailReason::BadResponse),
        Behaviour::NoName => failed(FailReason::Resolve),
        Behaviour::TlsFails => failed(FailReason::Tls),
        Behaviour::BlackHole if large => (Failed(FailReason::ConnectTimeout), vec![Shed(ShedReason::Window)]),
        Behaviour::BlackHole => failed(FailReason::ConnectTimeout),
    };
    others.extend([
        Shed(ShedReason::InFlight),
        Shed(ShedReason::Connections),
        Shed(ShedReason::HeldBytes),
    ]);
    Ends { mostly, others }
}
