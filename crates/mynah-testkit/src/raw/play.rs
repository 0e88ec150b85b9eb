//! Playing a script: both ends driven from one task, and checked after every change.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use super::end::{End, Ended, PATIENCE};
use super::script::{Pace, Rest, Script, Step, Who};
use super::show;

/// Time between two bytes that trickle.
const TRICKLE: Duration = Duration::from_micros(200);
/// How long nothing must happen.
const QUIET: Duration = Duration::from_millis(60);

/// The exchange that shows a connection to be usable.
const PING: &[u8] = b"GET /still-usable HTTP/1.1\r\nHost: a\r\n\r\n";
const PONG: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstill";
/// The same through a tunnel.
const TUNNEL_PING: &[u8] = b"\x00still\r\n\r\n";

/// What was not as the script says.
#[derive(Debug)]
pub struct Mismatch {
    script: String,
    step: String,
    what: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "«{}» at {}: {}", self.script, self.step, self.what)
    }
}

impl std::error::Error for Mismatch {}

/// What both ends have received.
#[derive(Debug, PartialEq, Eq)]
pub struct Played {
    /// What the client received.
    pub client: Vec<u8>,
    /// What the application received.
    pub app: Vec<u8>,
    /// Every byte of HTTP that the client has sent, the exchange at the end included.
    pub sent: Vec<u8>,
}

/// Plays a script between a client that connects to `address` and the application behind it. `direct` says that nothing is
/// in between.
pub async fn play(script: &Script, address: SocketAddr, app: &TcpListener, direct: bool) -> Result<Played, Mismatch> {
    let mut player = Player {
        listener: app,
        direct,
        client: Side::default(),
        app: Side::default(),
        step: "connecting".to_owned(),
    };
    let result = player.run(script, address).await;
    result.map_err(|what| Mismatch {
        script: script.name.clone(),
        step: player.step,
        what,
    })
}

/// An end and what is due there.
#[derive(Default)]
struct Side {
    end: Option<End>,
    expected: Vec<u8>,
    /// How it has to end.
    expected_end: Option<Ended>,
    /// It has ended its own direction, and may see the other end whenever nothing is due.
    may_end: bool,
}

impl Side {
    /// Whether nothing is amiss, and whether everything due has arrived.
    fn check(&self, name: &str) -> Result<bool, String> {
        let (received, ended) = match &self.end {
            Some(end) => (end.received(), end.how_it_ended()),
            None => (&[][..], None),
        };
        if !self.expected.starts_with(received) {
            let same = received.iter().zip(&self.expected).take_while(|(a, b)| a == b).count();
            return Err(format!(
                "the {name} received, after {same} bytes that were right, {} in place of {}",
                show(&received[same..]),
                show(&self.expected[same..])
            ));
        }
        let complete = received.len() == self.expected.len();
        let may_end = self.may_end && complete && ended == Some(Ended::Fin);
        if let Some(ended) = ended
            && Some(ended) != self.expected_end
            && !may_end
        {
            return Err(format!(
                "the {name} saw the connection end by {ended:?} in place of {:?}, having received {} of {}",
                self.expected_end,
                show(received),
                show(&self.expected)
            ));
        }
        Ok(complete && (self.end.is_none() || ended == self.expected_end || may_end))
    }

    fn missing(&self, name: &str) -> String {
        match &self.end {
            None => format!("no connection to the {name}"),
            Some(end) => format!(
                "the {name} has {} bytes of {} (missing {}), ended {:?} of {:?}",
                end.received().len(),
                self.expected.len(),
                show(&self.expected[end.received().len().min(self.expected.len())..]),
                end.how_it_ended(),
                self.expected_end
            ),
        }
    }
}

struct Player<'a> {
    listener: &'a TcpListener,
    direct: bool,
    client: Side,
    app: Side,
    step: String,
}

