//! One client's connection: frames in, answers out, in the order of the requests.
//!
//! Invariant: answers leave in the order in which their requests came, each after its handler's first stage ran in that
//! same order. What a connection holds in memory is bounded: see [`MAX_WAITING`] and [`MAX_WAITING_BYTES`].
//!
//! One task serves a connection: it reads while answers are waited for, and does not read while it writes, so a client
//! that does not read its answers stops only itself.

pub(crate) mod memory;
mod reader;
mod writer;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use catchword_log::Gathering;
use catchword_wire::Segment;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info};

use crate::broker::Broker;
use crate::clock;
use crate::dispatch::{self, Answer, Client, Refused};
use crate::outcome::BoxFuture;
use memory::Share;
use reader::{Reader, Step};

/// Requests of one connection that may wait for their answers at once.
const MAX_WAITING: usize = 128;
/// Bytes of such requests; a single larger request is taken when nothing else waits.
const MAX_WAITING_BYTES: usize = 4 << 20;
/// Requests of a connection that write more than this leave making it durable to the engine's own thread.
const MAX_LED_BYTES: usize = 16 << 10;
/// How long answers may still come once the broker is stopping.
const DRAIN: Duration = Duration::from_secs(3);
/// How long a connection that is idle but for an answer is left alone.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A request whose answer has not left yet.
struct Waiting {
    answer: Pending,
    bytes: usize,
    /// The request's share of the broker's request memory, given back with the answer.
    _memory: Share,
}

enum Pending {
    Ready(Vec<Segment>),
    Later(BoxFuture<Result<Vec<Segment>, Refused>>),
    Refused(Refused),
}

/// See the module.
pub(crate) struct Connection {
    broker: Arc<Broker>,
    client: Arc<Client>,
    stream: TcpStream,
    reader: Reader,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
}

/// What a connection waits for.
enum Event {
    /// The oldest answer is ready.
    Answered,
    Read(io::Result<Step>),
    Stopping,
    /// The timer, which may be early.
    Time,
}

/// Why a connection ended, as far as anybody wants to know.
enum End {
    /// The client closed it, or went away.
    Gone,
    /// It was idle for too long.
    Idle,
    /// The broker is stopping.
    Stopped,
    /// The client sent something that has no answer.
    Refused(Refused),
    Io(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => End::Gone,
            _ => End::Io(error),
        }
    }
}

impl Connection {
    pub(crate) fn new(
        broker: Arc<Broker>,
        stream: TcpStream,
        peer: SocketAddr,
        listener: usize,
    ) -> Connection {
        let _ = stream.set_nodelay(true);
        Connection {
            client: Arc::new(Client::new(peer, listener)),
            reader: Reader::new(&broker),
            broker,
            stream,
            // Most clients ask one thing at a time.
            waiting: VecDeque::with_capacity(1),
            waiting_bytes: 0,
        }
    }

    /// Serves the connection until either side ends it.
    pub(crate) async fn serve(&mut self) {
        let end = self.run().await;
        self.left();
        self.broker.telemetry.disconnected(&self.client);
        let Client { host, port, .. } = &*self.client;
        match end {
            End::Gone => debug!("{host}:{port}: connection closed by the client"),
            End::Idle => debug!(
                "{host}:{port}: connection closed: idle for longer than connections.max.idle.ms"
            ),
            End::Stopped => debug!("{host}:{port}: connection closed: the broker is stopping"),
            End::Refused(why) => info!("{host}:{port}: connection closed: {why}"),
            End::Io(error) => info!("{host}:{port}: connection closed: {error}"),
        }
    }

    /// What was bound to the connection goes with it: share sessions, and the records that were held in them.
    fn left(&self) {
        let Broker { readings, .. } = &*self.broker;
        readings.left(&self.client.seat, clock::steady_ms());
        let this = Arc::as_ptr(&self.client) as usize;
        for (group_id, member) in self.broker.share_sessions.connection_closed(this) {
            let Broker {
                shares, catalog, ..
            } = &*self.broker;
            shares.release(catalog, &group_id, &member);
        }
    }

