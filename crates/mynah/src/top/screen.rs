//! What `mynah top` draws: production above, the mirrors as a table, and below it what became of the copies to one of them.

use std::collections::{BTreeMap, VecDeque};

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Sparkline, Table, TableState};

use super::rates::{MirrorRates, ProductionRates, Rates, sum};
use super::reading::{Mirror, Reading};

/// Values that a sparkline shows at most.
const KEPT: usize = 300;
const KEYS: &str = " ↑ ↓ mirror   + - ratio   p pause   P pause all   q quit";

/// Everything that is drawn.
#[derive(Default)]
pub(super) struct Screen {
    /// Where the process is that is looked at.
    place: String,
    pub(super) reading: Option<Reading>,
    rates: Option<Rates>,
    /// What went wrong last, or was done.
    pub(super) message: String,
    selected: usize,
    requests: VecDeque<u64>,
    copies: BTreeMap<String, VecDeque<u64>>,
}

impl Screen {
    /// Of the process at this place.
    pub(super) fn of(place: String) -> Self {
        Self {
            place,
            ..Self::default()
        }
    }

    /// Takes a reading, and what has happened since the one before.
    pub(super) fn take(&mut self, reading: Reading, rates: Option<Rates>) {
        if let Some(rates) = &rates {
            remember(&mut self.requests, rates.production.requests);
            for (name, mirror) in &rates.mirrors {
                remember(self.copies.entry(name.clone()).or_default(), mirror.copies);
            }
        }
        self.copies
            .retain(|name, _| reading.mirrors.iter().any(|mirror| mirror.name == *name));
        self.selected = self.selected.min(reading.mirrors.len().saturating_sub(1));
        self.reading = Some(reading);
        self.rates = rates;
    }

    /// The mirror that keys act on.
    pub(super) fn mirror(&self) -> Option<&Mirror> {
        self.reading.as_ref()?.mirrors.get(self.selected)
    }

    /// Selects the next mirror, or the one before.
    pub(super) fn select(&mut self, down: bool) {
        let last = self
            .reading
            .as_ref()
            .map_or(0, |reading| reading.mirrors.len())
            .saturating_sub(1);
        self.selected = if down {
            (self.selected + 1).min(last)
        } else {
            self.selected.saturating_sub(1)
        };
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let mirrors = self.reading.as_ref().map_or(0, |reading| reading.mirrors.len()) as u16;
        let [title, production, table, detail, message, keys] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(6),
            Constraint::Length(mirrors.clamp(1, 10) + 3),
            Constraint::Min(4),
            Constraint::Length(1),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(self.title(), title);
        if let Some(reading) = &self.reading {
            self.draw_production(frame, production, reading);
            self.draw_mirrors(frame, table, reading);
            if let Some(mirror) = self.mirror() {
                self.draw_mirror(frame, detail, mirror);
            }
        }
        frame.render_widget(Line::from(format!(" {}", self.message)).yellow(), message);
        frame.render_widget(Line::from(KEYS).dim(), keys);
    }

