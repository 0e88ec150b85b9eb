//! The rules and the dashboard in `monitoring/` name metrics that the real binary exposes, and `docs/metrics.md` all of them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
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

/// A family of metrics: its type, and its labels but for the bounds of a histogram.
type Families = BTreeMap<String, (String, BTreeSet<String>)>;

fn exposed_families(page: &str) -> Families {
    let mut families = Families::new();
    for line in page.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            families.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        } else if let Some((sample, rest)) = line.split_once('{') {
            let family = families
                .iter_mut()
                .filter(|(name, _)| sample.starts_with(name.as_str()))
                .max_by_key(|(name, _)| name.len());
            let labels = rest.split('}').next().unwrap().split(',');
            let labels = labels.filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
            family.unwrap().1.1.extend(labels.filter(|label| label != "le"));
        }
    }
    // As they are asked for: counters end with what they count up to.
    let named = |(name, (kind, labels)): (String, (String, _))| {
        let end = if kind == "counter" { "_total" } else { "" };
        (format!("{name}{end}"), (kind, labels))
    };
    families.into_iter().map(named).collect()
}

/// The rows of the page's tables: name, type, labels, meaning, stability.
fn documented_families(page: &str) -> Families {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `mynah_"));
    rows.map(|row| {
        let mut cells = row.split('|').map(str::trim);
        let name = format!("mynah_{}", cells.next().unwrap().trim_end_matches('`'));
        let kind = cells.next().unwrap().to_owned();
        let labels = cells.next().unwrap().split('`').filter(|word| {
            let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
            !word.is_empty() && word.chars().all(is_name)
        });
        (name, (kind, labels.map(str::to_owned).collect()))
    })
    .collect()
}

#[tokio::test]
async fn every_metric_is_described_and_every_description_is_of_a_metric() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mynah.yaml");
    let log = directory.path().join("access.log");
    let config = format!(
        "listeners: [127.0.0.1:0]\nupstream: http://127.0.0.1:9\nmirrors: {{test: http://127.0.0.1:10}}\n\
         admin: 127.0.0.1:0\nworkers: 1\naccess_log: {}\n",
        log.display()
    );
    std::fs::write(&file, config).unwrap();
    let args = ["--config".to_owned(), file.to_str().unwrap().to_owned()];
    let mynah = Mynah::run(Path::new(env!("CARGO_BIN_EXE_mynah")), &args).await.unwrap();
    let exposed = exposed_families(&mynah.page("/metrics").await.unwrap());
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let documented = documented_families(&std::fs::read_to_string(page).unwrap());
    assert!(exposed.len() > 20, "{exposed:?}");
    assert_eq!(
        documented, exposed,
        "docs/metrics.md (left) is not what /metrics exposes (right)"
    );
}
