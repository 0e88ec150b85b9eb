//! The rules and the dashboard in `monitoring/` name metrics that the real binary exposes.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;

use mynah_testkit::binary::Mynah;

/// The words of a text that are names of metrics, without what a histogram's samples end with.
fn metrics_in(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
        .filter(|word| word.starts_with("mynah_") && !word.contains(':'))
        .map(|word| {
            let name = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| word.strip_suffix(end));
            name.unwrap_or(word).to_owned()
        })
        .collect()
}

#[tokio::test]
async fn rules_and_dashboard_name_metrics_that_are_exposed() {
    let [upstream, mirror] = ["127.0.0.1:9", "127.0.0.1:10"].map(|address| address.parse().unwrap());
    let mynah = Mynah::before(Path::new(env!("CARGO_BIN_EXE_mynah")), upstream, &[mirror])
        .await
        .unwrap();
    let page = mynah.page("/metrics").await.unwrap();
    let mut exposed = metrics_in(&page);
    // Counters of what is not configured have a description and no value.
    let described = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"));
    exposed.extend(described.map(|name| format!("{name}_total")));
    for file in ["rules.yaml", "rules-test.yaml", "grafana.json"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../monitoring")
            .join(file);
        let named = metrics_in(&std::fs::read_to_string(path).unwrap());
        assert!(named.len() > 3, "{file} names {named:?}");
        let unknown: Vec<_> = named.difference(&exposed).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}, which are not exposed");
    }
}
