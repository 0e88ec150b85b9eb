//! Traefik: one thread of Go code at a time, no access log, its mirroring service.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::Scene;

pub(super) fn configure(scene: &Scene<'_>, command: &mut Command) -> Result<()> {
    let scheme = if scene.http2 { "h2c" } else { "http" };
    let server = |address| format!("{{ loadBalancer: {{ servers: [{{ url: '{scheme}://{address}' }}] }} }}");
    let mut services = format!("    application: {}\n", server(scene.application));
    let mut service = "application";
    if let Some(mirror) = scene.mirror {
        service = "mirrored";
        services += &format!(
            "    test: {}\n    mirrored: {{ mirroring: {{ service: application, mirrors: [{{ name: test, percent: 100 }}] }} }}\n",
            server(mirror)
        );
    }
    let routes = scene.directory.join("traefik-routes.yaml");
    fs::write(
        &routes,
        format!(
            "http:\n  routers:\n    all: {{ rule: 'PathPrefix(`/`)', service: {service} }}\n  services:\n{services}"
        ),
    )?;
    let file = scene.directory.join("traefik.yaml");
    fs::write(
        &file,
        format!(
            "global: {{ checkNewVersion: false, sendAnonymousUsage: false }}
log: {{ level: ERROR }}
entryPoints:
  in: {{ address: '{}', transport: {{ respondingTimeouts: {{ readTimeout: 0s }} }} }}
serversTransport: {{ maxIdleConnsPerHost: 512 }}
providers: {{ file: {{ filename: '{}' }} }}\n",
            scene.listen,
            fs::canonicalize(routes)?.display()
        ),
    )?;
    command.arg(format!("--configFile={}", file.display()));
    command.env("GOMAXPROCS", "1");
    Ok(())
}
