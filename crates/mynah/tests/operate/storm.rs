//! Configurations come faster than they can be told apart.

use std::fs;

use mynah_testkit::application::Application;
use mynah_testkit::binary::Mynah;
use mynah_testkit::caller::Load;
use mynah_testkit::ill::{Behaviour, ill_mirror};

use crate::harness::{Operated, before, mirrored, reloads};

/// Reloads before the first look at what is in use, and after it.
const ROUNDS: [usize; 2] = [20, 100];
/// Descriptors and threads that may come and go; far fewer than there are reloads.
const FEW: usize = 4;
/// Memory that may come and go with the allocator's moods.
const MEMORY: u64 = 8 << 20;

#[tokio::test]
async fn a_storm_of_reloads_leaks_nothing_and_fails_no_request() {
    let app = Application::start().await;
    let well = Application::start().await;
    let ill = ill_mirror(Behaviour::NeverAnswers).await;
    let ill = ill.url().trim_start_matches("http://").parse().unwrap();
    let mut operated = Operated::start(&before(app.address())).await;
    let load = Load::start(operated.mynah.address(), 4, 2);
    let mut use_before = None;
    let (mut valid, mut invalid) = (0, 0);
    for rounds in ROUNDS {
        for round in 0..rounds {
            match round % 5 {
                0 => {
                    let config = before(app.address()).replace("127.0.0.1:0", "127.0.0.1:0, 127.0.0.1:0");
                    operated.change(&config).await;
                }
                1 => {
                    let mirrors = [("well", well.address(), ""), ("ill", ill, ", timeout: 1s")];
                    operated.change(&mirrored(app.address(), &mirrors)).await;
                    load.until_answered(5).await;
                }
                2 => {
                    operated.refuse(&format!("listeners: [{round}]\n")).await;
                    invalid += 1;
                    continue;
                }
                3 => {
                    // The same mirrors, each with something new.
                    let mirrors = [("well", well.address(), ", ratio: 20%"), ("ill", ill, ", timeout: 2s")];
                    operated.change(&mirrored(app.address(), &mirrors)).await;
                    load.until_answered(5).await;
                }
                _ => {
                    operated.change(&before(app.address())).await;
                }
            }
            valid += 1;
        }
        let now = InUse::of(&operated.mynah).await;
        let Some(before) = use_before.replace(now.clone()) else {
            continue;
        };
        // The runtime keeps a few threads for reading files, and lets them go when they are idle.
        assert!(
            now.descriptors <= before.descriptors + FEW && now.threads <= before.threads + FEW,
            "{before:?} became {now:?}"
        );
        assert!(now.memory <= before.memory + MEMORY, "{before:?} became {now:?}");
    }
    load.stop().await;
    let metrics = operated.mynah.metrics().await.unwrap();
    assert_eq!(
        (reloads(&metrics, "success"), reloads(&metrics, "failure")),
        (valid, invalid),
        "{metrics}"
    );
    assert_eq!(metrics.all_errors(), 0, "{metrics}");
    assert_eq!(
        metrics.sum("mynah_copies_started_total", &[]),
        metrics.sum("mynah_copies_total", &[]),
        "{metrics}"
    );
}

/// What the process uses.
#[derive(Debug, Clone)]
struct InUse {
    descriptors: usize,
    threads: usize,
    memory: u64,
}

impl InUse {
    /// Once no copy is under way and no connection to a mirror is left.
    async fn of(mynah: &Mynah) -> Self {
        let quiet = mynah
            .until("without mirrors", |metrics| {
                metrics.sum("mynah_mirror_connections", &[]) + metrics.sum("mynah_copies_in_flight", &[]) == 0
            })
            .await;
        quiet.unwrap();
        let process = format!("/proc/{}", mynah.pid().expect("it runs"));
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let value = |key: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        Self {
            descriptors: fs::read_dir(format!("{process}/fd")).unwrap().count(),
            threads: value("Threads:") as usize,
            memory: value("VmRSS:") * 1024,
        }
    }
}
