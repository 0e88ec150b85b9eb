//! HTTP/2 connections to a mirror: each carries many copies, and each copy is a task of its own.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use h2::client::{Connection, ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use mynah_config::model::Alpn;
use mynah_core::{FailReason, Outcome, ShedReason};
use tokio::time::{Instant, Sleep, sleep_until, timeout, timeout_at};

use super::queue::{BodyQueue, Item, Next};
use super::{ConnectionSlot, DecodedCopy, Lane, Seat, Ticket};
use crate::connect::{ConnectError, connect_mirror};
use crate::stream::Stream;

/// Copies that a connection takes before the mirror has said how many it allows.
const STREAMS: usize = 100;
/// Bytes of all responses together that a mirror may send ahead; they are thrown away as they come.
const WINDOW: u32 = 1024 * 1024;

/// A part of a body. It counts as waiting for the mirror until `h2`, which takes more than it writes, has let go of it.
struct Part {
    data: Bytes,
    counted: Option<(Rc<BodyQueue>, usize)>,
}

impl Part {
    fn of(queue: &Rc<BodyQueue>, data: Bytes) -> Self {
        let counted = Some((queue.clone(), data.len()));
        Self { data, counted }
    }

    /// What carries the end of a body.
    fn last() -> Self {
        Self {
            data: Bytes::new(),
            counted: None,
        }
    }
}

impl Buf for Part {
    fn remaining(&self) -> usize {
        self.data.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.data
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some((queue, bytes)) = &self.counted {
            queue.written(*bytes);
        }
    }
}

/// A connection among the lane's.
pub(super) struct Link {
    seat: Rc<Seat>,
    sender: RefCell<Option<SendRequest<Part>>>,
    /// Copies that came before the connection was made.
    waiting: RefCell<Vec<DecodedCopy>>,
    active: Cell<usize>,
    room: Cell<usize>,
    /// It takes no more copies.
    gone: Cell<bool>,
}

impl Link {
    pub(super) fn new(seat: Rc<Seat>) -> Rc<Self> {
        Rc::new(Self {
            seat,
            sender: RefCell::default(),
            waiting: RefCell::default(),
            active: Cell::new(0),
            room: Cell::new(STREAMS),
            gone: Cell::new(false),
        })
    }

    pub(super) fn has_room(&self) -> bool {
        !self.gone.get() && self.active.get() < self.room.get()
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.gone.get() && self.active.get() == 0
    }

    pub(super) fn take_away(&self, why: ShedReason) {
        self.gone.set(true);
        self.seat.take_away(why);
    }

    /// Takes a copy, to be sent now or once connected.
    pub(super) fn take(self: &Rc<Self>, lane: &Rc<Lane>, copy: DecodedCopy) {
        self.active.set(self.active.get() + 1);
        let sender = self.sender.borrow().clone();
        match sender {
            Some(sender) => self.begin(lane, sender, copy),
            None => self.waiting.borrow_mut().push(copy),
        }
    }

    fn begin(self: &Rc<Self>, lane: &Rc<Lane>, sender: SendRequest<Part>, copy: DecodedCopy) {
        tokio::task::spawn_local(send(lane.clone(), self.clone(), sender, copy));
    }

    fn left(&self) {
        self.active.set(self.active.get() - 1);
        if self.active.get() == 0
            && let Some(waker) = self.seat.waker.take()
        {
            waker.wake();
        }
    }
}

/// A link in the lane's list, until its task ends, also by a panic. Copies that it has not begun end with it.
struct Listed {
    lane: Rc<Lane>,
    link: Rc<Link>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let link = &self.link;
        link.gone.set(true);
        link.sender.take();
        self.lane.links.borrow_mut().retain(|other| !Rc::ptr_eq(other, link));
        for copy in link.waiting.take() {
            drop(copy);
            link.left();
        }
    }
}

