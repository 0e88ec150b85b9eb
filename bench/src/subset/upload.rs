//! A large upload while the mirror reads nothing.

use std::time::Duration;

use anyhow::Result;

use super::{MYNAH, MYNAH_PLAIN, contenders, in_turn, median, ratio, row};
use crate::contender::{Contender, Kind};
use crate::report::Section;
use crate::settings::Settings;
use crate::world::{Ask, Mirror, World};

/// Long enough for whoever gets there at all.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn measure(settings: &Settings) -> Result<Section> {
    let cells: Vec<Contender> = contenders(settings, true)
        .into_iter()
        .filter(|contender| contender.kind != Kind::Limit)
        .collect();
    let samples = in_turn(settings, &cells, Contender::name, |contender| {
        let mut world = World::new(Mirror::NeverReads, false)?;
        let Some(running) = contender.start(&world, false, settings)? else {
            return Ok(None);
        };
        let before = running.process().rss();
        let measured = world.transfer(running.address, running.process(), Ask::Upload, 1, 1, PATIENCE)?;
        let took = if measured.requests == 1 {
            measured.seconds * 1e3
        } else {
            f64::INFINITY
        };
        Ok(Some(vec![
            took,
            measured.cpu.as_secs_f64() * 1e3,
            measured.peak_rss.saturating_sub(before) as f64 / 1024.0,
            measured.peak_rss as f64 / 1024.0,
        ]))
    });
    let mut findings = Vec::new();
    let of = |contender| median(&cells, &samples, contender, 0);
    ratio(
        &mut findings,
        "time, Mynah mirroring ÷ not mirroring",
        of(MYNAH),
        of(MYNAH_PLAIN),
        true,
        1.1,
    );
    Ok(Section {
        title: "An upload of 64 MiB while the mirror reads nothing".to_owned(),
        method: format!(
            "One connection; `inf` where it had not ended after {} s.",
            PATIENCE.as_secs()
        ),
        columns: ["", "ms", "CPU ms", "RSS growth MiB", "peak RSS MiB"]
            .map(str::to_owned)
            .to_vec(),
        rows: cells
            .iter()
            .zip(&samples)
            .map(|(cell, samples)| row(cell.name(), samples, &[0, 0, 1, 1]))
            .collect(),
        findings,
        ..Section::default()
    })
}
