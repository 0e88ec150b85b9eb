//! What is seen of the demo: a table that redraws in place on a terminal, plain lines everywhere else.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::time::Duration;

use mynah_core::{BreakerState, Ratio};
use mynah_proxy::Totals;

use super::scene::{Scene, Scenes};
use super::tally::Tally;
use crate::output;

/// From here to the end of the screen.
const CLEAR_BELOW: &str = "\x1b[J";
/// Long lines are cut at the edge instead of wrapped, so that the number of lines stays known.
const NO_WRAP: &str = "\x1b[?7l\x1b[?25l";
const WRAP: &str = "\x1b[?7h\x1b[?25h";
/// Every line fits into 80 columns.
const HEADING: &str = "                    what production did            what became of the copies\n  \
                       test application  asked errors      p50      p99   made deliv. failed   shed\n";

/// Where everything is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    /// Mynah.
    pub(crate) proxy: SocketAddr,
    /// The production application.
    pub(crate) production: SocketAddr,
    /// The test application.
    pub(crate) test: SocketAddr,
    /// Mynah's admin side.
    pub(crate) admin: SocketAddr,
}

/// The terminal, or what stands in for one.
pub(crate) struct Screen {
    redraws: bool,
    /// Lines of the last drawing.
    drawn: usize,
}

impl Screen {
    /// Says what is about to be seen.
    pub(crate) fn open(addresses: Addresses, ratio: Ratio) -> io::Result<Self> {
        let redraws = io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let Addresses {
            proxy,
            production,
            test,
            admin,
        } = addresses;
        let mut text = format!(
            "\n  client ──▶ mynah ──▶ production application   http://{production}\n\
             \x20               ╚═════▶ {:<25}http://{test}\n\n\
             \x20 Try meanwhile:   curl http://{proxy}/hello\n\
             \x20                  curl http://{admin}/metrics\n\n",
            format!("test application ({ratio})"),
        );
        if redraws {
            text.push_str(NO_WRAP);
        } else {
            text.push_str(HEADING);
        }
        output::print(&text)?;
        Ok(Self { redraws, drawn: 0 })
    }

    /// Draws what has happened so far.
    pub(crate) fn draw(&mut self, scenes: &Scenes, totals: &Totals, received: u64, left: Duration) -> io::Result<()> {
        if !self.redraws {
            return Ok(());
        }
        let seconds = left.as_secs_f64().ceil();
        let mut text = frame(scenes, Some(scenes.current()), totals, received);
        let _ = writeln!(text, "\n  next scene in {seconds:.0} s, Ctrl-C ends");
        self.replace(&text)
    }

    /// Says how a scene went, where the table is not redrawn.
    pub(crate) fn scene_ended(&mut self, scenes: &Scenes) -> io::Result<()> {
        if self.redraws {
            return Ok(());
        }
        let ended = scenes.all().find(|(scene, _)| *scene == scenes.current());
        let (scene, tally) = ended.expect("the current scene is one of all");
        output::print(&row(" ", scene.title(), tally))
    }

    /// Says how it ended.
    pub(crate) fn close(&mut self, scenes: &Scenes, totals: &Totals, received: u64) -> io::Result<()> {
        let total = scenes.total();
        if self.redraws {
            let mut text = frame(scenes, None, totals, received);
            let _ = writeln!(text, "\n{}{WRAP}", summary(&total, totals));
            self.replace(&text)
        } else {
            let all = row(" ", "all scenes", &total);
            output::print(&format!("{all}\n{}\n", summary(&total, totals)))
        }
    }

    fn replace(&mut self, text: &str) -> io::Result<()> {
        let up = match self.drawn {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r"),
        };
        self.drawn = text.matches('\n').count();
        output::print(&format!("{up}{CLEAR_BELOW}{text}"))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.redraws {
            // Nothing is left to be done about a terminal that is gone.
            let _ = output::print(WRAP);
        }
    }
}

fn frame(scenes: &Scenes, current: Option<Scene>, totals: &Totals, received: u64) -> String {
    let mut text = HEADING.to_owned();
    for (scene, tally) in scenes.all() {
        let mark = if current == Some(scene) { "▶" } else { " " };
        text.push_str(&row(mark, scene.title(), tally));
    }
    let total = scenes.total();
    text.push_str(&row(" ", "all scenes", &total));
    for kind in ["failed", "shed"] {
        let _ = writeln!(
            text,
            "{}{}",
            if kind == "failed" { "\n" } else { "" },
            reasons(kind, &total)
        );
    }
    if let Some(mirror) = totals.mirrors.first() {
        let breaker = match mirror.breaker {
            BreakerState::Closed => "closed: copies are sent",
            BreakerState::Open => "open: the test application is left alone",
            BreakerState::HalfOpen => "half open: one copy tries",
        };
        let _ = writeln!(text, "  breaker  {breaker}");
        let _ = writeln!(
            text,
            "  in flight {}, bytes held {}, received by the test application {received}",
            mirror.in_flight, totals.held_bytes
        );
    }
    text
}

fn row(mark: &str, title: &str, tally: &Tally) -> String {
    format!(
        "{mark} {title:<16} {:>6} {:>6} {:>8} {:>8} {:>6} {:>6} {:>6} {:>6}\n",
        tally.asked,
        tally.errors,
        milliseconds(tally.latencies.quantile(0.5)),
        milliseconds(tally.latencies.quantile(0.99)),
        tally.copies,
        tally.ended("delivered"),
        tally.ended("failed"),
        tally.ended("shed"),
    )
}

fn milliseconds(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{:.1} ms", time.as_secs_f64() * 1e3))
}

fn reasons(kind: &str, tally: &Tally) -> String {
    let listed: Vec<_> = tally
        .reasons(kind)
        .iter()
        .map(|(reason, n)| format!("{reason} {n}"))
        .collect();
    let listed = if listed.is_empty() {
        "none".to_owned()
    } else {
        listed.join(", ")
    };
    format!("  {kind:<8} {listed}")
}

/// The accounts, as sums that anybody can check.
fn summary(total: &Tally, totals: &Totals) -> String {
    let (delivered, failed, shed) = (total.ended("delivered"), total.ended("failed"), total.ended("shed"));
    let ratio = totals.mirrors.first().map_or(Ratio::ZERO, |mirror| mirror.ratio);
    format!(
        "  {} matched at {ratio}: {} copies = {delivered} delivered + {failed} failed + {shed} shed\n  \
         production: {} requests, {} errors",
        total.matched, total.copies, total.asked, total.errors
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_into_eighty_columns() {
        let row = row(" ", "test application", &Tally::default());
        for line in HEADING.lines().chain(row.lines()) {
            assert!(line.chars().count() < 80, "{line}");
        }
        let columns = |line: &str| line.trim_end().chars().count();
        assert_eq!(columns(&row), HEADING.lines().last().map_or(0, columns));
    }
}
