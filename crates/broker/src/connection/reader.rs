//! Bytes from a socket, cut into frames.
//!
//! Invariant: a length that a client claims costs nothing; bytes that come take their share of the broker's request
//! memory first, and an idle connection holds no buffer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::broker::Broker;
use crate::connection::memory::{RequestMemory, Share};
use crate::dispatch::Refused;

/// What is read at once where the size of what comes is not known.
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
        self.buf.advance(4);
        let frame = self.buf.split_to(len).freeze();
        Ok(Some((frame, std::mem::take(&mut self.share))))
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

    /// Gives the buffer back where nothing is expected soon.
    pub(crate) fn before_waiting(&mut self, busy: bool) {
        if !busy && self.buf.is_empty() {
            self.buf = BytesMut::new();
        }
    }

    /// Waits for bytes, or for memory to hold them. May be dropped at any await without loss.
    pub(crate) async fn step(&mut self, stream: &mut TcpStream) -> io::Result<Step> {
        // A bad length was reported by `next_frame` before anybody waits here.
        let frame = self.frame_len().ok().flatten().unwrap_or(0);
        let (whole, here) = (4 + frame, self.buf.len());
        let covered = self.share.covered().saturating_add(4);
        if covered < whole && covered <= here {
            self.share.grow(&self.memory).await?;
            return Ok(Step::Progress);
        }
        // Address space for more than is paid for saves copies of the buffer as it grows; a mere claim gets none.
        let pays = self.share.holds_memory();
        let ahead = covered.saturating_mul(if pays { AHEAD } else { 1 });
        loop {
            if pays {
                let halfway = |_| io::Error::other("a request stopped halfway for 30 s");
                timeout(STALL, stream.readable()).await.map_err(halfway)??;
            } else {
                stream.readable().await?;
            }
            self.buf
                .reserve(whole.min(ahead).saturating_sub(here).max(CHUNK));
            let room = if covered < whole {
                covered - here
            } else {
                usize::MAX
            };
            match stream.try_read_buf(&mut (&mut self.buf).limit(room)) {
                Ok(0) => return Ok(Step::End),
                Ok(_) => return Ok(Step::Progress),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}
