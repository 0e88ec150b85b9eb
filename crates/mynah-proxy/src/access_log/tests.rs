use std::borrow::Cow;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

use mynah_config::model::Config;
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::*;
use crate::worker::Peer;

const PATIENCE: Duration = Duration::from_secs(30);

struct Asked(Peer, Vec<u8>);

impl Asked {
    fn for_path(path: &str) -> Self {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let peer = Peer {
            client: address("[::ffff:192.0.2.1]:4711"),
            local: address("[2001:db8::1]:80"),
        };
        Self(peer, path.as_bytes().to_vec())
    }
}

impl Subject for Asked {
    fn peer(&self) -> &Peer {
        &self.0
    }
    fn method(&self) -> &[u8] {
        b"GET"
    }
    fn path_and_query(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.1)
    }
    fn target(&self) -> Cow<'_, [u8]> {
        self.path_and_query()
    }
    fn protocol(&self) -> &'static str {
        "HTTP/1.1"
    }
    fn host(&self) -> Option<&[u8]> {
        None
    }
    fn header(&self, _name: &str, _each: &mut dyn FnMut(&[u8])) {}
    fn generated_id(&self) -> Option<&GeneratedId> {
        None
    }
}

/// A configuration whose access log is in this folder.
fn config(folder: &Path, log: &str) -> Config {
    let text = format!("listeners: [':1']\nupstream: http://127.0.0.1:2\naccess_log: {log}\n");
    mynah_config::parse(&text, &folder.join("mynah.yaml")).unwrap()
}

/// What stands in the log `a` after a worker has done this.
async fn logged(log: &str, act: impl FnOnce(&Rc<WorkerLog>)) -> (String, LogTotals) {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), log);
    let logs = AccessLogs::default();
    let plan = logs.open(config.access_log.as_ref().unwrap(), None, &config).unwrap();
    let local = LocalSet::new();
    local
        .run_until(async {
            let log = WorkerLog::new(&plan);
            act(&log);
        })
        .await;
    drop(local);
    logs.finish(PATIENCE);
    let text = fs::read_to_string(folder.path().join("a")).unwrap();
    (text, logs.totals().remove(0))
}

#[tokio::test]
async fn a_draft_makes_exactly_one_line_however_it_ends() {
    let format = "{path: a, format: '{path} {status} {request_bytes} {response_bytes} {reason}'}";
    let (text, totals) = logged(format, |log| {
        let begin = |path: &str| log.begin(&Asked::for_path(path), None, Instant::now());
        let mut line = begin("/ended");
        line.answered(200);
        line.sent(1);
        line.received(2);
        line.received(3);
        line.end(Duration::ZERO);
        drop(begin("/dropped"));
        let mut line = begin("/client");
        line.client_gone();
        line.reason("later");
        line.end_now();
        let line = begin("/panic");
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _line = line;
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err());
        let mut line = begin("/refused");
        line.answered(200);
        line.refused(502);
        line.end_now();
        log.refused(&Asked::for_path("").0, 400, "bad_request");
    })
    .await;
    assert_eq!(
        text,
        "/ended 200 1 5 -\n/dropped 000 0 0 shutdown\n/client 499 0 0 aborted\n/panic 000 0 0 panic\n/refused 200 0 0 -\n\
         - 400 0 0 bad_request\n"
    );
    assert_eq!((totals.lines, totals.dropped, totals.mirror), (6, 0, None));
}

#[tokio::test]
async fn addresses_are_told_as_people_write_them() {
    let (text, _) = logged(
        "{path: a, format: '{client} {client_port} {listener} {route}'}",
        |log| {
            drop(log.begin(&Asked::for_path("/"), Some(3), Instant::now()));
        },
    )
    .await;
    assert_eq!(text, "192.0.2.1 4711 [2001:db8::1]:80 3\n");
}

#[tokio::test]
async fn what_a_line_was_made_of_is_not_seen_in_the_next() {
    let (text, _) = logged("{path: a, format: '{path} {status} {upstream_time} {reason}'}", |log| {
        let mut line = log.begin(&Asked::for_path("/long/path"), None, Instant::now());
        line.answered_after(Some(500), Some(Duration::from_micros(1_000_002)));
        line.reason("closed");
        line.end(Duration::ZERO);
        log.begin(&Asked::for_path("/"), None, Instant::now())
            .end(Duration::ZERO);
    })
    .await;
    assert_eq!(text, "/long/path 500 1.000002 closed\n/ 000 - -\n");
}

#[tokio::test]
async fn lines_past_the_bound_are_dropped_whole_and_all_are_accounted_for() {
    const LINES: u64 = 5000;
    // Every batch is larger than half of the bound, so that no two can wait.
    let (text, totals) = logged("{path: a, format: '{path}', buffer: 64KiB}", |log| {
        for n in 0..LINES {
            let path = format!("/{n}/{}", "x".repeat(1000));
            log.begin(&Asked::for_path(&path), None, Instant::now())
                .end(Duration::ZERO);
        }
        let path = format!("/{}", "y".repeat(escape::LONGEST));
        log.begin(&Asked::for_path(&path), None, Instant::now())
            .end(Duration::ZERO);
    })
    .await;
    assert_eq!(totals.lines + totals.dropped, LINES + 1);
    assert_eq!(text.lines().count() as u64, totals.lines);
    let whole =
        |line: &str| line.ends_with(&"x".repeat(1000)) || line.len() == escape::LONGEST && line.ends_with("yyy");
    assert!(text.lines().all(whole));
}

#[tokio::test]
async fn a_configuration_that_is_taken_up_again_goes_on_with_the_same_thread_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let logs = AccessLogs::default();
    let open = |log: &str| {
        let config = config(folder.path(), log);
        logs.open(config.access_log.as_ref().unwrap(), None, &config).unwrap()
    };
    let before = open("{path: a, format: '{path}'}");
    let after = open("{path: a, format: combined}");
    assert!(Arc::ptr_eq(&before.sink, &after.sink) && Arc::ptr_eq(&before.stats, &after.stats));
    let elsewhere = open("{path: b}");
    assert!(!Arc::ptr_eq(&after.sink, &elsewhere.sink));
    drop((before, after, elsewhere));
    drop(open("{path: c}"));
    assert_eq!(
        logs.0.lock().unwrap().sinks.len(),
        1,
        "what nobody has any more has ended"
    );
}