/// Connects and keeps the connection going while it is of use.
pub(super) async fn run(lane: Rc<Lane>, slot: ConnectionSlot, link: Rc<Link>) {
    let listed = Listed {
        lane: lane.clone(),
        link: link.clone(),
    };
    let connected = {
        let mut connecting = pin!(connect(&lane));
        poll_fn(|cx| {
            if let Some(why) = link.seat.poll_taken_away(cx) {
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
        Ok((sender, connection)) => {
            link.room
                .set(connection.max_concurrent_send_streams().clamp(1, STREAMS));
            link.sender.replace(Some(sender.clone()));
            for copy in link.waiting.take() {
                link.begin(&lane, sender.clone(), copy);
            }
            drop(sender);
            drive(&lane, &link, connection).await;
        }
        Err(outcome) => {
            link.gone.set(true);
            for copy in link.waiting.take() {
                copy.finish(outcome);
                link.left();
            }
        }
    }
    drop(listed);
    drop(slot);
}

async fn connect(lane: &Lane) -> Result<(SendRequest<Part>, Connection<Stream, Part>), ConnectError> {
    let stream = connect_mirror(&lane.plan, &lane.cursor, true).await?;
    agreed(&stream)?;
    let handshake = h2::client::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .enable_push(false)
        .handshake(stream);
    match timeout(lane.mirror().connect_timeout, handshake).await {
        Ok(Ok(connected)) => Ok(connected),
        Ok(Err(error)) => Err(ConnectError::Connect(io::Error::other(error))),
        Err(_) => Err(ConnectError::Timeout),
    }
}

/// Under TLS both sides must have agreed on HTTP/2.
pub(crate) fn agreed(stream: &Stream) -> Result<(), ConnectError> {
    if stream.is_tls() && stream.alpn() != Some(Alpn::H2) {
        return Err(ConnectError::Tls(io::Error::other("the peer does not speak HTTP/2")));
    }
    Ok(())
}

/// Until the connection ends, production needs its descriptor, or nobody has used it for long.
async fn drive(lane: &Lane, link: &Link, mut connection: Connection<Stream, Part>) {
    let mut idle: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|cx| {
        if link.seat.poll_taken_away(cx).is_some() {
            return Poll::Ready(());
        }
        if Pin::new(&mut connection).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        link.room
            .set(connection.max_concurrent_send_streams().clamp(1, STREAMS));
        if link.active.get() > 0 {
            idle = None;
            return Poll::Pending;
        }
        if link.gone.get() || !lane.keeps_connections() {
            return Poll::Ready(());
        }
        let timer = idle.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + lane.idle_timeout())));
        timer.as_mut().poll(cx)
    })
    .await;
}

impl DecodedCopy {
    fn finish(self, outcome: Outcome) {
        if let Some(body) = &self.body {
            body.close();
        }
        self.ticket.finish(outcome);
    }
}

/// Counts a copy out of its connection, also when its task panics.
struct Active(Rc<Link>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.left();
    }
}

/// Sends one copy and throws the response away.
async fn send(lane: Rc<Lane>, link: Rc<Link>, sender: SendRequest<Part>, mut copy: DecodedCopy) {
    let _active = Active(link.clone());
    let deadline = lane.deadline(copy.ticket.started);
    let max = lane.mirror().max_response.bytes();
    let ended = timeout_at(deadline, deliver(&link, sender, &mut copy, max)).await;
    let outcome = match (link.seat.taken_away.get(), ended) {
        (Some(why), _) => Outcome::Shed(why),
        (None, Ok(outcome)) => outcome,
        (None, Err(_)) => {
            // As in HTTP/1: a connection on which nothing comes back is left once its other copies have ended. What is to
            // be sent on it, if only that this copy is given up, would pile up if the mirror does not read.
            link.gone.set(true);
            Outcome::Failed(FailReason::Timeout)
        }
    };
    copy.finish(outcome);
}

async fn deliver(link: &Link, mut sender: SendRequest<Part>, copy: &mut DecodedCopy, max: u64) -> Outcome {
    if let Err(error) = poll_fn(|cx| sender.poll_ready(cx)).await {
        link.gone.set(true);
        return failed(&error);
    }
    let request = std::mem::take(&mut copy.request);
    let (response, stream) = match sender.send_request(request, copy.body.is_none()) {
        Ok(sent) => sent,
        Err(error) => return failed(&error),
    };
    drop(sender);
    // The head counts as held until the copy has ended: nobody tells when it was written.
    match &copy.body {
        None => discard(link, &copy.ticket, response, max)
            .await
            .err()
            .unwrap_or(Outcome::Delivered),
        Some(body) => exchange(link, &copy.ticket, response, stream, body, max).await,
    }
}

