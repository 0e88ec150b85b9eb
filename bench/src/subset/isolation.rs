//! What production notices of a mirror that is ill.

use anyhow::Result;

use super::{CLIENTS, WARM_UP, contenders, in_turn, row};
use crate::chart::Bars;
use crate::contender::{Contender, Kind};
use crate::report::Section;
use crate::settings::Settings;
use crate::world::{Ask, Load, Mirror, World};

pub(super) fn measure(settings: &Settings) -> Result<Section> {
    let contenders: Vec<Contender> = contenders(settings, false)
        .into_iter()
        .filter(|contender| contender.kind != Kind::Limit)
        .collect();
    let cells: Vec<(Contender, Mirror)> = Mirror::ALL
        .into_iter()
        .flat_map(|mirror| contenders.iter().map(move |contender| (*contender, mirror)))
        .collect();
    let name =
        |(contender, mirror): (Contender, Mirror)| format!("{}, mirror {}", contender.kind.name(), mirror.name());
    let samples = in_turn(settings, &cells, name, |(contender, mirror)| {
        let mut world = World::new(mirror, false)?;
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
            measured.requests as f64 / measured.seconds,
            measured.quantile(0.99).unwrap_or(f64::NAN) / 1e3,
            measured.cpu_per_request(),
            measured.peak_rss as f64 / 1024.0,
            measured.errors as f64,
        ]))
    });
    let mut findings = Vec::new();
    let of = |kind: Kind, mirror: Mirror, value: usize| {
        let index = cells.iter().position(|(c, m)| c.kind == kind && *m == mirror)?;
        samples[index].get(value)?.median()
    };
    for mirror in &Mirror::ALL[1..] {
        if let (Some(ill), Some(well), Some(cpu), Some(healthy_cpu)) = (
            of(Kind::Mynah, *mirror, 0),
            of(Kind::Mynah, Mirror::Healthy, 0),
            of(Kind::Mynah, *mirror, 2),
            of(Kind::Mynah, Mirror::Healthy, 2),
        ) {
            findings.push(format!(
                "Mynah, mirror {}: {:.2} × the healthy rate at {:.2} × its CPU",
                mirror.name(),
                ill / well,
                cpu / healthy_cpu
            ));
        }
    }
    let bars = contenders
        .iter()
        .flat_map(|contender| {
            Mirror::ALL.map(|mirror| {
                let label = format!("{}, mirror {}", contender.kind.name(), mirror.name());
                (label, of(contender.kind, mirror, 0))
            })
        })
        .collect();
    Ok(Section {
        title: "Isolation".to_owned(),
        method: format!(
            "HTTP/1.1, {CLIENTS} kept-alive connections asking as fast as they are answered, every request copied to a \
             mirror that is as the row says."
        ),
        columns: ["", "requests/s", "p99 ms", "CPU µs/request", "peak RSS MiB", "errors"]
            .map(str::to_owned)
            .to_vec(),
        rows: cells
            .iter()
            .zip(&samples)
            .map(|(cell, samples)| row(name(*cell), samples, &[0, 2, 1, 1, 0]))
            .collect(),
        findings,
        bars: vec![Bars {
            title: "Production requests per second while the mirror is ill".to_owned(),
            bars,
        }],
    })
}
