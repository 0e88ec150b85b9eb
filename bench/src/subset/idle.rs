//! Memory of connections that wait.

use std::time::Duration;

use anyhow::Result;

use super::{MYNAH, contenders, in_turn, median, row};
use crate::contender::{Contender, Kind};
use crate::report::Section;
use crate::settings::Settings;
use crate::world::{Mirror, World};

const FEW: usize = 1000;
const MANY: usize = 8000;
/// Long enough for whoever frees what it needs no more.
const REST: Duration = Duration::from_millis(1500);

pub(super) fn measure(settings: &Settings) -> Result<Section> {
    let cells: Vec<Contender> = contenders(settings, false)
        .into_iter()
        .filter(|contender| contender.kind != Kind::Limit)
        .collect();
    let samples = in_turn(settings, &cells, Contender::name, |contender| {
        let mut values = Vec::new();
        for (clients, asking) in [(FEW, true), (MANY, true), (MANY, false)] {
            let mut world = World::new(Mirror::Healthy, false)?;
            let Some(running) = contender.start(&world, false, settings)? else {
                return Ok(None);
            };
            let process = running.process();
            world.rest(Duration::from_millis(300))?;
            let empty = process.rss();
            world.crowd(running.address, clients, asking)?;
            world.rest(REST)?;
            let crowded = process.rss();
            if values.is_empty() {
                values.push(empty as f64 / 1024.0);
            }
            values.push(crowded.saturating_sub(empty) as f64 / clients as f64);
            if clients == MANY && asking {
                values.push(crowded as f64 / 1024.0);
            }
        }
        Ok(Some(values))
    });
    let mut findings = Vec::new();
    for (what, value, bound) in [
        ("MiB at rest", 0, 16.0),
        ("KiB for each of 8,000 idle connections", 2, 2.0),
    ] {
        if let Some(median) = median(&cells, &samples, MYNAH, value) {
            let verdict = if median <= bound { "reached" } else { "not reached" };
            findings.push(format!("Mynah, {what}: {median:.2} (wanted ≤ {bound}: {verdict})"));
        }
    }
    Ok(Section {
        title: "Idle connections".to_owned(),
        method: "Resident memory of the program beyond what it has without clients, for each client connection that \
                 stays open: after one request each (then the connection to the application, where there is one for each \
                 client, is open as well), and without ever asking. Memory of the kernel is not counted."
            .to_owned(),
        columns: [
            "",
            "at rest MiB",
            "KiB each of 1,000",
            "KiB each of 8,000",
            "RSS with 8,000 MiB",
            "KiB each of 8,000 that never asked",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: cells
            .iter()
            .zip(&samples)
            .map(|(cell, samples)| row(cell.name(), samples, &[1, 2, 2, 1, 2]))
            .collect(),
        findings,
        ..Section::default()
    })
}
