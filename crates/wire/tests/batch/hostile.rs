//! Bytes from strangers: every byte flipped, every length cut, bombs. An error, never a panic.

use std::io::Write;

use bytes::BytesMut;
use catchword_wire::batch::{
    Batch, BatchError, Compression, HEADER_LEN, InvalidBatch, ValidateOptions, code, records,
    split, validate, view_records,
};

use crate::{CODECS, parse, sample, with_crc, with_payload};

/// Validates and reads the batch; what validates must read in full.
fn exercise(batch: &Batch) {
    let valid = validate(batch, &ValidateOptions::default());
    let mut viewed = 0;
    let all_viewed = view_records(batch, |_| {
        viewed += 1;
        Ok::<(), BatchError>(())
    });
    let Ok(read) = records(batch) else {
        assert!(valid.is_err() && all_viewed.is_err());
        return;
    };
    let read: Vec<_> = read.collect();
    assert_eq!(all_viewed.is_ok(), read.iter().all(Result::is_ok));
    // What ends after the last record is told apart from the record in place, and together with it otherwise.
    assert!(viewed >= read.iter().filter(|r| r.is_ok()).count());
    if let Ok(valid) = valid {
        assert_eq!(read.len(), valid.records_count as usize);
        for (index, record) in read.into_iter().enumerate() {
            assert_eq!(
                record.expect("what is valid can be read").offset,
                index as i64
            );
        }
    }
}

#[test]
fn no_flipped_bit_goes_unnoticed_where_the_checksum_looks() {
    for codec in CODECS {
        let batch = sample(codec, 4);
        for at in 0..batch.bytes.len() {
            for bit in 0..8 {
                let mut bytes = BytesMut::from(&batch.bytes[..]);
                bytes[at] ^= 1 << bit;
                let valid = split(bytes.freeze())
                    .next()
                    .unwrap()
                    .map_err(InvalidBatch::from);
                let valid = valid.and_then(|batch| validate(&batch, &ValidateOptions::default()));
                // The leader epoch is the broker's to set: nothing looks at a producer's.
                let harmless = (12..16).contains(&at);
                assert_eq!(valid.is_ok(), harmless, "{codec}, bit {bit} of byte {at}");
            }
        }
    }
}

#[test]
fn any_byte_may_change_under_a_checksum_that_fits() {
    for codec in CODECS {
        let batch = sample(codec, 4);
        for at in 16..batch.bytes.len() {
            for value in [
                0,
                1,
                0x7f,
                0x80,
                0xff,
                batch.bytes[at] ^ 1,
                batch.bytes[at] ^ 0x40,
            ] {
                let mut bytes = BytesMut::from(&batch.bytes[..]);
                bytes[at] = value;
                if at != 16 {
                    exercise(&with_crc(bytes));
                }
            }
        }
    }
}

#[test]
fn a_payload_may_end_anywhere() {
    for codec in CODECS {
        let batch = sample(codec, 4);
        for end in HEADER_LEN..batch.bytes.len() {
            let cut = with_crc(BytesMut::from(&batch.bytes[..end]));
            exercise(&cut);
            let read = records(&cut).map(|records| records.filter(Result::is_err).count());
            assert_ne!(read, Ok(0), "{codec}: all records read though cut at {end}");
        }
    }
}

/// A payload of `codec` that inflates to one record of 8 MiB zeros.
fn bomb(codec: Compression) -> Vec<u8> {
    const ZEROS: usize = 8 << 20;
    let chunk = vec![0; 1 << 20];
    // length 8 MiB + 9, attributes, deltas, key null, value of 8 MiB, then no headers
    let front = [0x92, 0x80, 0x80, 0x08, 0, 0, 0, 1, 0x80, 0x80, 0x80, 0x08];
    let fill = |out: &mut dyn Write| {
        out.write_all(&front).unwrap();
        (0..ZEROS / chunk.len()).for_each(|_| out.write_all(&chunk).unwrap());
        out.write_all(&[0]).unwrap();
    };
    let mut packed = Vec::new();
    match codec {
        Compression::None => unreachable!("nothing inflates"),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(&mut packed, Default::default());
            fill(&mut encoder);
            encoder.finish().unwrap();
        }
        Compression::Snappy => {
            let mut plain = Vec::new();
            fill(&mut plain);
            packed = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
        }
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(&mut packed);
            fill(&mut encoder);
            encoder.finish().unwrap();
        }
        Compression::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(&mut packed, 3).unwrap();
            fill(&mut encoder);
            encoder.finish().unwrap();
        }
    }
    packed
}