    fn title(&self) -> Line<'_> {
        let Some(reading) = &self.reading else {
            return Line::from(format!(" mynah at {}", self.place));
        };
        let mut spans = vec![
            Span::from(format!(" mynah {} at {}", reading.version, self.place)).bold(),
            Span::from(format!("   configuration {}", reading.generation)),
        ];
        if reading.draining {
            spans.push("   draining".yellow().bold());
        }
        Line::from(spans)
    }

    fn draw_production(&self, frame: &mut Frame<'_>, area: Rect, reading: &Reading) {
        let block = Block::bordered().title(" production ");
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let [text, chart] = Layout::horizontal([Constraint::Min(46), Constraint::Fill(1)]).areas(inner);
        let none = ProductionRates::default();
        let rates = self.rates.as_ref().map_or(&none, |rates| &rates.production);
        let errors = sum(&rates.errors);
        let style = if errors > 0.0 {
            Style::new().fg(Color::Red).bold()
        } else {
            Style::new()
        };
        let lines = vec![
            Line::from(vec![
                Span::from(format!(" {:>9} requests/s   ", number(rates.requests))).bold(),
                Span::styled(format!("{} errors/s", number(errors)), style),
            ]),
            Line::from(format!(" p50 {}   p99 {}", time(rates.p50), time(rates.p99))),
            Line::from(format!(" {}", listed(&rates.responses))),
            Line::styled(
                match rates.errors.is_empty() {
                    true => format!(
                        " {} connections, {} bytes held for copies",
                        reading.production.connections, reading.production.held_bytes
                    ),
                    false => format!(" {}", listed(&rates.errors)),
                },
                style,
            ),
        ];
        frame.render_widget(Paragraph::new(lines), text);
        draw_history(frame, chart, &self.requests, Color::Blue);
    }

    fn draw_mirrors(&self, frame: &mut Frame<'_>, area: Rect, reading: &Reading) {
        let block = Block::bordered().title(" mirrors, copies/s ");
        if reading.mirrors.is_empty() {
            return frame.render_widget(Paragraph::new(" none are configured").block(block), area);
        }
        let head = [
            "",
            "state",
            "ratio",
            "copies",
            "delivered",
            "failed",
            "shed",
            "in flight",
            "p50",
            "p99",
        ];
        let none = MirrorRates::default();
        let rows = reading.mirrors.iter().map(|mirror| {
            let rates = self.rates.as_ref().and_then(|rates| rates.mirrors.get(&mirror.name));
            row(mirror, rates.unwrap_or(&none))
        });
        let widths = [
            Constraint::Min(10),
            Constraint::Length(9),
            Constraint::Length(20),
            Constraint::Length(8),
            Constraint::Length(9),
            Constraint::Length(8),
            Constraint::Length(8),
            Constraint::Length(9),
            Constraint::Length(8),
            Constraint::Length(8),
        ];
        let table = Table::new(rows, widths)
            .header(Row::new(head).dim())
            .row_highlight_style(Modifier::REVERSED)
            .block(block);
        let mut state = TableState::new().with_selected(self.selected);
        frame.render_stateful_widget(table, area, &mut state);
    }

    /// What became of the copies to the selected mirror.
    fn draw_mirror(&self, frame: &mut Frame<'_>, area: Rect, mirror: &Mirror) {
        let block = Block::bordered().title(format!(" {} ", mirror.name));
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let [account, below] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(inner);
        let [text, chart] = Layout::horizontal([Constraint::Min(46), Constraint::Fill(1)]).areas(below);
        let none = MirrorRates::default();
        let rates = self.rates.as_ref().and_then(|rates| rates.mirrors.get(&mirror.name));
        let rates = rates.unwrap_or(&none);
        let failed: u64 = mirror.failed.values().sum();
        let shed: u64 = mirror.shed.values().sum();
        let sum_of_all = format!(
            " {} matched, {} copies = {} delivered + {failed} failed + {shed} shed + {} in flight",
            mirror.matched, mirror.copies, mirror.delivered, mirror.in_flight
        );
        frame.render_widget(Line::from(sum_of_all), account);
        let mut lines = vec![Line::from(format!(
            " {} matched/s, breaker {}, {} connections",
            number(rates.matched),
            mirror.breaker.replace('_', " "),
            mirror.connections
        ))];
        let reasons = |what: &str, rates: &[(String, f64)], colour| {
            let text: Vec<_> = rates
                .iter()
                .map(|(reason, rate)| {
                    Line::from(format!(" {:>9} {what}: {}", number(*rate), reason.replace('_', " "))).fg(colour)
                })
                .collect();
            text
        };
        lines.extend(reasons("failed/s", &rates.failed, Color::Red));
        lines.extend(reasons("shed/s", &rates.shed, Color::Yellow));
        frame.render_widget(Paragraph::new(lines), text);
        if let Some(copies) = self.copies.get(&mirror.name) {
            draw_history(frame, chart, copies, Color::Green);
        }
    }
}

fn remember(history: &mut VecDeque<u64>, rate: f64) {
    history.push_front(rate.round() as u64);
    history.truncate(KEPT);
}

/// The last values, the newest at the right.
fn draw_history(frame: &mut Frame<'_>, area: Rect, history: &VecDeque<u64>, colour: Color) {
    let shown = history.iter().copied().take(usize::from(area.width));
    let shown: Vec<u64> = shown.collect();
    let missing = usize::from(area.width).saturating_sub(shown.len());
    let values = std::iter::repeat_n(0, missing).chain(shown.into_iter().rev());
    frame.render_widget(Sparkline::default().data(values).style(colour), area);
}

