//! How long a request takes when the program has time for it.

use anyhow::Result;

use super::{CLIENTS, WARM_UP, contenders, in_turn, row};
use crate::contender::Contender;
use crate::report::Section;
use crate::settings::Settings;
use crate::world::{Ask, Load, Mirror, World};

pub(super) fn measure(settings: &Settings) -> Result<Section> {
    let cells = contenders(settings, true);
    let samples = in_turn(settings, &cells, Contender::name, |contender| {
        let mut world = World::new(Mirror::Healthy, false)?;
        let Some(running) = contender.start(&world, false, settings)? else {
            return Ok(None);
        };
        let measured = world.measure(
            running.address,
            running.process(),
            Ask::Small,
            Load::Open(settings.rate, CLIENTS),
            WARM_UP,
            settings.duration,
        )?;
        Ok(Some(vec![
            measured.quantile(0.5).unwrap_or(f64::NAN),
            measured.quantile(0.99).unwrap_or(f64::NAN),
            measured.quantile(0.999).unwrap_or(f64::NAN),
            measured.cpu_per_request(),
            measured.requests as f64 / measured.seconds,
        ]))
    });
    Ok(Section {
        title: "Latency".to_owned(),
        method: format!(
            "HTTP/1.1, {} requests per second over up to {CLIENTS} connections, evenly spaced, whatever the answers do; \
             latency counts from the moment at which a request was due.",
            settings.rate
        ),
        columns: ["", "p50 µs", "p99 µs", "p99.9 µs", "CPU µs/request", "requests/s"]
            .map(str::to_owned)
            .to_vec(),
        rows: cells
            .iter()
            .zip(&samples)
            .map(|(cell, samples)| row(cell.name(), samples, &[0, 0, 0, 1, 0]))
            .collect(),
        ..Section::default()
    })
}
