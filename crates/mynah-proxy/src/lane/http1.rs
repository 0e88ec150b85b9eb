//! One HTTP/1 connection to a mirror: sends copies one after the other, reads the responses and throws them away.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use mynah_core::{FailReason, Outcome, ShedReason};
use mynah_http1::{BodyDecoder, Framing, HeadScanner, RequestKind, ResponseHead};
use tokio::time::{Instant, Sleep, sleep_until};

use super::queue::{Item, Next};
use super::{ConnectionSlot, Lane, Seat, WireCopy};
use crate::alarm::Alarm;
use crate::connect::connect_mirror;
use crate::out::Out;
use crate::stream::Stream;
use crate::worker::Worker;

/// Connects, sends the copy, and then those that follow on the same connection.
pub(super) async fn run(lane: Rc<Lane>, worker: Rc<Worker>, slot: ConnectionSlot, copy: WireCopy) {
    let connected = {
        let mut connecting = pin!(connect_mirror(&lane.plan, &lane.cursor, false));
        poll_fn(|cx| {
            if let Some(why) = slot.seat.poll_taken_away(cx) {
                return Poll::Ready(Err(Outcome::Shed(why)));
            }
            connecting
                .as_mut()
                .poll(cx)
                .map_err(|error| Outcome::Failed(error.into()))
        })
        .await
    };
    match connected {
        Ok(stream) => {
            let mut connection = Connection::new(lane, worker, stream, slot.seat.clone(), copy);
            poll_fn(|cx| connection.poll(cx)).await;
        }
        Err(outcome) => copy.finish(outcome),
    }
    drop(slot);
}

/// Bytes of a response that are read before others have a turn.
const TURN: u64 = 256 * 1024;

struct Connection {
    lane: Rc<Lane>,
    worker: Rc<Worker>,
    stream: Stream,
    alarm: Alarm,
    seat: Rc<Seat>,
    sending: Option<Sending>,
    /// When the copy, or the idle connection, is given up.
    deadline: Instant,
    /// Fires at the deadline or before it; moved only when it would fire too late.
    timer: Pin<Box<Sleep>>,
}

/// A copy on its way.
struct Sending {
    copy: WireCopy,
    out: Out,
    /// Bytes in `out` that the body's queue still counts as held.
    held: usize,
    sent: bool,
    response: Response,
    /// Bytes of the response so far.
    discarded: u64,
}

enum Response {
    Head { partial: Vec<u8>, scanner: HeadScanner },
    Body { decoder: BodyDecoder, persistent: bool },
    Ended { persistent: bool },
}

/// What follows when a copy has ended.
enum After {
    Reuse,
    Close,
}

impl Connection {
    fn new(lane: Rc<Lane>, worker: Rc<Worker>, stream: Stream, seat: Rc<Seat>, copy: WireCopy) -> Self {
        let deadline = lane.deadline(copy.ticket.started);
        Self {
            timer: Box::pin(sleep_until(deadline)),
            sending: Some(Sending::new(copy)),
            seat,
            lane,
            worker,
            stream,
            alarm: Alarm::default(),
            deadline,
        }
    }

    /// Ready when the connection is to be closed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(why) = self.seat.poll_taken_away(cx) {
                self.give_up(why);
                return Poll::Ready(());
            }
            if self.sending.is_none() {
                match self.seat.copy.take() {
                    Some(copy) => self.begin(copy),
                    None => match self.poll_idle(cx) {
                        Poll::Ready(()) => return Poll::Ready(()),
                        Poll::Pending => return self.poll_timer(cx),
                    },
                }
            }
            let Some(sending) = &mut self.sending else { continue };
            match sending.poll(
                cx,
                &self.worker,
                (&mut self.stream, &mut self.alarm),
                self.lane.mirror().max_response.bytes(),
            ) {
                Poll::Pending => return self.poll_timer(cx),
                Poll::Ready((outcome, after)) => {
                    if let Some(sending) = self.sending.take() {
                        sending.copy.finish(outcome);
                    }
                    match after {
                        After::Reuse if self.lane.keeps_connections() => self.rest(),
                        _ => return Poll::Ready(()),
                    }
                }
            }
        }
    }

    fn begin(&mut self, copy: WireCopy) {
        self.set_deadline(self.lane.deadline(copy.ticket.started));
        self.sending = Some(Sending::new(copy));
    }

    /// Joins the idle connections.
    fn rest(&mut self) {
        self.set_deadline(Instant::now() + self.lane.idle_timeout());
        self.lane.idle.borrow_mut().push(self.seat.clone());
    }

    fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if self.timer.deadline() > deadline {
            self.timer.as_mut().reset(deadline);
        }
    }

    /// The connection was taken away.
    fn give_up(&mut self, why: ShedReason) {
        if let Some(sending) = self.sending.take() {
            sending.copy.finish(Outcome::Shed(why));
        }
        if let Some(copy) = self.seat.copy.take() {
            copy.finish(Outcome::Shed(why));
        }
        self.leave();
    }

    /// Waits for a copy. Ready when the mirror closed the connection or spoke out of turn.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.alarm.poll_read(&self.worker, cx, &mut self.stream) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(_) => {
                self.leave();
                Poll::Ready(())
            }
        }
    }

    fn leave(&self) {
        self.lane.idle.borrow_mut().retain(|seat| !Rc::ptr_eq(seat, &self.seat));
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= self.deadline {
                match self.sending.take() {
                    Some(sending) => sending.copy.finish(Outcome::Failed(FailReason::Timeout)),
                    None => self.leave(),
                }
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(self.deadline);
        }
        Poll::Pending
    }
}