fn row<'m>(mirror: &'m Mirror, rates: &MirrorRates) -> Row<'m> {
    let colour = match mirror.state.as_str() {
        "running" => Color::Green,
        "paused" => Color::Yellow,
        _ => Color::Red,
    };
    let ratio = match &mirror.effective_ratio {
        Some(effective) if *effective != mirror.ratio => format!("{} ({effective})", mirror.ratio),
        _ if mirror.ratio != mirror.configured_ratio => format!("{} (not {})", mirror.ratio, mirror.configured_ratio),
        _ => mirror.ratio.clone(),
    };
    Row::new([
        Cell::from(mirror.name.as_str()),
        Cell::from(mirror.state.as_str()).fg(colour),
        Cell::from(ratio),
        Cell::from(number(rates.copies)),
        Cell::from(number(rates.delivered)),
        Cell::from(number(sum(&rates.failed))),
        Cell::from(number(sum(&rates.shed))),
        Cell::from(mirror.in_flight.to_string()),
        Cell::from(time(rates.p50)),
        Cell::from(time(rates.p99)),
    ])
}

fn listed(rates: &[(String, f64)]) -> String {
    let parts: Vec<_> = rates
        .iter()
        .map(|(what, rate)| format!("{what} {}", number(*rate)))
        .collect();
    parts.join("   ").replace('_', " ")
}

fn number(rate: f64) -> String {
    if rate == 0.0 || rate >= 100.0 {
        format!("{rate:.0}")
    } else {
        format!("{rate:.1}")
    }
}

/// The bound that a share of the durations is within.
fn time(seconds: Option<f64>) -> String {
    match seconds {
        None => "–".to_owned(),
        Some(seconds) if seconds < 0.001 => format!("≤{:.0}µs", seconds * 1e6),
        Some(seconds) if seconds < 1.0 => format!("≤{:.0}ms", seconds * 1e3),
        Some(seconds) => format!("≤{seconds:.1}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn drawn(screen: &Screen, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        terminal.backend().to_string()
    }

    fn screen() -> Screen {
        let mirror = |name: &str, state: &str| Mirror {
            name: name.to_owned(),
            state: state.to_owned(),
            breaker: "closed".to_owned(),
            ratio: "25%".to_owned(),
            configured_ratio: "25%".to_owned(),
            ..Mirror::default()
        };
        let reading = Reading {
            version: "1.2.3".to_owned(),
            generation: 4,
            mirrors: vec![mirror("staging", "running"), mirror("canary", "paused")],
            ..Reading::default()
        };
        let staging = MirrorRates {
            copies: 250.0,
            delivered: 240.0,
            shed: vec![("in_flight".to_owned(), 10.0)],
            p99: Some(0.05),
            ..MirrorRates::default()
        };
        let rates = Rates {
            production: ProductionRates {
                requests: 1000.0,
                responses: vec![("2xx".to_owned(), 1000.0)],
                ..ProductionRates::default()
            },
            mirrors: [("staging".to_owned(), staging)].into(),
        };
        let mut screen = Screen::of("127.0.0.1:9470".to_owned());
        screen.take(reading, Some(rates));
        screen
    }

    #[test]
    fn rates_states_and_reasons_are_seen_on_a_usual_terminal() {
        let seen = drawn(&screen(), 110, 30);
        for text in [
            "mynah 1.2.3 at 127.0.0.1:9470",
            "1000 requests/s",
            "2xx 1000",
            "staging",
            "running",
            "canary",
            "paused",
            "240",
            "≤50ms",
            "10.0 shed/s: in flight",
        ] {
            assert!(seen.contains(text), "{text} is missing in\n{seen}");
        }
    }

    #[test]
    fn a_small_terminal_is_no_reason_to_panic() {
        for (width, height) in [(1, 1), (20, 5), (80, 24), (300, 3)] {
            let _ = drawn(&screen(), width, height);
        }
        let _ = drawn(&Screen::default(), 80, 24);
    }

    #[test]
    fn a_mirror_that_is_gone_is_not_selected_any_more() {
        let mut screen = screen();
        screen.select(true);
        assert_eq!(screen.mirror().unwrap().name, "canary");
        screen.select(true);
        assert_eq!(screen.mirror().unwrap().name, "canary", "there is none below");
        let mut reading = screen.reading.clone().unwrap();
        reading.mirrors.pop();
        screen.take(reading, None);
        assert_eq!(screen.mirror().unwrap().name, "staging");
    }
}
