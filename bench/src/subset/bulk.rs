//! Processor time for a GiB, up and down.

use std::time::Duration;

use anyhow::Result;

use super::{MYNAH, MYNAH_PLAIN, NGINX, NGINX_PLAIN, contenders, in_turn, median, ratio, row};
use crate::contender::Contender;
use crate::report::Section;
use crate::settings::Settings;
use crate::world::{Ask, Mirror, TRANSFER, World};

/// Transfers at once.
const CLIENTS: usize = 4;
/// A GiB altogether.
const TIMES: u64 = (1 << 30) / TRANSFER;
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn measure(settings: &Settings) -> Result<Section> {
    let cells = contenders(settings, true);
    let samples = in_turn(settings, &cells, Contender::name, |contender| {
        let mut values = Vec::new();
        for ask in [Ask::Upload, Ask::Download] {
            let mut world = World::new(Mirror::Healthy, false)?;
            let Some(running) = contender.start(&world, false, settings)? else {
                return Ok(None);
            };
            let process = running.process();
            let measured = world.transfer(running.address, process, ask, CLIENTS, TIMES, PATIENCE)?;
            // Those that were under way when the last ended are paid for as well.
            let gib = measured.requests.max(1) as f64 * TRANSFER as f64 / f64::from(1 << 30);
            values.extend([
                measured.cpu.as_secs_f64() * 1e3 / gib,
                gib / measured.seconds,
                measured.peak_rss as f64 / 1024.0,
            ]);
        }
        Ok(Some(values))
    });
    let mut findings = Vec::new();
    let of = |contender, value| median(&cells, &samples, contender, value);
    for (what, a, b, value) in [
        ("upload, Mynah ÷ nginx, neither mirroring", MYNAH_PLAIN, NGINX_PLAIN, 0),
        ("upload, Mynah ÷ nginx, mirroring", MYNAH, NGINX, 0),
        (
            "download, Mynah ÷ nginx, neither mirroring",
            MYNAH_PLAIN,
            NGINX_PLAIN,
            3,
        ),
        ("download, Mynah ÷ nginx, mirroring", MYNAH, NGINX, 3),
    ] {
        ratio(
            &mut findings,
            &format!("CPU, {what}"),
            of(a, value),
            of(b, value),
            true,
            1.0,
        );
    }
    Ok(Section {
        title: "Large bodies".to_owned(),
        method: format!("{TIMES} transfers of 64 MiB over {CLIENTS} connections, each way, the mirror healthy."),
        columns: [
            "",
            "up: CPU ms/GiB",
            "up: GiB/s",
            "up: peak RSS MiB",
            "down: CPU ms/GiB",
            "down: GiB/s",
            "down: peak RSS MiB",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: cells
            .iter()
            .zip(&samples)
            .map(|(cell, samples)| row(cell.name(), samples, &[0, 2, 1, 0, 2, 1]))
            .collect(),
        findings,
        ..Section::default()
    })
}
