//! What the test application goes through, one scene after the other, and from the start again.

use std::time::Duration;

use super::applications::Mood;
use super::tally::Tally;

/// How long a scene is when the demo goes on until it is interrupted.
const LENGTH: Duration = Duration::from_secs(6);

/// A part of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    /// All is well.
    Well,
    /// The test application takes requests and never answers.
    Silent,
    /// Nobody is there.
    Gone,
    /// All is well again.
    Back,
}

impl Scene {
    const ALL: [Self; 4] = [Self::Well, Self::Silent, Self::Gone, Self::Back];

    /// What the test application does.
    pub(crate) fn mood(self) -> Mood {
        match self {
            Self::Well | Self::Back => Mood::Well,
            Self::Silent => Mood::Silent,
            Self::Gone => Mood::Gone,
        }
    }

    /// The same in words.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Well => "is well",
            Self::Silent => "never answers",
            Self::Gone => "is gone",
            Self::Back => "is back",
        }
    }
}

/// All scenes, and what has happened in each.
#[derive(Debug)]
pub(crate) struct Scenes {
    length: Duration,
    current: usize,
    tallies: [Tally; Scene::ALL.len()],
}

impl Scenes {
    /// The first scene; all of them fit into the time if there is a limit.
    pub(crate) fn new(run_for: Option<Duration>) -> Self {
        let share = |time: Duration| time / Scene::ALL.len() as u32;
        Self {
            length: run_for.map_or(LENGTH, share).max(Duration::from_millis(1)),
            current: 0,
            tallies: Default::default(),
        }
    }

    /// How long each is.
    pub(crate) fn length(&self) -> Duration {
        self.length
    }

    /// The one under way.
    pub(crate) fn current(&self) -> Scene {
        Scene::ALL[self.current]
    }

    /// What has happened in it so far.
    pub(crate) fn tally_mut(&mut self) -> &mut Tally {
        &mut self.tallies[self.current]
    }

    /// Goes on to the next.
    pub(crate) fn next(&mut self) {
        self.current = (self.current + 1) % Scene::ALL.len();
    }

    /// Each with what has happened in it.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Scene, &Tally)> {
        Scene::ALL.into_iter().zip(&self.tallies)
    }

    /// What has happened in all of them.
    pub(crate) fn total(&self) -> Tally {
        self.tallies.iter().fold(Tally::default(), Tally::and)
    }
}
