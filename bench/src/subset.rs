//! What is measured, one file each.

mod bulk;
mod cost;
mod http2;
mod idle;
mod isolation;
mod latency;
mod upload;

use std::time::Duration;

use anyhow::{Result, bail};

use crate::contender::{Contender, Kind};
use crate::report::{Samples, Section};
use crate::settings::Settings;

/// Every subset, in the order in which they run.
pub(crate) const NAMES: [&str; 7] = ["cost", "latency", "isolation", "upload", "bulk", "idle", "http2"];
/// Asked before anything is measured.
const WARM_UP: Duration = Duration::from_millis(700);
/// Clients that ask at once.
const CLIENTS: usize = 64;

/// Measures one.
pub(crate) fn measure(name: &str, settings: &Settings) -> Result<Section> {
    match name {
        "cost" => cost::measure(settings),
        "latency" => latency::measure(settings),
        "isolation" => isolation::measure(settings),
        "upload" => upload::measure(settings),
        "bulk" => bulk::measure(settings),
        "idle" => idle::measure(settings),
        "http2" => http2::measure(settings),
        _ => bail!("{name}: no such subset"),
    }
}

/// The contenders that are wanted, not mirroring and mirroring.
fn contenders(settings: &Settings, both: bool) -> Vec<Contender> {
    let not_mirroring = Kind::ALL.map(|kind| Contender::of(kind, false));
    let mirroring = Kind::ALL.map(|kind| Contender::of(kind, true));
    let all = not_mirroring.into_iter().filter(|_| both).chain(mirroring);
    all.filter(|contender| settings.wants(&contender.name())).collect()
}

/// Measures every cell once, then every cell again, so that whatever the machine does meanwhile meets all alike. The values
/// of a cell are those that `run` gives for it; a cell that cannot be measured is said to be and left out.
fn in_turn<C: Copy>(
    settings: &Settings,
    cells: &[C],
    name: impl Fn(C) -> String,
    mut run: impl FnMut(C) -> Result<Option<Vec<f64>>>,
) -> Vec<Vec<Samples>> {
    let mut all: Vec<Vec<Samples>> = cells.iter().map(|_| Vec::new()).collect();
    for repeat in 0..settings.repeats {
        for (samples, &cell) in all.iter_mut().zip(cells) {
            match run(cell) {
                Ok(Some(values)) => {
                    samples.resize(samples.len().max(values.len()), Samples::default());
                    let shown: Vec<String> = values.iter().map(|value| format!("{value:.1}")).collect();
                    eprintln!(
                        "{}/{} {}: {}",
                        repeat + 1,
                        settings.repeats,
                        name(cell),
                        shown.join(" ")
                    );
                    for (samples, value) in samples.iter_mut().zip(values) {
                        // Not a number: nobody was answered.
                        samples.0.extend(Some(value).filter(|value| !value.is_nan()));
                    }
                }
                Ok(None) => eprintln!("{}: not installed", name(cell)),
                Err(error) => eprintln!("{}: {error:#}", name(cell)),
            }
        }
    }
    all
}

/// The row of a contender: its name and its values, each with so many digits.
fn row(name: String, samples: &[Samples], digits: &[usize]) -> Vec<String> {
    let cells = digits
        .iter()
        .enumerate()
        .map(|(i, digits)| samples.get(i).map_or("–".to_owned(), |samples| samples.show(*digits)));
    std::iter::once(name).chain(cells).collect()
}

/// The median of one value of one contender.
fn median(cells: &[Contender], samples: &[Vec<Samples>], wanted: Contender, value: usize) -> Option<f64> {
    let index = cells.iter().position(|cell| *cell == wanted)?;
    samples[index].get(value)?.median()
}

/// How two medians relate, and what the relation must be.
fn ratio(findings: &mut Vec<String>, what: &str, a: Option<f64>, b: Option<f64>, at_most: bool, bound: f64) {
    if let (Some(a), Some(b)) = (a, b)
        && b > 0.0
    {
        let ratio = a / b;
        let kept = if at_most { ratio <= bound } else { ratio >= bound };
        let sign = if at_most { '≤' } else { '≥' };
        let verdict = if kept { "reached" } else { "not reached" };
        findings.push(format!("{what}: {ratio:.2} (wanted {sign} {bound}: {verdict})"));
    }
}

const MYNAH: Contender = Contender::of(Kind::Mynah, true);
const MYNAH_PLAIN: Contender = Contender::of(Kind::Mynah, false);
const NGINX: Contender = Contender::of(Kind::Nginx, true);
const NGINX_PLAIN: Contender = Contender::of(Kind::Nginx, false);
const ENVOY: Contender = Contender::of(Kind::Envoy, true);
const LIMIT: Contender = Contender::of(Kind::Limit, true);
