//! Bytes from a socket, cut into frames.
//!
//! Invariant: a length that a client claims costs nothing; bytes that come take their share of the broker's request
//! memory first, and an idle connection holds no buffer.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::broker::Broker;
use crate::connection::memory::{RequestMemory, Share};
use crate::dispatch::Refused;

/// What is read at once where the size of what comes is not known, in bytes; it lies on the stack.
const CHUNK: usize = 8 << 10;
/// How many times of what is paid for the buffer has room at most.
const AHEAD: usize = 4;
/// How long a client may send nothing in the middle of a request whose memory others may be waiting for.
const STALL: Duration = Duration::from_secs(30);

pub(crate) struct Reader {
    buf: BytesMut,
    max_frame: usize,
    memory: Arc<RequestMemory>,
    /// The share of the frame now being read.
    share: Share,
    /// Waits for a larger one, and has it meanwhile.
    growing: Option<Pin<Box<dyn Future<Output = io::Result<Share>> + Send>>>,
    /// Ends a wait for a client that sends nothing while others wait for the memory that it has.
    stall: Option<Pin<Box<Sleep>>>,
}

/// What a step brought.
pub(crate) enum Step {
    Progress,
    End,
}

impl Reader {
    pub(crate) fn new(broker: &Broker) -> Reader {
        Reader {
            buf: BytesMut::new(),
            max_frame: broker.max_frame(),
            memory: broker.request_memory(),
            share: Share::default(),
            growing: None,
            stall: None,
        }
    }

    /// The next whole frame without its length, and its share of memory.
    pub(crate) fn next_frame(&mut self) -> Result<Option<(Bytes, Share)>, Refused> {
        let Some(len) = self.frame_len()? else {
            return Ok(None);
        };
        if self.buf.len() < 4 + len || self.share.covered() < len {
            return Ok(None);
        }
        // The usual case is the short one: one request is there, and all of it.
        let mut frame = match self.buf.len() == 4 + len {
            true => std::mem::take(&mut self.buf),
            false => self.buf.split_to(4 + len),
        };
        frame.advance(4);
        Ok(Some((frame.freeze(), std::mem::take(&mut self.share))))
    }

    /// The length of the frame at the front, once its four bytes are there.
    fn frame_len(&self) -> Result<Option<usize>, Refused> {
        let Some(prefix) = self.buf.first_chunk::<4>() else {
            return Ok(None);
        };
        let len = i32::from_be_bytes(*prefix);
        match usize::try_from(len) {
            Ok(len) if len <= self.max_frame => Ok(Some(len)),
            _ => Err(Refused::FrameSize {
                size: len,
                max: self.max_frame,
            }),
        }
    }

    /// Gives the buffer back where nothing is expected soon, and forgives a client that is not listened to.
    pub(crate) fn before_waiting(&mut self, busy: bool, may_read: bool) {
        if !may_read {
            self.stall = None;
        }
        if !busy && self.buf.is_empty() {
            self.buf = BytesMut::new();
        }
    }

    /// Waits for bytes, or for memory to hold them. Nothing is lost between two polls.
    pub(crate) fn poll_step(
        &mut self,
        stream: &TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Step>> {
        // A bad length was reported by `next_frame` before anybody waits here.
        let frame = self.frame_len().ok().flatten().unwrap_or(0);
        let (whole, here) = (4 + frame, self.buf.len());
        let covered = self.share.covered().saturating_add(4);
        if covered < whole && covered <= here {
            return self.poll_grow(cx).map_ok(|()| Step::Progress);
        }
        // Address space for more than is paid for saves copies of the buffer as it grows; a mere claim gets none.
        let pays = self.share.holds_memory();
        let ahead = covered.saturating_mul(if pays { AHEAD } else { 1 });
        loop {
            match stream.poll_read_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending if pays => return self.poll_stall(cx),
                Poll::Pending => return Poll::Pending,
            }
            self.stall = None;
            let read = match here {
                0 => self.try_first(stream),
                _ => {
                    self.buf
                        .reserve(whole.min(ahead).saturating_sub(here).max(CHUNK));
                    let room = match covered < whole {
                        true => covered - here,
                        false => usize::MAX,
                    };
                    stream.try_read_buf(&mut (&mut self.buf).limit(room))
                }
            };
            // `try_read_buf` lets the socket be asked again after all was read. That is meant: a client that waits for each
            // answer has often sent its next request by then, and not to be woken for it saves a fifth of its CPU.
            match read {
                Ok(0) => return Poll::Ready(Ok(Step::End)),
                Ok(_) => return Poll::Ready(Ok(Step::Progress)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Reads what comes first by way of the stack, so that a small request gets no more memory than it needs, and a
    /// connection that has nothing to say, none.
    fn try_first(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let mut chunk = [const { MaybeUninit::uninit() }; CHUNK];
        let mut read = ReadBuf::uninit(&mut chunk);
        let came = stream.try_read_buf(&mut read)?;
        self.buf.extend_from_slice(read.filled());
        Ok(came)
    }

    /// Waits until the share covers more.
    fn poll_grow(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let growing = self.growing.get_or_insert_with(|| {
            let (memory, mut share) = (self.memory.clone(), std::mem::take(&mut self.share));
            Box::pin(async move { share.grow(&memory).await.map(|()| share) })
        });
        let grown = ready!(growing.as_mut().poll(cx));
        self.growing = None;
        self.share = grown?;
        Poll::Ready(Ok(()))
    }

    /// Waits until the client has sent nothing for too long.
    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Step>> {
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(STALL)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::other("a request stopped halfway for 30 s")))
    }
}
