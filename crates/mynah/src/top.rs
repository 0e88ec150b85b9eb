//! `mynah top`: production and its mirrors, live in the terminal, with keys to change a ratio and to pause.
//!
//! It reads the admin API once a second and shows what happened in between; nothing here is known to the proxy.

mod rates;
mod reading;
mod screen;
mod steps;

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use serde_json::json;

use self::rates::Rates;
use self::reading::{Mirror, Reading};
use self::screen::Screen;
use crate::admin_client::AdminClient;
use crate::cli::TopArgs;
use crate::failure::Failure;

/// Time between two readings.
const INTERVAL: Duration = Duration::from_secs(1);

/// Shows it until a key ends it.
pub(crate) fn top(args: &TopArgs) -> Result<(), Failure> {
    if !std::io::stdout().is_terminal() {
        return Err(
            anyhow!("standard output is no terminal; `mynah status` prints once, `--json` for programs").into(),
        );
    }
    let client = AdminClient::new(&args.admin)?;
    // Before the screen is taken: what is wrong with the address or the token is said in the open.
    read(&client)?;
    let mut terminal = ratatui::try_init().context("the terminal cannot be drawn on")?;
    let ended = watch(&client, args, &mut terminal);
    ratatui::restore();
    ended
}

fn read(client: &AdminClient) -> Result<Reading, Failure> {
    let status = client.get("/api/v1/status")?;
    Ok(serde_json::from_value(status).context("the answer is not that of this version of Mynah")?)
}

fn watch(client: &AdminClient, args: &TopArgs, terminal: &mut DefaultTerminal) -> Result<(), Failure> {
    let mut screen = Screen::of(args.admin.admin.to_string());
    let mut last: Option<(Instant, Reading)> = None;
    let mut due = Instant::now();
    loop {
        if Instant::now() >= due {
            look(client, &mut screen, &mut last);
            due = Instant::now() + INTERVAL;
        }
        terminal.draw(|frame| screen.draw(frame))?;
        if event::poll(due.saturating_duration_since(Instant::now()))?
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
        {
            match pressed(key, &screen) {
                Pressed::Quit => return Ok(()),
                Pressed::Select { down } => screen.select(down),
                Pressed::Act(act) => {
                    screen.message = act.carry_out(client);
                    due = Instant::now();
                }
                Pressed::Nothing => {}
            }
        }
    }
}

/// Reads, and shows what has happened; a process that does not answer is asked again.
fn look(client: &AdminClient, screen: &mut Screen, last: &mut Option<(Instant, Reading)>) {
    let now = Instant::now();
    match read(client) {
        Ok(reading) => {
            let rates = last
                .as_ref()
                .and_then(|(at, before)| Rates::between(before, &reading, now - *at));
            *last = Some((now, reading.clone()));
            screen.take(reading, rates);
        }
        Err(failure) => screen.message = said(&failure),
    }
}

fn said(failure: &Failure) -> String {
    match failure {
        Failure::Failed(error) => format!("{error:#}"),
        Failure::Refused(text) => text.lines().next().unwrap_or_default().to_owned(),
    }
}

/// What a key asks for.
#[derive(Debug, PartialEq, Eq)]
enum Pressed {
    Quit,
    Select { down: bool },
    Act(Act),
    Nothing,
}

/// A change to the running process.
#[derive(Debug, PartialEq, Eq)]
enum Act {
    Ratio { mirror: String, ratio: String },
    Pause { mirror: Option<String>, paused: bool },
}

fn pressed(key: KeyEvent, screen: &Screen) -> Pressed {
    let mirror = screen.mirror();
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Pressed::Quit,
        KeyCode::Char('q') | KeyCode::Esc => Pressed::Quit,
        KeyCode::Up | KeyCode::Char('k') => Pressed::Select { down: false },
        KeyCode::Down | KeyCode::Char('j') => Pressed::Select { down: true },
        KeyCode::Char('+' | '=') => step(mirror, steps::up),
        KeyCode::Char('-') => step(mirror, steps::down),
        KeyCode::Char('p') => mirror.map_or(Pressed::Nothing, |mirror| {
            Pressed::Act(Act::Pause {
                mirror: Some(mirror.name.clone()),
                paused: !mirror.paused,
            })
        }),
        KeyCode::Char('P') => {
            let mirrors = screen.reading.iter().flat_map(|reading| &reading.mirrors);
            Pressed::Act(Act::Pause {
                mirror: None,
                paused: mirrors.into_iter().any(|mirror| !mirror.paused),
            })
        }
        _ => Pressed::Nothing,
    }
}

fn step(mirror: Option<&Mirror>, to: fn(mynah_core::Ratio) -> mynah_core::Ratio) -> Pressed {
    let Some((mirror, ratio)) = mirror.and_then(|mirror| Some((mirror, mirror.ratio.parse().ok()?))) else {
        return Pressed::Nothing;
    };
    Pressed::Act(Act::Ratio {
        mirror: mirror.name.clone(),
        ratio: to(ratio).to_string(),
    })
}

impl Act {
    /// What is to be said about it.
    fn carry_out(self, client: &AdminClient) -> String {
        let (result, done) = match self {
            Self::Ratio { mirror, ratio } => {
                let path = format!("/api/v1/mirrors/{mirror}/ratio");
                (
                    client.put(&path, &json!({ "ratio": ratio })),
                    format!("{mirror}: ratio {ratio}"),
                )
            }
            Self::Pause { mirror, paused } => {
                let (verb, done) = if paused {
                    ("pause", "paused")
                } else {
                    ("resume", "resumed")
                };
                let path = match &mirror {
                    Some(mirror) => format!("/api/v1/mirrors/{mirror}/{verb}"),
                    None => format!("/api/v1/{verb}"),
                };
                (
                    client.post(&path),
                    format!("{}: {done}", mirror.as_deref().unwrap_or("all mirrors")),
                )
            }
        };
        match result {
            Ok(_) => format!("{done} until the next reload"),
            Err(failure) => said(&failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(ratio: &str, paused: bool) -> Screen {
        let mirror = Mirror {
            name: "staging".to_owned(),
            ratio: ratio.to_owned(),
            paused,
            ..Mirror::default()
        };
        let mut screen = Screen::default();
        screen.take(
            Reading {
                mirrors: vec![mirror],
                ..Reading::default()
            },
            None,
        );
        screen
    }

    fn press(key: char, screen: &Screen) -> Pressed {
        pressed(KeyEvent::from(KeyCode::Char(key)), screen)
    }

    #[test]
    fn plus_and_minus_step_the_ratio_of_the_selected_mirror() {
        let ratio = |ratio: &str| {
            Pressed::Act(Act::Ratio {
                mirror: "staging".to_owned(),
                ratio: ratio.to_owned(),
            })
        };
        assert_eq!(press('+', &screen("25%", false)), ratio("50%"));
        assert_eq!(press('-', &screen("25%", false)), ratio("20%"));
        assert_eq!(press('+', &Screen::default()), Pressed::Nothing);
    }

    #[test]
    fn p_pauses_what_runs_and_resumes_what_is_paused() {
        let pause = |mirror: Option<&str>, paused| {
            Pressed::Act(Act::Pause {
                mirror: mirror.map(str::to_owned),
                paused,
            })
        };
        assert_eq!(press('p', &screen("1%", false)), pause(Some("staging"), true));
        assert_eq!(press('p', &screen("1%", true)), pause(Some("staging"), false));
        assert_eq!(press('P', &screen("1%", false)), pause(None, true));
        assert_eq!(press('P', &screen("1%", true)), pause(None, false));
    }
}
