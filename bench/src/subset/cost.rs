//! Processor time for a request, and how many there can be in a second.

use anyhow::Result;

use super::{CLIENTS, ENVOY, LIMIT, MYNAH, MYNAH_PLAIN, NGINX, NGINX_PLAIN, WARM_UP};
use super::{contenders, in_turn, median, ratio, row};
use crate::chart::Bars;
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
            Load::Closed(CLIENTS),
            WARM_UP,
            settings.duration,
        )?;
        Ok(Some(vec![
            measured.cpu_per_request(),
            measured.requests as f64 / measured.seconds,
            measured.quantile(0.5).unwrap_or(f64::NAN) / 1e3,
            measured.quantile(0.99).unwrap_or(f64::NAN) / 1e3,
            measured.peak_rss as f64 / 1024.0,
            measured.copies as f64 * 100.0 / measured.served.max(1) as f64,
            measured.errors as f64,
        ]))
    });
    let mut findings = Vec::new();
    let of = |contender, value| median(&cells, &samples, contender, value);
    ratio(
        &mut findings,
        "CPU, Mynah mirroring ÷ limit",
        of(MYNAH, 0),
        of(LIMIT, 0),
        true,
        1.15,
    );
    ratio(
        &mut findings,
        "CPU, Mynah ÷ nginx, neither mirroring",
        of(MYNAH_PLAIN, 0),
        of(NGINX_PLAIN, 0),
        true,
        1.0,
    );
    ratio(
        &mut findings,
        "rate, Mynah ÷ nginx, mirroring",
        of(MYNAH, 1),
        of(NGINX, 1),
        false,
        3.3,
    );
    ratio(
        &mut findings,
        "rate, Mynah ÷ Envoy, mirroring",
        of(MYNAH, 1),
        of(ENVOY, 1),
        false,
        2.5,
    );
    let bars = |title: &str, value| Bars {
        title: title.to_owned(),
        bars: cells.iter().map(|cell| (cell.name(), of(*cell, value))).collect(),
    };
    Ok(Section {
        title: "Cost of a request".to_owned(),
        method: format!(
            "HTTP/1.1, {CLIENTS} kept-alive connections, each asking again as soon as it is answered; every request copied \
             where it says mirroring. CPU is that of the program's process."
        ),
        columns: [
            "",
            "CPU µs/request",
            "requests/s",
            "p50 ms",
            "p99 ms",
            "peak RSS MiB",
            "copied %",
            "errors",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: cells
            .iter()
            .zip(&samples)
            .map(|(cell, samples)| row(cell.name(), samples, &[1, 0, 2, 2, 1, 0, 0]))
            .collect(),
        findings,
        bars: vec![
            bars("Processor time for a request, µs", 0),
            bars("Requests per second, one worker", 1),
        ],
    })
}
