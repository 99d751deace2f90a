//! The four codecs, as streams out of and into a batch's payload.
//!
//! Invariant: what a codec allocates to read is bounded by its format: gzip 32 KiB, snappy one
//! block, lz4 two blocks of 4 MiB at most, zstd a window of 128 MiB at most (of which only what was
//! really inflated is touched). What Kafka's Java consumers could not read is refused.

use std::io::{self, Read, Write};

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use flate2::bufread::MultiGzDecoder;
use lz4_flex::frame::{BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::header::Compression;
use super::snappy::{self, SnappyReader};

/// Largest zstd window, as zstd itself and Kafka's clients have it.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// zstd's own default level, Kafka's too.
const ZSTD_LEVEL: i32 = 3;

/// A stream of inflated records.
pub(super) enum Decoder {
    Gzip(Box<MultiGzDecoder<Reader<Bytes>>>),
    Snappy(SnappyReader),
    Lz4(Box<FrameDecoder<Reader<Bytes>>>),
    Zstd(zstd::stream::read::Decoder<'static, Reader<Bytes>>),
}

impl Decoder {
    /// Opens a compressed payload. `limit` (bytes) is what the caller will read at most.
    ///
    /// # Panics
    /// For [`Compression::None`]: such payloads are read in place.
    pub(super) fn open(codec: Compression, payload: Bytes, limit: u64) -> io::Result<Self> {
        match codec {
            Compression::None => unreachable!("an uncompressed payload is read in place"),
            Compression::Gzip => Ok(Self::Gzip(Box::new(MultiGzDecoder::new(payload.reader())))),
            Compression::Snappy => Ok(Self::Snappy(SnappyReader::new(payload, limit))),
            Compression::Lz4 => {
                let frame = payload.slice(..lz4_frame_len(&payload)?);
                Ok(Self::Lz4(Box::new(FrameDecoder::new(frame.reader()))))
            }
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(payload.reader())?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Ok(Self::Zstd(decoder))
            }
        }
    }
}

impl Read for Decoder {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(out),
            Self::Snappy(decoder) => decoder.read(out),
            Self::Lz4(decoder) => decoder.read(out),
            Self::Zstd(decoder) => decoder.read(out),
        }
    }
}

/// Length of the LZ4 frame at the front of `payload`.
///
/// Kafka reads one frame, only with independent blocks and without a dictionary, and not without
/// its end mark; what follows the frame is ignored.
fn lz4_frame_len(payload: &[u8]) -> io::Result<usize> {
    const MAGIC: [u8; 4] = 0x184D_2204u32.to_le_bytes();
    const UNCOMPRESSED: u32 = 0x8000_0000;
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the lz4 frame is cut short");
    let (Some(&magic), Some(&flags)) = (payload.first_chunk(), payload.get(4)) else {
        return Err(cut());
    };
    let version_and_independence = flags & 0b1110_0000;
    let dictionary = flags & 0b0000_0001;
    if magic != MAGIC || version_and_independence != 0b0110_0000 || dictionary != 0 {
        return Err(io::Error::other("not an lz4 frame of independent blocks"));
    }
    let flag_len = |bit: u8, len: usize| if flags & bit != 0 { len } else { 0 };
    let block_checksum = flag_len(0b0001_0000, 4);
    let content_size = flag_len(0b0000_1000, 8);
    let content_checksum = flag_len(0b0000_0100, 4);
    let mut at = 7 + content_size;
    loop {
        let mut rest = payload.get(at..).ok_or_else(cut)?;
        let size = rest.try_get_u32_le().map_err(|_| cut())?;
        at += 4;
        if size == 0 {
            at += content_checksum;
            return if at <= payload.len() {
                Ok(at)
            } else {
                Err(cut())
            };
        }
        let length = (size & !UNCOMPRESSED) as usize;
        // A compressed block of one byte, or a stored one of none, is empty; a reader takes it for
        // the end and hides what follows.
        if length == 0 || size == 1 {
            return Err(io::Error::other("an lz4 block is empty"));
        }
        at += length + block_checksum;
    }
}

/// Appends `records` to `out`, compressed.
pub(super) fn compress(codec: Compression, records: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    match codec {
        Compression::None => out.extend_from_slice(records),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
            encoder.write_all(records)?;
            encoder.finish()?;
        }
        Compression::Snappy => snappy::compress(records, out)?,
        Compression::Lz4 => {
            let info = FrameInfo::new().block_size(BlockSize::Max64KB);
            let mut encoder = FrameEncoder::with_frame_info(info, out);
            encoder.write_all(records)?;
            encoder.finish().map_err(io::Error::other)?;
        }
        Compression::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(out, ZSTD_LEVEL)?;
            encoder.write_all(records)?;
            encoder.finish()?;
        }
    }
    Ok(())
}