    async fn run(&mut self) -> End {
        let mut stopping = self.broker.stopping();
        let mut stopping = pin!(stopping.changed());
        let max_idle = self.broker.max_idle();
        let mut last_active = Instant::now();
        let mut timer = pin!(sleep_until(last_active + max_idle));
        let mut drain_until: Option<Instant> = None;
        loop {
            if drain_until.is_none()
                && let Err(refused) = self.take_and_commit().await
            {
                // What was asked before is still answered.
                self.drain().await;
                return End::Refused(refused);
            }
            match self.write_ready().await {
                Ok(true) => {
                    last_active = Instant::now();
                    continue;
                }
                Ok(false) => {}
                Err(end) => return end,
            }
            if drain_until.is_some() && self.waiting.is_empty() {
                return End::Stopped;
            }
            let muted = self.client.muted_for();
            let may_read = drain_until.is_none() && self.has_room() && muted.is_none();
            self.reader
                .before_waiting(!self.waiting.is_empty(), may_read);
            // The timer is moved only where it would come too late: most often it fires for nothing, once in a long while.
            let muted_until = muted.map(|left| Instant::now() + left);
            if let Some(soon) = drain_until.or(muted_until)
                && soon < timer.deadline()
            {
                timer.as_mut().reset(soon);
            }
            let event = poll_fn(|cx| {
                if poll_front(&mut self.waiting, cx) {
                    return Poll::Ready(Event::Answered);
                }
                if may_read && let Poll::Ready(step) = self.reader.poll_step(&self.stream, cx) {
                    return Poll::Ready(Event::Read(step));
                }
                if drain_until.is_none() && stopping.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Event::Stopping);
                }
                timer.as_mut().poll(cx).map(|()| Event::Time)
            });
            match event.await {
                Event::Answered => {}
                Event::Read(Ok(Step::Progress)) => last_active = Instant::now(),
                Event::Read(Ok(Step::End)) => {
                    // A client may close its half and still read.
                    self.drain().await;
                    return End::Gone;
                }
                Event::Read(Err(error)) => return error.into(),
                Event::Stopping => drain_until = Some(Instant::now() + DRAIN),
                Event::Time => {
                    let now = Instant::now();
                    if drain_until.is_some_and(|until| until <= now) {
                        return End::Stopped;
                    }
                    let deadline = last_active + max_idle;
                    if deadline <= now && self.waiting.is_empty() {
                        return End::Idle;
                    }
                    timer.as_mut().reset(deadline.max(now + LOOK_AGAIN));
                }
            }
        }
    }

    fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING
            && (self.waiting_bytes < MAX_WAITING_BYTES || self.waiting.is_empty())
    }

    /// Takes requests, and makes what they wrote durable on this thread if it is little and nobody does so already: for
    /// the one who waits for it that is two changes of thread less.
    async fn take_and_commit(&mut self) -> Result<(), Refused> {
        let engine = self.broker.engine.clone();
        let gathering = Gathering::new(&*engine);
        let taken = self.take_requests();
        let may_block = self.broker.may_block() && self.waiting_bytes <= MAX_LED_BYTES;
        let (logs, others_gather) = gathering.gathered();
        // Readers who were woken are this thread's to serve, at once: the journal's own thread sees to the disk.
        let has_woken = self.client.has_woken.swap(false, Ordering::Relaxed);
        if may_block && logs > 0 && !has_woken {
            if logs > 1 || others_gather {
                // Whom this thread can serve comes first; their flushes gather too.
                tokio::task::yield_now().await;
            }
            gathering.lead();
        }
        taken
    }

    /// Runs the first stage of every whole request that was read, as far as there is room.
    fn take_requests(&mut self) -> Result<(), Refused> {
        while self.has_room() && self.client.muted_for().is_none() {
            let Some((frame, memory)) = self.reader.next_frame()? else {
                return Ok(());
            };
            let bytes = frame.len();
            let answer = match dispatch::request(&self.broker, &self.client, frame)? {
                Answer::Ready(segments) => Pending::Ready(segments),
                Answer::Later(future) => Pending::Later(future),
                Answer::Silent => continue,
            };
            self.waiting_bytes += bytes;
            self.waiting.push_back(Waiting {
                answer,
                bytes,
                _memory: memory,
            });
        }
        Ok(())
    }

    /// Writes the answers that are ready and next in order, together. Says whether there were any.
    async fn write_ready(&mut self) -> Result<bool, End> {
        let mut out = Vec::new();
        loop {
            match self.waiting.pop_front() {
                Some(Waiting {
                    answer: Pending::Ready(segments),
                    bytes,
                    ..
                }) => {
                    self.waiting_bytes -= bytes;
                    out.extend(segments);
                }
                Some(Waiting {
                    answer: Pending::Refused(why),
                    ..
                }) => return Err(End::Refused(why)),
                Some(later) => {
                    self.waiting.push_front(later);
                    break;
                }
                None => break,
            }
            // The next one may be ready as well: then both leave in one write.
            poll_fn(|cx| {
                poll_front(&mut self.waiting, cx);
                Poll::Ready(())
            })
            .await;
        }
        if out.is_empty() {
            return Ok(false);
        }
        let left = writer::write_now(&self.stream, out)?;
        if !left.is_empty() {
            Box::pin(writer::write_all(&mut self.stream, left)).await?;
        }
        Ok(true)
    }

    /// Answers what is waiting, if that does not take long, then nothing more.
    async fn drain(&mut self) {
        let answers = async {
            while !self.waiting.is_empty() {
                poll_fn(|cx| match poll_front(&mut self.waiting, cx) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                })
                .await;
                if self.write_ready().await.is_err() {
                    return;
                }
            }
        };
        // In a box: it comes once in a connection's life, and would make each of them larger.
        let _ = Box::pin(tokio::time::timeout(DRAIN, answers)).await;
    }
}

/// Goes on with the oldest answer. Says whether it is ready; without one there is none.
fn poll_front(waiting: &mut VecDeque<Waiting>, cx: &mut Context<'_>) -> bool {
    let Some(front) = waiting.front_mut() else {
        return false;
    };
    if let Pending::Later(future) = &mut front.answer {
        let Poll::Ready(done) = future.as_mut().poll(cx) else {
            return false;
        };
        front.answer = match done {
            Ok(segments) => Pending::Ready(segments),
            Err(why) => Pending::Refused(why),
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<'a, F: Future>(_: impl Fn(&'a mut Connection) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_is_small_so_that_ten_thousand_may_be_idle() {
        // With what tokio adds it has to fit into 1,024 bytes, as large as the allocator's next class is 1,792.
        let task = size_of::<Connection>() + size(Connection::serve);
        assert!(task <= 900, "{task} bytes");
    }
}