/// Body out and response in, at the same time.
async fn exchange(
    link: &Link,
    ticket: &Ticket,
    response: ResponseFuture,
    stream: SendStream<Part>,
    body: &Rc<BodyQueue>,
    max: u64,
) -> Outcome {
    let mut upload = Upload { stream, whole: false };
    let mut received = false;
    let mut sent = false;
    let outcome = {
        let mut sending = pin!(write(&mut upload.stream, ticket, body));
        let mut receiving = pin!(discard(link, ticket, response, max));
        poll_fn(|cx| {
            if !received && let Poll::Ready(result) = receiving.as_mut().poll(cx) {
                match result {
                    Ok(()) => received = true,
                    Err(outcome) => return Poll::Ready(outcome),
                }
            }
            if !sent && let Poll::Ready(result) = sending.as_mut().poll(cx) {
                match result {
                    Ok(()) => sent = true,
                    // The mirror has answered and wants no more of it.
                    Err(Outcome::Failed(_)) if received => return Poll::Ready(Outcome::Delivered),
                    Err(outcome @ Outcome::Shed(_)) => return Poll::Ready(outcome),
                    // Its response may still come, and says more.
                    Err(Outcome::Failed(_) | Outcome::Delivered) => sent = true,
                }
            }
            if sent && received {
                Poll::Ready(Outcome::Delivered)
            } else {
                Poll::Pending
            }
        })
        .await
    };
    upload.whole = outcome == Outcome::Delivered;
    outcome
}

/// The sending half of a stream; reset when dropped before all is well, so that nothing more of it waits.
struct Upload {
    stream: SendStream<Part>,
    whole: bool,
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.whole {
            self.stream.send_reset(Reason::CANCEL);
        }
    }
}

async fn write(stream: &mut SendStream<Part>, ticket: &Ticket, body: &Rc<BodyQueue>) -> Result<(), Outcome> {
    loop {
        let next = poll_fn(|cx| match body.poll_next(cx) {
            Poll::Pending => stream.poll_reset(cx).map(|_| Err(Outcome::Failed(FailReason::Reset))),
            Poll::Ready(next) => Poll::Ready(Ok(next)),
        })
        .await?;
        match next {
            Next::Cut(reason) => return Err(Outcome::Shed(reason)),
            Next::Ended => return stream.send_data(Part::last(), true).map_err(|error| failed(&error)),
            Next::Item(Item::Trailers(trailers)) => {
                return stream.send_trailers(*trailers).map_err(|error| failed(&error));
            }
            Next::Item(Item::Data(mut data)) => {
                while !data.is_empty() {
                    stream.reserve_capacity(data.len());
                    let room = poll_fn(|cx| poll_room(stream, body, cx)).await?;
                    let len = room.min(data.len());
                    let part = Part::of(body, data.split_to(len));
                    stream.send_data(part, false).map_err(|error| failed(&error))?;
                    ticket.sent(len);
                }
            }
        }
    }
}

/// Waits for the mirror's windows, and hears meanwhile when the copy is cut.
fn poll_room(stream: &mut SendStream<Part>, body: &BodyQueue, cx: &mut Context<'_>) -> Poll<Result<usize, Outcome>> {
    if let Some(reason) = body.is_cut() {
        return Poll::Ready(Err(Outcome::Shed(reason)));
    }
    if stream.capacity() > 0 {
        return Poll::Ready(Ok(stream.capacity()));
    }
    body.watch(cx);
    stream.poll_capacity(cx).map(|room| match room {
        Some(Ok(room)) => Ok(room),
        Some(Err(error)) => Err(failed(&error)),
        None => Err(Outcome::Failed(FailReason::Reset)),
    })
}

/// Reads a response and throws it away, up to so many bytes.
async fn discard(link: &Link, ticket: &Ticket, response: ResponseFuture, max: u64) -> Result<(), Outcome> {
    let mut body = match response.await {
        Ok(response) => {
            ticket.answered(response.status().as_u16());
            response.into_body()
        }
        Err(error) => {
            if error.is_go_away() {
                link.gone.set(true);
            }
            return Err(failed(&error));
        }
    };
    let mut discarded = 0;
    while let Some(data) = body.data().await {
        let len = match data {
            Ok(data) => data.len(),
            Err(error) if error.reason() == Some(Reason::NO_ERROR) => return Ok(()),
            Err(error) => return Err(failed(&error)),
        };
        discarded += len as u64;
        ticket.received(len);
        if discarded > max {
            // Dropping the stream resets it.
            ticket.cut_response();
            return Ok(());
        }
        let _ = body.flow_control().release_capacity(len);
    }
    match body.trailers().await {
        Err(error) if error.reason() != Some(Reason::NO_ERROR) => Err(failed(&error)),
        _ => Ok(()),
    }
}

fn failed(error: &h2::Error) -> Outcome {
    let reset = |io: &io::Error| io.kind() == io::ErrorKind::ConnectionReset;
    Outcome::Failed(if error.is_reset() || error.get_io().is_some_and(reset) {
        FailReason::Reset
    } else if error.is_io() || error.is_go_away() && error.is_remote() {
        FailReason::Closed
    } else {
        FailReason::BadResponse
    })
}
