//! Health checks, which say nothing about what users do.

/// How the user agents of health checkers start: the kubelet, Prometheus' blackbox exporter, and the load balancers of the
/// large clouds.
const CHECKERS: [&str; 8] = [
    "kube-probe/",
    "GoogleHC/",
    "ELB-HealthChecker/",
    "Amazon-Route53-Health-Check-Service",
    "Load Balancer Agent",
    "Edge Health Probe",
    "clb-healthcheck",
    "SLBHealthCheck",
];

/// Whether a request is a health check, by its method and `User-Agent`.
pub fn is_probe(method: &[u8], user_agent: Option<&[u8]>) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"OPTIONS")
        && user_agent.is_some_and(|agent| CHECKERS.iter().any(|checker| agent.starts_with(checker.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelet_is_known_and_browsers_are_not() {
        assert!(is_probe(b"GET", Some(b"kube-probe/1.34")));
        assert!(!is_probe(b"POST", Some(b"kube-probe/1.34")));
        assert!(!is_probe(b"GET", Some(b"Mozilla/5.0 kube-probe/1.34")));
        assert!(!is_probe(b"GET", None));
    }
}