impl Player<'_> {
    async fn run(&mut self, script: &Script, address: SocketAddr) -> Result<Played, String> {
        let client = End::connect(address).await.map_err(|error| error.to_string())?;
        self.client.end = Some(client);
        for (i, step) in script.steps.iter().enumerate() {
            self.step = format!("step {}", i + 1);
            self.take(step).await?;
        }
        let mut sent = script.requests_sent();
        if script.rest == Rest::Open {
            self.step = "another exchange at the end".to_owned();
            let (ping, pong) = if script.tunnels {
                (TUNNEL_PING, TUNNEL_PING)
            } else {
                (PING, PONG)
            };
            self.send(Who::Client, ping, ping, Pace::Whole).await?;
            self.send(Who::App, pong, pong, Pace::Whole).await?;
            if !script.tunnels {
                sent.extend_from_slice(PING);
            }
            self.step = "the client's end at the end".to_owned();
            self.fin(Who::Client).await?;
            self.fin(Who::App).await?;
        }
        self.step = "after the end".to_owned();
        self.no_other_connection().await?;
        Ok(Played {
            client: self.client.expected.clone(),
            app: self.app.expected.clone(),
            sent,
        })
    }

    async fn take(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Send { who, bytes, seen, pace } => {
                let seen = seen.as_ref().filter(|_| !self.direct).unwrap_or(bytes);
                self.send(*who, bytes, seen, *pace).await
            }
            Step::Fin(who) => self.fin(*who).await,
            Step::Reset(who) => {
                let end = self.side(*who).end.take();
                end.ok_or("it has no connection to reset")?.reset();
                self.other(*who).expected_end = Some(Ended::Reset);
                self.settle_one(who.other()).await
            }
            Step::Breaks { reset, status } => self.breaks(*reset, *status).await,
            Step::Refused(_) if self.direct => Ok(()),
            Step::Refused(status) => self.answered(*status).await,
            Step::Quiet => self.quiet().await,
        }
    }

    async fn fin(&mut self, who: Who) -> Result<(), String> {
        self.end(who)?.fin();
        self.side(who).may_end = true;
        self.other(who).expected_end = Some(Ended::Fin);
        self.settle_one(who.other()).await
    }

    async fn send(&mut self, who: Who, bytes: &[u8], seen: &[u8], pace: Pace) -> Result<(), String> {
        match pace {
            Pace::Whole => {
                self.end(who)?.send(bytes);
                self.other(who).expected.extend_from_slice(seen);
                self.settle_received(who).await
            }
            Pace::Part(arrive) => {
                self.end(who)?.send(bytes);
                // Without a demand of its own it adds none to what was held back before.
                let least = if arrive == 0 {
                    0
                } else {
                    self.other(who).expected.len() + arrive
                };
                self.other(who).expected.extend_from_slice(seen);
                self.flush(who, least).await
            }
            Pace::Trickle => {
                self.other(who).expected.extend_from_slice(seen);
                for byte in bytes {
                    self.end(who)?.send(&[*byte]);
                    self.flush(who, 0).await?;
                    sleep(TRICKLE).await;
                }
                self.settle_received(who).await
            }
            Pace::Each => {
                for byte in bytes {
                    self.end(who)?.send(&[*byte]);
                    self.other(who).expected.push(*byte);
                    self.settle_received(who).await?;
                }
                Ok(())
            }
        }
    }

    async fn breaks(&mut self, reset: bool, status: u16) -> Result<(), String> {
        if reset {
            let end = self.app.end.take();
            end.ok_or("the application has no connection to reset")?.reset();
        } else {
            self.end(Who::App)?.fin();
        }
        if self.direct {
            self.client.expected_end = Some(if reset { Ended::Reset } else { Ended::Fin });
            return self.settle_one(Who::Client).await;
        }
        // Whatever is in between lets go of a connection that is of no use any more.
        self.app.may_end = true;
        self.answered(status).await
    }

    /// The client gets a response that only has this status, and then the end.
    async fn answered(&mut self, status: u16) -> Result<(), String> {
        let start = format!("HTTP/1.1 {status} ");
        let before = self.client.expected.len();
        let wait = async {
            loop {
                let end = self.client.end.as_ref().ok_or("the client has no connection")?;
                let new = &end.received()[before.min(end.received().len())..];
                let common = new.len().min(start.len());
                if new[..common] != start.as_bytes()[..common] {
                    return Err(format!("the client received {} in place of {start}", show(new)));
                }
                match end.how_it_ended() {
                    Some(Ended::Fin) if new.ends_with(b"\r\n\r\n") => return Ok(new.to_vec()),
                    Some(ended) => return Err(format!("the client saw {ended:?} after {}", show(new))),
                    None => self.progress().await?,
                }
            }
        };
        let answer = timeout(PATIENCE, wait)
            .await
            .map_err(|_| format!("no answer {status} in time"))??;
        self.client.expected.extend_from_slice(&answer);
        self.client.expected_end = Some(Ended::Fin);
        Ok(())
    }

    async fn quiet(&mut self) -> Result<(), String> {
        let any = async {
            loop {
                self.progress().await?;
                self.client.check("client")?;
                self.app.check("application")?;
            }
        };
        timeout(QUIET, any).await.unwrap_or(Ok(()))
    }

    fn side(&mut self, who: Who) -> &mut Side {
        match who {
            Who::Client => &mut self.client,
            Who::App => &mut self.app,
        }
    }

    fn other(&mut self, who: Who) -> &mut Side {
        self.side(who.other())
    }

    fn end(&mut self, who: Who) -> Result<&mut End, String> {
        let side = self.side(who);
        side.end
            .as_mut()
            .ok_or_else(|| format!("the {who:?} has no connection"))
    }

    /// Waits until the other end has received all that is due, whatever its connection does.
    async fn settle_received(&mut self, from: Who) -> Result<(), String> {
        self.wait(|player| Ok(player.check()? && player.arrived(from))).await
    }

    /// Waits until one end has all that is due, its end included.
    async fn settle_one(&mut self, who: Who) -> Result<(), String> {
        self.wait(|player| {
            let client = player.client.check("client")?;
            let app = player.app.check("application")?;
            Ok(match who {
                Who::Client => client,
                Who::App => app && player.app.end.is_some(),
            })
        })
        .await
    }

    /// Waits until everything is written and the other end has received at least so much.
    async fn flush(&mut self, who: Who, least: usize) -> Result<(), String> {
        self.wait(|player| {
            player.check()?;
            let arrived = player.other(who).end.as_ref().map_or(0, |end| end.received().len());
            Ok(player.end(who)?.is_flushed() && arrived >= least)
        })
        .await
    }

    fn check(&self) -> Result<bool, String> {
        self.client.check("client")?;
        self.app.check("application")?;
        Ok(true)
    }

    fn arrived(&self, from: Who) -> bool {
        let side = match from {
            Who::Client => &self.app,
            Who::App => &self.client,
        };
        side.end
            .as_ref()
            .is_some_and(|end| end.received().len() == side.expected.len())
    }

    async fn wait(&mut self, done: impl Fn(&mut Self) -> Result<bool, String>) -> Result<(), String> {
        let wait = async {
            while !done(self)? {
                self.progress().await?;
            }
            Ok(())
        };
        match timeout(PATIENCE, wait).await {
            Ok(result) => result,
            Err(_) => Err(format!(
                "not in time: {}; {}",
                self.client.missing("client"),
                self.app.missing("application")
            )),
        }
    }

    /// Waits until something has changed at either end.
    async fn progress(&mut self) -> Result<(), String> {
        poll_fn(|cx| {
            let mut changed = false;
            while let Poll::Ready(accepted) = self.listener.poll_accept(cx) {
                let (stream, _) = accepted.map_err(|error| error.to_string())?;
                if self.app.end.is_some() || self.app.expected_end.is_some() {
                    return Poll::Ready(Err("the application got a second connection".to_owned()));
                }
                self.app.end = Some(End::new(stream));
                changed = true;
            }
            for side in [&mut self.client, &mut self.app] {
                changed |= side.end.as_mut().is_some_and(|end| end.poll(cx).is_ready());
            }
            if changed { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }

    async fn no_other_connection(&mut self) -> Result<(), String> {
        poll_fn(|cx| Poll::Ready(self.listener.poll_accept(cx).is_ready()))
            .await
            .then_some(())
            .map_or(Ok(()), |()| match self.app.end {
                // A script that never reached the application leaves its connection to be accepted.
                None if self.direct => Ok(()),
                _ => Err("another connection waits at the application".to_owned()),
            })
    }
}
