//! Snappy payloads: xerial's framing as Kafka's Java client writes it, and raw blocks as librdkafka
//! and the Go clients do.
//!
//! Invariant: one block is held at a time, and a block is believed to inflate only as far as its
//! bytes could.
//!
//! Framing: a header of 16 bytes (magic, version, compatible version), then chunks, each a
//! big-endian length and a raw block. The header may come again where a chunk is expected.

use std::io::{self, Read};

use bytes::{Buf, Bytes};

use super::source::OverLimit;

const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
const HEADER_LEN: usize = 16;
/// Chunk size of snappy-java, which every reader can hold.
const CHUNK_LEN: usize = 32 * 1024;
/// A copy element of 3 bytes stands for 64 at most: no block grows more than 22-fold.
const MAX_GROWTH: usize = 22;

/// Inflates a snappy payload chunk by chunk.
pub(super) struct SnappyReader {
    rest: Bytes,
    framed: bool,
    limit: usize,
    chunk: Vec<u8>,
    position: usize,
}

impl SnappyReader {
    /// A reader that refuses blocks which inflate beyond `limit` bytes.
    pub(super) fn new(payload: Bytes, limit: u64) -> Self {
        let framed = payload.len() >= HEADER_LEN && payload.starts_with(&MAGIC);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            rest: payload,
            framed,
            limit,
            chunk: Vec::new(),
            position: 0,
        }
    }

    /// The next raw block, or `None` at the end.
    fn next_block(&mut self) -> io::Result<Option<Bytes>> {
        if !self.framed {
            let block = std::mem::take(&mut self.rest);
            return Ok((!block.is_empty()).then_some(block));
        }
        while self.rest.len() >= HEADER_LEN && self.rest.starts_with(&MAGIC) {
            self.rest.advance(HEADER_LEN);
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let length = self.rest.try_get_u32().map_err(|_| cut())? as usize;
        if length > self.rest.len() {
            return Err(cut());
        }
        Ok(Some(self.rest.split_to(length)))
    }

    fn inflate(&mut self, block: &[u8]) -> io::Result<()> {
        let length = snap::raw::decompress_len(block)?;
        if length > block.len().saturating_mul(MAX_GROWTH) {
            return Err(io::Error::other(
                "a snappy block announces more than it can hold",
            ));
        }
        if length > self.limit {
            return Err(io::Error::other(OverLimit));
        }
        self.chunk.resize(length, 0);
        self.position = 0;
        snap::raw::Decoder::new().decompress(block, &mut self.chunk)?;
        Ok(())
    }
}

impl Read for SnappyReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.position == self.chunk.len() {
            let Some(block) = self.next_block()? else {
                return Ok(0);
            };
            self.inflate(&block)?;
        }
        let count = out.len().min(self.chunk.len() - self.position);
        out[..count].copy_from_slice(&self.chunk[self.position..self.position + count]);
        self.position += count;
        Ok(count)
    }
}

/// Appends `records` to `out`, framed.
pub(super) fn compress(records: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&1u32.to_be_bytes());
    out.extend_from_slice(&1u32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for chunk in records.chunks(CHUNK_LEN) {
        let block = encoder.compress_vec(chunk)?;
        // A chunk of 32 KiB grows by a sixth at most.
        out.extend_from_slice(&(block.len() as u32).to_be_bytes());
        out.extend_from_slice(&block);
    }
    Ok(())
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "a snappy chunk is cut short")
}