#[test]
fn a_bomb_is_refused_before_it_is_inflated() {
    for codec in [
        Compression::Gzip,
        Compression::Lz4,
        Compression::Zstd,
        Compression::Snappy,
    ] {
        let batch = with_payload(codec, 1, &bomb(codec));
        let limit = 1 << 18;
        let options = ValidateOptions {
            max_inflated_bytes: limit,
            max_message_bytes: usize::MAX,
            ..Default::default()
        };
        let error = validate(&batch, &options).unwrap_err();
        assert_eq!(
            error,
            BatchError::InflatesTooLarge { limit }.into(),
            "{codec}"
        );
        assert_eq!(
            error.error_code(),
            code::MESSAGE_TOO_LARGE,
            "so that the client splits it"
        );
        // The same record is fine where the limit allows it.
        let options = ValidateOptions {
            max_message_bytes: usize::MAX,
            ..Default::default()
        };
        let validated = validate(&batch, &options).unwrap();
        assert_eq!(validated.inflated_bytes, (8 << 20) + 13);
    }
}

#[test]
fn a_snappy_block_cannot_claim_more_than_its_bytes_could_hold() {
    // A varint length of 2 GiB - 1, then a literal of one byte.
    let batch = with_payload(
        Compression::Snappy,
        1,
        &[0xff, 0xff, 0xff, 0xff, 0x07, 0, 0],
    );
    exercise(&batch);
    let error = validate(&batch, &ValidateOptions::default()).unwrap_err();
    assert_eq!(error.error_code(), code::INVALID_RECORD);
}

#[test]
fn an_lz4_frame_that_kafkas_consumers_could_not_read_is_refused() {
    use lz4_flex::frame::{BlockMode, FrameEncoder, FrameInfo};
    let record = [12, 0, 0, 0, 1, 1, 0];
    let frame = |info: FrameInfo| {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&record).unwrap();
        encoder.finish().unwrap()
    };
    let valid = |payload: &[u8]| {
        let batch = with_payload(Compression::Lz4, 1, payload);
        exercise(&batch);
        validate(&batch, &ValidateOptions::default())
            .map(|_| ())
            .map_err(|e| e.error_code())
    };
    let plain = frame(FrameInfo::new());
    assert_eq!(valid(&plain), Ok(()));
    let checked = FrameInfo::new()
        .block_checksums(true)
        .content_checksum(true);
    assert_eq!(valid(&frame(checked.content_size(Some(7)))), Ok(()));
    let linked = frame(FrameInfo::new().block_mode(BlockMode::Linked));
    assert_eq!(valid(&linked), Err(code::INVALID_RECORD));
    let unfinished = &plain[..plain.len() - 4];
    assert_eq!(valid(unfinished), Err(code::INVALID_RECORD));
    // An empty block must not hide the records after it.
    let mut hiding = plain[..plain.len() - 4].to_vec();
    hiding.extend_from_slice(&[1, 0, 0, 0, 0]);
    hiding.extend_from_slice(&plain[7..]);
    assert_eq!(valid(&hiding), Err(code::INVALID_RECORD));
}

#[test]
fn headers_alone_are_not_batches() {
    let batch = sample(Compression::None, 1);
    for end in 0..batch.bytes.len() {
        assert!(Batch::parse(&batch.bytes.slice(..end)).is_err());
    }
    exercise(&parse(batch.bytes));
}
