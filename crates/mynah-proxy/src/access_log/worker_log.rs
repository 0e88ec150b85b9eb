//! One worker's side of an access log.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use mynah_core::LogField;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::LogPlan;
use super::draft::{Data, Draft};
use super::escape::{Style, fraction, number};
use super::subject::{Nothing, Subject};
use crate::worker::Peer;

/// Bytes of lines that leave the worker at once.
const BATCH: usize = 32 * 1024;
/// How long a line may wait for others to leave with it.
const GATHER: Duration = Duration::from_millis(100);
/// Memory of ended drafts that is kept for others, and how much each may have.
const SPARE: usize = 256;
const SPARE_SIZE: usize = 2 * 1024;

/// One worker's side of an access log: its lines gather here.
pub(crate) struct WorkerLog {
    plan: LogPlan,
    lines: RefCell<Vec<u8>>,
    count: Cell<u64>,
    /// There is something to hand over soon.
    pending: Rc<Notify>,
    #[expect(clippy::vec_box, reason = "the boxes themselves are what is used again")]
    spare: RefCell<Vec<Box<Data>>>,
    clock: RefCell<Clock>,
}

impl WorkerLog {
    /// Must be called where tasks can be spawned that stay on the current thread.
    pub(crate) fn new(plan: &LogPlan) -> Rc<Self> {
        let log = Rc::new(Self {
            plan: plan.clone(),
            lines: RefCell::default(),
            count: Cell::new(0),
            pending: Rc::default(),
            spare: RefCell::default(),
            clock: RefCell::default(),
        });
        let (weak, pending) = (Rc::downgrade(&log), log.pending.clone());
        tokio::task::spawn_local(async move {
            loop {
                pending.notified().await;
                sleep(GATHER).await;
                match weak.upgrade() {
                    Some(log) => log.hand_over(),
                    None => break,
                }
            }
        });
        log
    }

    /// A line about a request that begins.
    pub(crate) fn begin(self: &Rc<Self>, subject: &impl Subject, route: Option<usize>, started: Instant) -> Draft {
        let mut data = self.spare.borrow_mut().pop().unwrap_or_default();
        data.started = started;
        let template = &self.plan.template;
        template.begin(subject, route, self.plan.id.as_deref(), &mut data.early, &mut data.ends);
        Draft::new(self.clone(), data)
    }

    /// A line about something that was refused before it could be read.
    pub(crate) fn refused(self: &Rc<Self>, peer: &Peer, status: u16, reason: &'static str) {
        let mut draft = self.begin(&Nothing(peer), None, Instant::now());
        draft.refused(status);
        draft.reason(reason);
        draft.end(Duration::ZERO);
    }

    /// Makes the line.
    pub(super) fn end(&self, mut data: Box<Data>) {
        let mut lines = self.lines.borrow_mut();
        let before = lines.len();
        let mut at = 0;
        for (i, end) in data.ends.iter().enumerate() {
            lines.extend_from_slice(&data.early[at..*end as usize]);
            at = *end as usize;
            if let Some(field) = self.plan.template.late.get(i) {
                self.late(field, &data, &mut lines);
            }
        }
        self.count.set(self.count.get() + 1);
        let (first, full) = (before == 0, lines.len() >= BATCH);
        drop(lines);
        if full {
            self.hand_over();
        } else if first {
            self.pending.notify_one();
        }
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE && data.early.capacity() <= SPARE_SIZE {
            data.clear();
            spare.push(data);
        }
    }

    fn late(&self, field: &LogField, data: &Data, out: &mut Vec<u8>) {
        let style = self.plan.template.style;
        let word = |word: &str, out: &mut Vec<u8>| style.value((!word.is_empty()).then_some(word.as_bytes()), out);
        match field {
            LogField::Time | LogField::TimeLocal | LogField::TimeUnix => {
                self.clock.borrow_mut().write(field, style, out);
            }
            LogField::Status if data.status == 0 && style == Style::Text => out.extend_from_slice(b"000"),
            LogField::Status if data.status == 0 => style.value(None, out),
            LogField::Status => number(data.status.into(), out),
            LogField::RequestBytes => number(data.request_bytes, out),
            LogField::ResponseBytes => number(data.response_bytes, out),
            LogField::Duration => seconds(data.took.unwrap_or_default(), out),
            LogField::UpstreamTime => match data.answered {
                Some(time) => seconds(time, out),
                None => style.value(None, out),
            },
            LogField::Outcome => word(data.outcome, out),
            LogField::Reason => word(data.reason, out),
            // The rest is known earlier.
            _ => {}
        }
    }

    /// Gives all lines to the log's thread, or drops them. Never waits.
    fn hand_over(&self) {
        let mut lines = self.lines.borrow_mut();
        if lines.is_empty() {
            return;
        }
        let plan = &self.plan;
        plan.sink.hand_over(&lines, self.count.take(), &plan.stats, plan.buffer);
        lines.clear();
        lines.shrink_to(2 * BATCH);
    }
}

impl Drop for WorkerLog {
    fn drop(&mut self) {
        self.hand_over();
        // Lets the task see that it is over.
        self.pending.notify_one();
    }
}

fn seconds(duration: Duration, out: &mut Vec<u8>) {
    number(duration.as_secs(), out);
    fraction(duration.subsec_micros(), 6, out);
}

/// The time of day, put into words once a second.
#[derive(Default)]
struct Clock {
    second: Option<u64>,
    time: Vec<u8>,
    local: Vec<u8>,
}

impl Clock {
    fn write(&mut self, field: &LogField, style: Style, out: &mut Vec<u8>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.second != Some(now.as_secs()) {
            self.turn(now.as_secs());
        }
        let millis = now.subsec_millis();
        let quote: &[u8] = if style == Style::Json { b"\"" } else { b"" };
        match field {
            LogField::TimeUnix => {
                number(now.as_secs(), out);
                fraction(millis, 3, out);
            }
            LogField::TimeLocal => {
                out.extend_from_slice(quote);
                out.extend_from_slice(&self.local);
                out.extend_from_slice(quote);
            }
            _ => {
                out.extend_from_slice(quote);
                out.extend_from_slice(&self.time);
                fraction(millis, 3, out);
                out.push(b'Z');
                out.extend_from_slice(quote);
            }
        }
    }

    fn turn(&mut self, second: u64) {
        let time = Timestamp::from_second(second as i64).unwrap_or_default();
        self.second = Some(second);
        self.time = time.strftime("%Y-%m-%dT%H:%M:%S").to_string().into_bytes();
        self.local = time.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string().into_bytes();
    }
}
