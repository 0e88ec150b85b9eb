//! HTTP/2 on all three sides.

use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::{ENVOY, MYNAH, NGINX, WARM_UP, contenders, in_turn, median, ratio, row};
use crate::chart::Bars;
use crate::contender::{Contender, Kind};
use crate::machine;
use crate::report::Section;
use crate::settings::Settings;
use crate::world::{Ask, Load, Mirror, World};

const CONNECTIONS: &str = "8";
const STREAMS: &str = "16";

pub(super) fn measure(settings: &Settings) -> Result<Section> {
    let cells: Vec<Contender> = contenders(settings, true)
        .into_iter()
        .filter(|contender| matches!(contender.kind, Kind::Nginx | Kind::Envoy | Kind::Mynah))
        .collect();
    let samples = in_turn(settings, &cells, Contender::name, |contender| {
        let mut world = World::new(Mirror::Healthy, true)?;
        let Some(running) = contender.start(&world, true, settings)? else {
            return Ok(None);
        };
        let seconds = (WARM_UP + settings.duration).as_secs() + 2;
        let load = machine::on_worlds_core("h2load")
            .args(["-D", &seconds.to_string(), "-c", CONNECTIONS, "-m", STREAMS])
            .args([
                "-H",
                "authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMDQ0MiJ9.3q2-7wAAAAB9Jf0dY5n3m1vXw0",
            ])
            .args(["-H", "x-request-id: 3c2f1c9e-9a57-4e0f-8d3f-0b9b2b1f7a51"])
            .arg(format!(
                "http://{}/api/v1/items/10442?fields=name,tags",
                running.address
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("h2load (Debian: nghttp2-client)")?;
        let _load = Ended(load);
        let measured = world.measure(
            running.address,
            running.process(),
            Ask::Small,
            Load::Elsewhere,
            WARM_UP + Duration::from_millis(300),
            settings.duration,
        )?;
        Ok(Some(vec![
            measured.cpu_per_request(),
            measured.served as f64 / measured.seconds,
            measured.peak_rss as f64 / 1024.0,
            measured.copies as f64 * 100.0 / measured.served.max(1) as f64,
        ]))
    });
    let mut findings = Vec::new();
    let of = |contender, value| median(&cells, &samples, contender, value);
    ratio(
        &mut findings,
        "CPU, Mynah ÷ Envoy, mirroring",
        of(MYNAH, 0),
        of(ENVOY, 0),
        true,
        0.5,
    );
    ratio(
        &mut findings,
        "rate, Mynah ÷ Envoy, mirroring",
        of(MYNAH, 1),
        of(ENVOY, 1),
        false,
        1.5,
    );
    ratio(
        &mut findings,
        "rate, Mynah ÷ nginx, mirroring",
        of(MYNAH, 1),
        of(NGINX, 1),
        false,
        4.0,
    );
    let bars = |title: &str, value| Bars {
        title: title.to_owned(),
        bars: cells.iter().map(|cell| (cell.name(), of(*cell, value))).collect(),
    };
    Ok(Section {
        title: "HTTP/2".to_owned(),
        method: format!(
            "Cleartext HTTP/2 from h2load, to the application and to the mirror; {CONNECTIONS} connections with {STREAMS} \
             streams each at once. Requests are counted where they arrive, at the application."
        ),
        columns: ["", "CPU µs/request", "requests/s", "peak RSS MiB", "copied %"]
            .map(str::to_owned)
            .to_vec(),
        rows: cells
            .iter()
            .zip(&samples)
            .map(|(cell, samples)| row(cell.name(), samples, &[1, 0, 1, 0]))
            .collect(),
        findings,
        bars: vec![bars("HTTP/2: processor time for a request, µs", 0)],
    })
}

/// Ended when dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