impl WireCopy {
    fn finish(self, outcome: Outcome) {
        if let Some(body) = &self.body {
            body.close();
        }
        self.ticket.finish(outcome);
    }
}

impl Sending {
    fn new(mut copy: WireCopy) -> Self {
        let mut out = Out::default();
        out.push(Bytes::from(std::mem::take(&mut copy.head)));
        let response = Response::Head {
            partial: Vec::new(),
            scanner: HeadScanner::new(),
        };
        Self {
            copy,
            out,
            held: 0,
            sent: false,
            response,
            discarded: 0,
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        (stream, alarm): (&mut Stream, &mut Alarm),
        max: u64,
    ) -> Poll<(Outcome, After)> {
        let written = match self.poll_write(cx, stream) {
            Poll::Ready(Err(outcome @ Outcome::Shed(_))) => return Poll::Ready((outcome, After::Close)),
            Poll::Ready(Err(outcome)) => {
                // The mirror may have answered before it closed.
                return match self.poll_read(cx, worker, (stream, alarm), max) {
                    Poll::Ready(Ok(())) => Poll::Ready((Outcome::Delivered, After::Close)),
                    _ => Poll::Ready((outcome, After::Close)),
                };
            }
            Poll::Ready(Ok(())) => true,
            Poll::Pending => false,
        };
        match self.poll_read(cx, worker, (stream, alarm), max) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(outcome)) => Poll::Ready((outcome, After::Close)),
            Poll::Ready(Ok(())) if !written => Poll::Pending,
            Poll::Ready(Ok(())) => match self.response {
                Response::Ended { persistent: true } => Poll::Ready((Outcome::Delivered, After::Reuse)),
                _ => Poll::Ready((Outcome::Delivered, After::Close)),
            },
        }
    }

    /// Ready when the whole copy has been written.
    fn poll_write(&mut self, cx: &mut Context<'_>, stream: &mut Stream) -> Poll<Result<(), Outcome>> {
        while !self.sent {
            if let Some(reason) = self.copy.body.as_ref().and_then(|body| body.is_cut()) {
                return Poll::Ready(Err(Outcome::Shed(reason)));
            }
            match self.out.poll_write_all(cx, stream) {
                Poll::Pending => {
                    // Be told of a cut although the mirror takes nothing.
                    if let Some(body) = &self.copy.body {
                        body.watch(cx);
                    }
                    return Poll::Pending;
                }
                Poll::Ready(Err(e)) => return Poll::Ready(Err(Outcome::Failed(write_failure(&e)))),
                Poll::Ready(Ok(())) => {}
            }
            self.copy.held = None;
            let Some(body) = &self.copy.body else {
                self.sent = true;
                break;
            };
            body.written(std::mem::take(&mut self.held));
            match body.poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Next::Cut(reason)) => return Poll::Ready(Err(Outcome::Shed(reason))),
                Poll::Ready(Next::Ended) => {
                    if self.copy.encode_chunked {
                        self.copy.encode_chunked = false;
                        self.out.push(Bytes::from_static(b"0\r\n\r\n"));
                        continue;
                    }
                    self.sent = true;
                }
                Poll::Ready(Next::Item(item)) => self.encode(item),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn encode(&mut self, item: Item) {
        match item {
            Item::Data(bytes) => {
                self.held = bytes.len();
                self.copy.ticket.sent(bytes.len());
                if self.copy.encode_chunked {
                    self.out.push(Bytes::from(format!("{:x}\r\n", bytes.len())));
                    self.out.push(bytes);
                    self.out.push(Bytes::from_static(b"\r\n"));
                } else {
                    self.out.push(bytes);
                }
            }
            Item::Trailers(trailers) => {
                self.held = trailers.iter().map(|(n, v)| n.as_str().len() + v.len()).sum();
                if self.copy.encode_chunked {
                    self.copy.encode_chunked = false;
                    let mut end = b"0\r\n".to_vec();
                    for (name, value) in trailers.iter() {
                        end.extend_from_slice(name.as_str().as_bytes());
                        end.extend_from_slice(b": ");
                        end.extend_from_slice(value.as_bytes());
                        end.extend_from_slice(b"\r\n");
                    }
                    end.extend_from_slice(b"\r\n");
                    self.out.push(Bytes::from(end));
                }
            }
        }
    }

    /// Ready when the response has ended.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        (stream, alarm): (&mut Stream, &mut Alarm),
        max: u64,
    ) -> Poll<Result<(), Outcome>> {
        let turn = self.discarded + TURN;
        while !matches!(self.response, Response::Ended { .. }) {
            if self.discarded > turn {
                // However much a mirror has to say, production has its turn.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let bytes = match alarm.poll_read(worker, cx, stream) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Outcome::Failed(FailReason::Reset))),
                Poll::Ready(Ok(bytes)) => bytes,
            };
            if bytes.is_empty() {
                return Poll::Ready(self.end_of_stream());
            }
            self.discarded += bytes.len() as u64;
            if self.read(&bytes, worker).is_none() {
                return Poll::Ready(Err(Outcome::Failed(FailReason::BadResponse)));
            }
            if self.discarded > max && !matches!(self.response, Response::Ended { .. }) {
                self.copy.ticket.cut_response();
                self.response = Response::Ended { persistent: false };
            }
        }
        Poll::Ready(Ok(()))
    }

    fn end_of_stream(&mut self) -> Result<(), Outcome> {
        if let Response::Body { decoder, .. } = &mut self.response
            && decoder.finish_eof().is_ok()
        {
            self.response = Response::Ended { persistent: false };
            return Ok(());
        }
        Err(Outcome::Failed(FailReason::Closed))
    }

    /// None when the response is malformed.
    fn read(&mut self, bytes: &Bytes, worker: &Worker) -> Option<()> {
        let mut at = 0;
        while at < bytes.len() {
            match &mut self.response {
                Response::Head { partial, scanner } => {
                    let whole;
                    let head = if partial.is_empty() {
                        &bytes[at..]
                    } else {
                        partial.extend_from_slice(&bytes[at..]);
                        whole = std::mem::take(partial);
                        &whole[..]
                    };
                    let snapshot = worker.snapshot();
                    let limits = &snapshot.limits;
                    let kind = if self.copy.is_head {
                        RequestKind::Head
                    } else {
                        RequestKind::Other
                    };
                    let gist = |head: ResponseHead<'_>| {
                        let len = head.bytes().len();
                        (len, head.status(), head.is_interim(), head.body(), head.persistent())
                    };
                    let mut fields = worker.take_fields();
                    let plain = scanner
                        .is_new()
                        .then(|| ResponseHead::read(head, &mut fields, limits, kind).map(gist));
                    let parsed = match plain.flatten() {
                        Some(parsed) => Some(parsed),
                        None => match scanner.scan(head, limits) {
                            Ok(Some(len)) => ResponseHead::parse(&head[..len], &mut fields, limits, kind)
                                .ok()
                                .map(gist),
                            Ok(None) => {
                                worker.return_fields(fields);
                                *partial = head.to_vec();
                                return Some(());
                            }
                            Err(_) => None,
                        },
                    };
                    worker.return_fields(fields);
                    let (len, status, interim, framing, persistent) = parsed?;
                    if !interim {
                        self.copy.ticket.answered(status);
                    }
                    // What of `bytes` belongs to the head: all but what is behind it.
                    at = bytes.len() - (head.len() - len);
                    self.response = match (interim, framing) {
                        (true, _) => Response::Head {
                            partial: Vec::new(),
                            scanner: HeadScanner::new(),
                        },
                        // An upgrade that was never asked for.
                        _ if status == 101 => return None,
                        (false, Framing::None) => Response::Ended { persistent },
                        (false, framing) => Response::Body {
                            decoder: BodyDecoder::new(framing),
                            persistent,
                        },
                    };
                    if let Response::Body { decoder, persistent } = &self.response
                        && decoder.is_ended()
                    {
                        self.response = Response::Ended {
                            persistent: *persistent,
                        };
                    }
                }
                Response::Body { decoder, persistent } => {
                    let len = decoder.decode(&bytes[at..], &mut ()).ok()?;
                    self.copy.ticket.received(len);
                    at += len;
                    if decoder.is_ended() {
                        self.response = Response::Ended {
                            persistent: *persistent,
                        };
                    }
                }
                // More than one response: whatever it is, the connection is not used again.
                Response::Ended { persistent } => {
                    *persistent = false;
                    return Some(());
                }
            }
        }
        Some(())
    }
}

fn write_failure(error: &io::Error) -> FailReason {
    match error.kind() {
        io::ErrorKind::ConnectionReset => FailReason::Reset,
        _ => FailReason::Closed,
    }
}
