//! What the metrics say, and whether it adds up.

use std::collections::BTreeMap;
use std::fmt;

/// Every sample of an exposition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics(Vec<Sample>);

#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Reads an exposition; lines that are no samples are left out.
    pub fn parse(page: &str) -> Self {
        Self(page.lines().filter_map(sample).collect())
    }

    /// The sum of all samples of this name with these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let wanted = |sample: &&Sample| {
            let has = |(key, value): &(&str, &str)| sample.labels.get(*key).is_some_and(|found| found == value);
            sample.name == name && labels.iter().all(has)
        };
        self.0.iter().filter(wanted).map(|sample| sample.value as u64).sum()
    }

    /// Production errors with this reason.
    pub fn errors(&self, reason: &str) -> u64 {
        self.sum("mynah_errors_total", &[("reason", reason)])
    }

    /// Production errors of every kind.
    pub fn all_errors(&self) -> u64 {
        self.sum("mynah_errors_total", &[])
    }

    /// Production errors on this side: `client`, `upstream` or `internal`.
    pub fn errors_of(&self, side: &str) -> u64 {
        self.sum("mynah_errors_total", &[("side", side)])
    }

    /// Copies, to every mirror, that ended like this and for this reason.
    pub fn copies(&self, outcome: &str, reason: &str) -> u64 {
        self.sum("mynah_copies_total", &[("outcome", outcome), ("reason", reason)])
    }

    /// Requests that are never copied, for this reason.
    pub fn not_copied(&self, reason: &str) -> u64 {
        self.sum("mynah_requests_not_copied_total", &[("reason", reason)])
    }

    /// The values that a label has anywhere under a name.
    fn values(&self, name: &str, label: &str) -> Vec<String> {
        let samples = self.0.iter().filter(|sample| sample.name == name);
        let mut values: Vec<_> = samples.filter_map(|sample| sample.labels.get(label).cloned()).collect();
        values.dedup();
        values
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |sample: &&Sample| sample.value != 0.0 && !sample.name.contains("duration");
        for sample in self.0.iter().filter(told) {
            let labels: Vec<_> = sample
                .labels
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            write!(f, "{}{{{}}} {}; ", sample.name, labels.join(","), sample.value)?;
        }
        Ok(())
    }
}

fn sample(line: &str) -> Option<Sample> {
    if line.starts_with('#') {
        return None;
    }
    let (key, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    if !key.starts_with("mynah_") {
        return None;
    }
    let (name, labels) = match key.split_once('{') {
        None => (key, ""),
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
    };
    let labels = labels.split(',').filter_map(|label| {
        let (key, value) = label.split_once('=')?;
        Some((key.to_owned(), value.trim_matches('"').to_owned()))
    });
    Some(Sample {
        name: name.to_owned(),
        labels: labels.collect(),
        value,
    })
}

/// The books of production and of every mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    /// Requests whose head was accepted.
    pub requests: u64,
    /// Client connections open.
    pub connections: u64,
    /// Bytes held for copies.
    pub held_bytes: u64,
    /// By the mirror's name.
    pub mirrors: BTreeMap<String, MirrorAccount>,
}

/// The books of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorAccount {
    /// Requests that could be copied.
    pub matched: u64,
    /// Copies made.
    pub copies: u64,
    /// Copies that ended, by how.
    pub delivered: u64,
    /// As above.
    pub failed: u64,
    /// As above.
    pub shed: u64,
    /// Requests that are never copied.
    pub not_copied: u64,
    /// Copies that have not ended.
    pub in_flight: u64,
}

impl Accounts {
    /// The accounts that the metrics tell.
    pub fn of(metrics: &Metrics) -> Self {
        let mirror = |name: String| {
            let of = |metric: &str| metrics.sum(metric, &[("mirror", &name)]);
            let ended = |outcome: &str| metrics.sum("mynah_copies_total", &[("mirror", &name), ("outcome", outcome)]);
            let account = MirrorAccount {
                matched: of("mynah_matched_requests_total"),
                copies: of("mynah_copies_started_total"),
                delivered: ended("delivered"),
                failed: ended("failed"),
                shed: ended("shed"),
                not_copied: of("mynah_requests_not_copied_total"),
                in_flight: of("mynah_copies_in_flight"),
            };
            (name, account)
        };
        Self {
            requests: metrics.sum("mynah_requests_total", &[]),
            connections: metrics.sum("mynah_connections", &[]),
            held_bytes: metrics.sum("mynah_held_bytes", &[]),
            mirrors: metrics
                .values("mynah_copies_started_total", "mirror")
                .into_iter()
                .map(mirror)
                .collect(),
        }
    }

    /// The only mirror's.
    ///
    /// # Panics
    /// If there is another number of mirrors than one.
    pub fn mirror(&self) -> &MirrorAccount {
        assert_eq!(self.mirrors.len(), 1, "the test has one mirror");
        self.mirrors.values().next().expect("there is one")
    }

    /// Whether no copy is under way.
    pub fn at_rest(&self) -> bool {
        self.mirrors.values().all(|m| m.in_flight == 0 && m.copies == m.ended()) && self.held_bytes == 0
    }

    /// An error unless every matching request has its copy (at a ratio of 100 %), every request is accounted for at every
    /// mirror, and every copy has one outcome.
    pub fn add_up(&self) -> Result<(), String> {
        let adds_up = |m: &MirrorAccount| {
            m.matched == m.copies && m.copies == m.ended() && m.matched + m.not_copied == self.requests
        };
        if self.mirrors.values().all(adds_up) {
            Ok(())
        } else {
            Err(format!("the accounts do not add up: {self:?}"))
        }
    }
}

impl MirrorAccount {
    /// Copies that ended.
    pub fn ended(&self) -> u64 {
        self.delivered + self.failed + self.shed
    }
}
