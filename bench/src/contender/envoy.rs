//! Envoy: one worker, no access log, default buffers and circuit breakers widened so that nothing is refused.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use super::Scene;

pub(super) fn configure(scene: &Scene<'_>, command: &mut Command) -> Result<()> {
    let file = scene.directory.join("envoy.yaml");
    fs::write(&file, config(scene))?;
    command.arg("-c").arg(file);
    command.args(["--concurrency", "1", "--log-level", "error", "--disable-hot-restart"]);
    Ok(())
}

fn config(scene: &Scene<'_>) -> String {
    let mut clusters = cluster("application", scene.application, scene.http2);
    let mut policy = String::new();
    if let Some(mirror) = scene.mirror {
        clusters += &cluster("test", mirror, scene.http2);
        policy = ", request_mirror_policies: [{ cluster: test }]".to_owned();
    }
    let codec = if scene.http2 { "HTTP2" } else { "HTTP1" };
    format!(
        "static_resources:
  listeners:
  - address: {}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          codec_type: {codec}
          route_config:
            virtual_hosts:
            - name: all
              domains: ['*']
              routes:
              - match: {{ prefix: / }}
                route: {{ cluster: application, timeout: 0s{policy} }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
  clusters:
{clusters}",
        address(scene.listen)
    )
}

fn cluster(name: &str, at: SocketAddr, http2: bool) -> String {
    let limits = "{ max_connections: 100000, max_pending_requests: 100000, max_requests: 100000 }";
    let protocol = if http2 {
        "
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }"
    } else {
        ""
    };
    format!(
        "  - name: {name}
    type: STATIC
    connect_timeout: 5s
    circuit_breakers: {{ thresholds: [{limits}] }}{protocol}
    load_assignment:
      cluster_name: {name}
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {} }} }}] }}]
",
        address(at)
    )
}

fn address(at: SocketAddr) -> String {
    format!(
        "{{ socket_address: {{ address: {}, port_value: {} }} }}",
        at.ip(),
        at.port()
    )
}
