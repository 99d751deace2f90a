//! Bytes from a socket, cut into frames.
//!
//! Invariant: a length that a client claims costs no memory before the broker's request memory has room for it, and an
//! idle connection holds no buffer.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::broker::Broker;
use crate::dispatch::Refused;

/// Frames up to this size are covered by the connection's own bounds; larger ones take a share of the broker's memory.
const SMALL_FRAME: usize = 64 << 10;
/// What is read at once where the size of what comes is not known.
const CHUNK: usize = 8 << 10;

pub(crate) struct Reader {
    buf: BytesMut,
    max_frame: usize,
    memory: Arc<Semaphore>,
    memory_total_kib: u32,
    /// The share that the frame now being read has taken.
    taken: Option<OwnedSemaphorePermit>,
}

/// What a step brought.
pub(crate) enum Step {
    Progress,
    End,
}

impl Reader {
    pub(crate) fn new(broker: &Broker) -> Reader {
        let (memory, memory_total_kib) = broker.request_memory();
        Reader {
            buf: BytesMut::new(),
            max_frame: broker.max_frame(),
            memory,
            memory_total_kib,
            taken: None,
        }
    }

    /// The next whole frame without its length, and its share of memory.
    pub(crate) fn next_frame(
        &mut self,
    ) -> Result<Option<(Bytes, Option<OwnedSemaphorePermit>)>, Refused> {
        let Some(len) = self.frame_len()? else {
            return Ok(None);
        };
        if self.buf.len() < 4 + len || (len > SMALL_FRAME && self.taken.is_none()) {
            return Ok(None);
        }
        self.buf.advance(4);
        Ok(Some((self.buf.split_to(len).freeze(), self.taken.take())))
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

    /// Waits for bytes, or for memory for a large frame. May be dropped at any await without loss.
    pub(crate) async fn step(&mut self, stream: &mut TcpStream) -> io::Result<Step> {
        // A bad length was reported by `next_frame` before anybody waits here.
        let frame = self.frame_len().ok().flatten().unwrap_or(0);
        if frame > SMALL_FRAME && self.taken.is_none() {
            let kib = u32::try_from(frame.div_ceil(1024))
                .unwrap_or(u32::MAX)
                .min(self.memory_total_kib);
            match self.memory.clone().acquire_many_owned(kib).await {
                Ok(permit) => self.taken = Some(permit),
                Err(_) => return Ok(Step::End),
            }
            return Ok(Step::Progress);
        }
        loop {
            stream.readable().await?;
            let missing = (4 + frame).saturating_sub(self.buf.len());
            self.buf.reserve(missing.max(CHUNK));
            match stream.try_read_buf(&mut self.buf) {
                Ok(0) => return Ok(Step::End),
                Ok(_) => return Ok(Step::Progress),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}
