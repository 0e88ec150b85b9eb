//! Health checks, which say nothing about what users do.

/// How the user agents of health checkers start.
const CHECKERS: [&str; 14] = [
    // The kubelet, and what Knative puts in its place.
    "kube-probe/",
    "Knative-Ingress-Probe",
    // Google: load balancers, uptime checks.
    "GoogleHC/",
    "GoogleStackdriverMonitoring-UptimeChecks",
    // Amazon: load balancers of every kind, Route 53.
    "ELB-HealthChecker/",
    "Amazon-Route53-Health-Check-Service",
    // Azure: Load Balancer, Front Door, Traffic Manager.
    "Load Balancer Agent",
    "Edge Health Probe",
    "Azure Traffic Manager Endpoint Monitor",
    // Tencent's and Alibaba's load balancers.
    "clb-healthcheck",
    "SLBHealthCheck",
    // Envoy, and with it Istio and most gateways; Consul; Prometheus.
    "Envoy/HC",
    "Consul Health Check",
    "Blackbox Exporter/",
];

/// What a gRPC health check asks for.
const GRPC_CHECK: &[u8] = b"/grpc.health.v1.Health/Check";

/// Whether a request is a health check, by its `User-Agent`. Its method must be one that a check has: a user agent is easily
/// claimed, and nothing that changes something is to be left out.
pub fn is_probe(method: &[u8], path: &[u8], user_agent: Option<&[u8]>) -> bool {
    let harmless = matches!(method, b"GET" | b"HEAD" | b"OPTIONS") || method == b"POST" && path == GRPC_CHECK;
    harmless && user_agent.is_some_and(|agent| CHECKERS.iter().any(|checker| agent.starts_with(checker.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_checkers_are_known_and_browsers_are_not() {
        for agent in [
            "kube-probe/1.34",
            "Knative-Ingress-Probe",
            "GoogleHC/1.0",
            "GoogleStackdriverMonitoring-UptimeChecks(https://cloud.google.com/monitoring)",
            "ELB-HealthChecker/2.0",
            "Amazon-Route53-Health-Check-Service (ref 5c3e; report http://amzn.to/1vsZADi)",
            "Load Balancer Agent",
            "Edge Health Probe",
            "Azure Traffic Manager Endpoint Monitor",
            "clb-healthcheck",
            "SLBHealthCheck",
            "Envoy/HC",
            "Consul Health Check",
            "Blackbox Exporter/0.25.0",
        ] {
            assert!(is_probe(b"GET", b"/", Some(agent.as_bytes())), "{agent}");
        }
        for agent in [
            "Mozilla/5.0 kube-probe/1.34",
            "kube-prober/1",
            "Prometheus/3.0",
            "curl/8",
            "",
        ] {
            assert!(!is_probe(b"GET", b"/", Some(agent.as_bytes())), "{agent}");
        }
        assert!(!is_probe(b"GET", b"/", None));
    }

    #[test]
    fn nothing_that_changes_something_is_a_health_check() {
        let kubelet = Some(b"kube-probe/1.34 grpc-go/1.72.1".as_slice());
        assert!(is_probe(b"POST", b"/grpc.health.v1.Health/Check", kubelet));
        assert!(!is_probe(b"POST", b"/grpc.health.v1.Health/Watch", kubelet));
        assert!(!is_probe(b"POST", b"/", kubelet));
        assert!(!is_probe(b"DELETE", b"/", kubelet));
    }
}
