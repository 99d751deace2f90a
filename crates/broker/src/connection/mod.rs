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
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
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

struct Connection {
    broker: Arc<Broker>,
    client: Arc<Client>,
    stream: TcpStream,
    reader: Reader,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
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

/// Serves a connection until either side ends it.
pub(crate) async fn serve(
    broker: Arc<Broker>,
    stream: TcpStream,
    peer: SocketAddr,
    listener: usize,
) {
    let _ = stream.set_nodelay(true);
    let client = Arc::new(Client::new(peer, listener));
    let reader = Reader::new(&broker);
    let mut connection = Connection {
        broker,
        client,
        stream,
        reader,
        waiting: VecDeque::new(),
        waiting_bytes: 0,
    };
    let end = connection.run().await;
    connection.left();
    connection.broker.telemetry.disconnected(&connection.client);
    match end {
        End::Gone => debug!(%peer, "connection closed by the client"),
        End::Idle => {
            debug!(%peer, "connection closed: idle for longer than connections.max.idle.ms")
        }
        End::Stopped => debug!(%peer, "connection closed: the broker is stopping"),
        End::Refused(why) => info!(%peer, "connection closed: {why}"),
        End::Io(error) => info!(%peer, "connection closed: {error}"),
    }
}

impl Connection {
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
        let max_idle = self.broker.max_idle();
        let mut last_active = Instant::now();
        let idle = sleep_until(last_active + max_idle);
        tokio::pin!(idle);
        let mut drain_until: Option<Instant> = None;
        loop {
            if drain_until.is_none()
                && let Err(refused) = self.take_and_commit().await
            {
                // What was asked before is still answered.
                let _ = tokio::time::timeout(DRAIN, self.finish()).await;
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
            let waits = !self.waiting.is_empty();
            self.reader.before_waiting(waits);
            tokio::select! {
                biased;
                () = answer_comes(&mut self.waiting), if waits => {}
                read = self.reader.step(&mut self.stream), if may_read => match read {
                    Ok(Step::Progress) => last_active = Instant::now(),
                    Ok(Step::End) => {
                        // A client may close its half and still read.
                        let _ = tokio::time::timeout(DRAIN, self.finish()).await;
                        return End::Gone;
                    }
                    Err(error) => return error.into(),
                },
                () = tokio::time::sleep(muted.unwrap_or_default()), if muted.is_some() => {}
                _ = stopping.changed(), if drain_until.is_none() => drain_until = Some(Instant::now() + DRAIN),
                () = sleep_until(drain_until.unwrap_or(last_active)), if drain_until.is_some() => return End::Stopped,
                () = &mut idle => {
                    let deadline = last_active + max_idle;
                    if deadline <= Instant::now() && !waits {
                        return End::Idle;
                    }
                    idle.as_mut().reset(deadline.max(Instant::now() + Duration::from_secs(1)));
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
        writer::write_all(&mut self.stream, out).await?;
        Ok(true)
    }

    /// Answers what is waiting, then nothing more.
    async fn finish(&mut self) -> Result<(), End> {
        while !self.waiting.is_empty() {
            answer_comes(&mut self.waiting).await;
            self.write_ready().await?;
        }
        Ok(())
    }
}

/// Resolves when the oldest answer is ready.
async fn answer_comes(waiting: &mut VecDeque<Waiting>) {
    poll_fn(|cx| {
        poll_front(waiting, cx);
        match waiting.front() {
            Some(Waiting {
                answer: Pending::Later(_),
                ..
            }) => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
}

fn poll_front(waiting: &mut VecDeque<Waiting>, cx: &mut Context<'_>) {
    if let Some(front) = waiting.front_mut()
        && let Pending::Later(future) = &mut front.answer
        && let Poll::Ready(done) = future.as_mut().poll(cx)
    {
        front.answer = match done {
            Ok(segments) => Pending::Ready(segments),
            Err(why) => Pending::Refused(why),
        };
    }
}
