//! Compressed bytes that are not records: only how much comes out of them is of interest.
//!
//! Invariant: no more than the limit is inflated, and nothing of it is kept.

use std::io::{self, Read};

use bytes::Bytes;

use super::codec::Decoder;
use super::header::Compression;
use super::source::OverLimit;

/// How many bytes `payload` inflates to, of which `limit` are allowed. What is not compressed is taken as it is, whatever
/// its size.
///
/// # Errors
/// What the decompressor says, or that there is more than the limit.
pub fn inflated_len(codec: Compression, payload: Bytes, limit: u64) -> io::Result<u64> {
    if codec == Compression::None {
        return Ok(payload.len() as u64);
    }
    let decoder = Decoder::open(codec, payload, limit)?;
    let inflated = io::copy(&mut decoder.take(limit.saturating_add(1)), &mut io::sink())?;
    if inflated > limit {
        return Err(io::Error::other(OverLimit));
    }
    Ok(inflated)
}

#[cfg(test)]
mod tests {
    use super::super::codec::compress;
    use super::*;

    const CODECS: [Compression; 4] = [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    fn compressed(codec: Compression, text: &[u8]) -> Bytes {
        let mut out = Vec::new();
        compress(codec, text, &mut out).unwrap();
        out.into()
    }

    #[test]
    fn what_inflates_to_no_more_than_the_limit_is_measured_in_every_codec() {
        for codec in CODECS {
            let payload = compressed(codec, &[7; 100_000]);
            let len = |limit| inflated_len(codec, payload.clone(), limit).ok();
            assert_eq!(len(100_000), Some(100_000), "{codec}");
            assert_eq!(len(99_999), None, "{codec}");
        }
    }

    #[test]
    fn what_is_no_stream_of_the_codec_is_an_error() {
        for codec in CODECS {
            let nonsense = Bytes::from_static(b"\xff\xffnot compressed at all");
            assert!(inflated_len(codec, nonsense, 1 << 20).is_err(), "{codec}");
        }
    }
}
