//! Which probe asks the application itself, and which goes the way that clients go.
//!
//! - Liveness and startup probes, and lifecycle hooks, ask the application on its own port: a kubelet never restarts an
//!   application because of what stands in front of it.
//! - Readiness probes by HTTP or gRPC stay on the port that the Service sends to, and so go through Mynah: a pod is ready
//!   when the whole way of a client works. Mynah does not copy the kubelet's probes unless asked to.
//! - Readiness by `tcpSocket` asks the application: Mynah accepts connections whether or not the application does.

use serde_json::Value;

use crate::refusal::Refusal;
use crate::yaml::Path;

/// The ports, once Mynah is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports {
    /// The port that the application listens on now.
    pub(crate) before: u16,
    /// The application's port then.
    pub(crate) application: u16,
    /// Mynah's port.
    pub(crate) mynah: u16,
}

/// A port in a probe that becomes another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) path: Path,
    pub(crate) port: u16,
}

/// What asks a container something.
const PROBES: [(&str, bool); 5] = [
    ("livenessProbe", false),
    ("startupProbe", false),
    ("readinessProbe", true),
    ("lifecycle/postStart", false),
    ("lifecycle/preStop", false),
];
/// How it asks, and whether the answer tells something about the application when Mynah gives it.
const HANDLERS: [(&str, bool); 3] = [("httpGet", true), ("grpc", true), ("tcpSocket", false)];

/// The ports to change in the probes of a pod whose containers stand at `path`, and what to tell people about the others.
pub(crate) fn moves(
    object: &str,
    containers: &Value,
    path: &Path,
    ports: Ports,
) -> Result<(Vec<Move>, Vec<String>), Refusal> {
    let (mut moves, mut notes) = (Vec::new(), Vec::new());
    for (index, container) in containers.as_array().into_iter().flatten().enumerate() {
        let named = |name: &str| {
            let mut list = container["ports"].as_array().into_iter().flatten();
            list.find(|port| port["name"] == name)
                .map(|port| &port["containerPort"])
        };
        for (probe, readiness) in PROBES {
            let at = |path: &Path| probe.split('/').fold(path.clone(), |path, key| path.key(key));
            let probed = probe.split('/').fold(container, |value, key| &value[key]);
            for (handler, tells) in HANDLERS {
                let port = &probed[handler]["port"];
                let name = port.as_str().filter(|text| text.parse::<u16>().is_err());
                let number = match (name, port) {
                    (Some(name), _) => named(name).and_then(Value::as_u64),
                    (None, Value::String(text)) => text.parse().ok(),
                    (None, port) => port.as_u64(),
                };
                if number != Some(u64::from(ports.before)) {
                    continue;
                }
                if probed[handler]["scheme"] == "HTTPS" {
                    return Err(Refusal::new(
                        object,
                        format!(
                            "its {probe} says that the application itself speaks TLS on port {}",
                            ports.before
                        ),
                        "Mynah needs the certificate to read requests: write its configuration by hand (listeners.tls, upstream https)",
                    ));
                }
                let port = if readiness && tells {
                    ports.mynah
                } else {
                    ports.application
                };
                // A name is of the container's own ports, which may have changed under it.
                if name.is_some() || port != ports.before {
                    let path = at(&path.index(index)).key(handler).key("port");
                    moves.push(Move { path, port });
                }
            }
            let command = probed["exec"]["command"].to_string();
            if ports.application != ports.before && command.contains(&ports.before.to_string()) {
                notes.push(format!(
                    "{probe} runs a command that names port {}: it now asks Mynah; change it to {} to ask the application",
                    ports.before, ports.application
                ));
            }
        }
    }
    Ok((moves, notes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn moved(probe: Value, ports: Ports) -> Vec<String> {
        let mut container = json!({"name": "app", "ports": [{"name": "http", "containerPort": 8080}]});
        container
            .as_object_mut()
            .unwrap()
            .extend(probe.as_object().unwrap().clone());
        let (moves, _) = moves("deployment/a", &json!([container]), &Path::keys("c"), ports).unwrap();
        moves.iter().map(|m| format!("{} {}", m.path, m.port)).collect()
    }

    const PORT: Ports = Ports {
        before: 8080,
        application: 8081,
        mynah: 8080,
    };
    const NAMED: Ports = Ports {
        before: 8080,
        application: 8080,
        mynah: 9480,
    };

    #[test]
    fn liveness_and_startup_stay_with_the_application() {
        let probes =
            json!({"livenessProbe": {"httpGet": {"port": 8080}}, "startupProbe": {"tcpSocket": {"port": "http"}}});
        assert_eq!(
            moved(probes.clone(), PORT),
            [
                "c/[0]/livenessProbe/httpGet/port 8081",
                "c/[0]/startupProbe/tcpSocket/port 8081"
            ]
        );
        assert_eq!(moved(probes, NAMED), ["c/[0]/startupProbe/tcpSocket/port 8080"]);
    }

    #[test]
    fn readiness_goes_the_way_of_clients_unless_a_mere_connection_would_say_nothing() {
        let http = json!({"readinessProbe": {"httpGet": {"port": 8080}}});
        let tcp = json!({"readinessProbe": {"tcpSocket": {"port": 8080}}});
        assert!(moved(http.clone(), PORT).is_empty());
        assert_eq!(moved(http, NAMED), ["c/[0]/readinessProbe/httpGet/port 9480"]);
        assert_eq!(moved(tcp.clone(), PORT), ["c/[0]/readinessProbe/tcpSocket/port 8081"]);
        assert!(moved(tcp, NAMED).is_empty());
    }

    #[test]
    fn probes_of_other_ports_and_commands_are_left_alone() {
        let probes =
            json!({"livenessProbe": {"httpGet": {"port": 9000}}, "readinessProbe": {"exec": {"command": ["true"]}}});
        assert!(moved(probes, PORT).is_empty());
    }

    #[test]
    fn an_application_that_speaks_tls_is_refused() {
        let container = json!([{"name": "a", "livenessProbe": {"httpGet": {"port": 8080, "scheme": "HTTPS"}}}]);
        assert!(
            moves("a", &container, &Path::keys("c"), PORT)
                .unwrap_err()
                .reason
                .contains("TLS")
        );
    }

    #[test]
    fn a_command_that_names_the_port_is_told() {
        let container = json!([{"name": "a", "livenessProbe": {"exec": {"command": ["wget", "localhost:8080"]}}}]);
        let (_, notes) = moves("a", &container, &Path::keys("c"), PORT).unwrap();
        assert!(notes[0].contains("change it to 8081"), "{notes:?}");
    }
}
