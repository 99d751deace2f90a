//! What a broker takes from a producer and what not, rule by rule, each with Kafka's error code.

use bytes::BytesMut;
use catchword_wire::batch::{
    Batch, BatchBuilder, BatchError, Compression, InvalidBatch, NewRecord, RecordReason, Stamp,
    TimestampPolicy, TimestampType, ValidateOptions, code, records, split, split_lenient,
    stamped_header, stamped_prefix, validate,
};

use crate::{CODECS, parse, patched, sample, with_payload};

const NOW: i64 = 1_700_000_000_000;

/// What `validate` says of the batch by itself: the error, and its Kafka code.
fn refusal(batch: &Batch) -> (InvalidBatch, i16) {
    refusal_with(batch, &ValidateOptions::default())
}

fn refusal_with(batch: &Batch, options: &ValidateOptions) -> (InvalidBatch, i16) {
    let error = validate(batch, options).expect_err("the batch must be refused");
    let code = error.error_code();
    assert!(!error.to_string().is_empty());
    (error, code)
}

#[test]
fn a_sound_batch_of_every_codec_is_taken() {
    for codec in CODECS {
        let validated = validate(&sample(codec, 100), &ValidateOptions::default()).unwrap();
        assert_eq!(
            (validated.records_count, validated.max_timestamp_delta),
            (100, 99)
        );
        assert_eq!(validated.max_timestamp, 1_099);
    }
}

#[test]
fn damaged_bytes_are_a_corrupt_message() {
    let batch = sample(Compression::None, 3);
    let mut bytes = BytesMut::from(&batch.bytes[..]);
    *bytes.last_mut().unwrap() ^= 1;
    let (error, code) = refusal(&parse(bytes));
    assert!(matches!(
        error,
        InvalidBatch::Malformed(BatchError::BadCrc { .. })
    ));
    assert_eq!(code, code::CORRUPT_MESSAGE);
}

#[test]
fn old_formats_are_invalid_and_unknown_ones_corrupt() {
    for (magic, expected) in [
        (0, code::INVALID_RECORD),
        (1, code::INVALID_RECORD),
        (3, 2),
        (0xff, 2),
    ] {
        let mut bytes = BytesMut::from(&sample(Compression::None, 1).bytes[..]);
        bytes[16] = magic;
        let error = Batch::parse(&bytes.freeze()).unwrap_err();
        assert_eq!(error, BatchError::UnsupportedMagic(magic as i8));
        assert_eq!(error.error_code(), expected);
    }
}

#[test]
fn a_batch_over_the_limit_is_too_large_and_one_at_the_limit_is_not() {
    let batch = sample(Compression::None, 10);
    let size = batch.bytes.len();
    let mut options = ValidateOptions {
        max_message_bytes: size,
        ..Default::default()
    };
    validate(&batch, &options).unwrap();
    options.max_message_bytes = size - 1;
    let (error, code) = refusal_with(&batch, &options);
    assert_eq!(
        error,
        InvalidBatch::TooLarge {
            size,
            max: size - 1
        }
    );
    assert_eq!(code, code::MESSAGE_TOO_LARGE);
}

#[test]
fn producers_number_their_records_from_zero() {
    let moved = patched(&sample(Compression::None, 3), 0, &5i64.to_be_bytes());
    assert_eq!(
        refusal(&moved),
        (InvalidBatch::BaseOffset(5), code::INVALID_RECORD)
    );

    for codec in CODECS {
        let mut gap = BatchBuilder::new(0).compression(codec);
        for offset in [0, 2] {
            gap.push_at(offset, NewRecord::default()).unwrap();
        }
        let gap = parse(gap.build().unwrap());
        assert_eq!(
            refusal(&gap).1,
            code::INVALID_RECORD,
            "range 0..=2 with two records"
        );
        let gap = patched(&gap, 23, &1i32.to_be_bytes());
        let expected = InvalidBatch::OffsetDelta {
            index: 1,
            offset_delta: 2,
        };
        assert_eq!(refusal(&gap), (expected, code::INVALID_RECORD));
    }
}

#[test]
fn the_count_must_be_the_offset_range_and_the_truth() {
    for codec in CODECS {
        let batch = sample(codec, 3);
        for (count, last_offset_delta) in [(0, -1), (-3, -4), (3, 3), (2, 2), (i32::MIN, i32::MAX)]
        {
            let lying = patched(&batch, 57, &i32::to_be_bytes(count));
            let lying = patched(&lying, 23, &i32::to_be_bytes(last_offset_delta));
            let expected = InvalidBatch::Count {
                count,
                last_offset_delta,
            };
            assert_eq!(refusal(&lying), (expected, code::INVALID_RECORD));
        }
        for count in [2, 4, i32::MAX] {
            let lying = patched(&batch, 57, &i32::to_be_bytes(count));
            let lying = patched(&lying, 23, &i32::to_be_bytes(count - 1));
            assert_eq!(refusal(&lying).1, code::INVALID_RECORD, "{codec}, {count}");
        }
    }
}

#[test]
fn control_batches_and_delete_horizons_are_the_brokers_own() {
    let attributes = |bits: i16| patched(&sample(Compression::None, 1), 21, &bits.to_be_bytes());
    assert_eq!(
        refusal(&attributes(0x20)),
        (InvalidBatch::ControlBatch, code::INVALID_RECORD)
    );
    assert_eq!(
        refusal(&attributes(0x40)),
        (InvalidBatch::DeleteHorizon, code::INVALID_RECORD)
    );
    // Bits without a meaning yet are left alone, as Kafka does.
    validate(&attributes(0x0180), &ValidateOptions::default()).unwrap();
}

#[test]
fn idempotent_producers_send_epoch_and_sequence() {
    let producer = |id, epoch, sequence| {
        let mut builder = BatchBuilder::new(0).producer(id, epoch, sequence);
        builder.push(NewRecord::default()).unwrap();
        parse(builder.build().unwrap())
    };
    validate(&producer(7, 0, 0), &ValidateOptions::default()).unwrap();
    validate(
        &producer(7, i16::MAX, i32::MAX),
        &ValidateOptions::default(),
    )
    .unwrap();
    for (epoch, sequence) in [(0, -1), (-1, 0), (-1, -1)] {
        let (error, code) = refusal(&producer(7, epoch, sequence));
        assert!(matches!(
            error,
            InvalidBatch::Producer { producer_id: 7, .. }
        ));
        assert_eq!(code, code::INVALID_RECORD);
    }
    let transactional = patched(&sample(Compression::None, 1), 21, &0x10i16.to_be_bytes());
    let expected = InvalidBatch::TransactionalWithoutProducer;
    assert_eq!(refusal(&transactional), (expected, code::INVALID_RECORD));
}

#[test]
fn a_compacted_topic_names_each_record_without_a_key() {
    let options = ValidateOptions {
        require_keys: true,
        ..Default::default()
    };
    for codec in CODECS {
        validate(&sample(codec, 5), &options).unwrap();
        let mut builder = BatchBuilder::new(0).compression(codec);
        for i in 0..6 {
            let key: Option<&[u8]> = if i % 2 == 0 { Some(b"") } else { None };
            builder
                .push(NewRecord {
                    key,
                    ..NewRecord::default()
                })
                .unwrap();
        }
        let (error, code) = refusal_with(&parse(builder.build().unwrap()), &options);
        assert_eq!(code, code::INVALID_RECORD);
        let named: Vec<i32> = error.record_errors().iter().map(|e| e.index).collect();
        assert_eq!(named, [1, 3, 5]);
        assert!(
            error
                .record_errors()
                .iter()
                .all(|e| e.reason == RecordReason::MissingKey)
        );
    }
}

#[test]
fn the_list_of_refused_records_is_bounded() {
    let mut builder = BatchBuilder::new(0);
    for _ in 0..InvalidBatch::MAX_RECORD_ERRORS + 50 {
        builder.push(NewRecord::default()).unwrap();
    }
    let options = ValidateOptions {
        require_keys: true,
        ..Default::default()
    };
    let (error, _) = refusal_with(&parse(builder.build().unwrap()), &options);
    assert_eq!(error.record_errors().len(), InvalidBatch::MAX_RECORD_ERRORS);
}

#[test]
fn timestamps_must_be_near_the_clock_where_the_producer_sets_them() {
    let create_time = TimestampPolicy::CreateTime {
        now: NOW,
        before_max_ms: 1_000,
        after_max_ms: 100,
    };
    let options = ValidateOptions {
        timestamps: create_time,
        ..Default::default()
    };
    let batch = |timestamps: &[i64]| {
        let mut builder = BatchBuilder::new(0);
        for &timestamp in timestamps {
            builder
                .push(NewRecord {
                    timestamp,
                    ..NewRecord::default()
                })
                .unwrap();
        }
        parse(builder.build().unwrap())
    };
    // No timestamp at all is allowed.
    validate(&batch(&[NOW, NOW - 1_000, NOW + 100, -1]), &options).unwrap();
    let strange = batch(&[NOW, NOW - 1_001, NOW + 101, i64::MIN, i64::MAX]);
    let (error, code) = refusal_with(&strange, &options);
    assert_eq!(code, code::INVALID_TIMESTAMP);
    let named: Vec<i32> = error.record_errors().iter().map(|e| e.index).collect();
    assert_eq!(named, [1, 2, 3, 4]);
    let (earliest, latest) = (NOW - 1_000, NOW + 100);
    let reason = RecordReason::Timestamp {
        timestamp: NOW - 1_001,
        earliest,
        latest,
    };
    assert_eq!(error.record_errors()[0].reason, reason);

    // Kafka's default: any past is allowed.
    let defaults = TimestampPolicy::CreateTime {
        now: NOW,
        before_max_ms: i64::MAX,
        after_max_ms: 3_600_000,
    };
    validate(
        &batch(&[0, NOW]),
        &ValidateOptions {
            timestamps: defaults,
            ..options
        },
    )
    .unwrap();
    // Where the broker sets them, the producer's do not matter.
    validate(&strange, &ValidateOptions::default()).unwrap();
}

#[test]
fn producers_must_not_claim_the_log_append_time() {
    let mut builder = BatchBuilder::new(0).log_append_time(NOW);
    builder.push(NewRecord::default()).unwrap();
    let (error, code) = refusal(&parse(builder.build().unwrap()));
    assert_eq!(
        (error, code),
        (InvalidBatch::LogAppendTime, code::INVALID_TIMESTAMP)
    );
}

#[test]
fn codecs_unknown_or_too_new_are_unsupported() {
    for id in 5..=7i16 {
        let batch = patched(&sample(Compression::None, 1), 21, &id.to_be_bytes());
        let (error, code) = refusal(&batch);
        assert_eq!(error, BatchError::UnknownCompression(id as u8).into());
        assert_eq!(code, code::UNSUPPORTED_COMPRESSION_TYPE);
        assert!(records(&batch).is_err());
    }
    // KIP-110: Produce requests before version 7.
    let options = ValidateOptions {
        allow_zstd: false,
        ..Default::default()
    };
    let (error, code) = refusal_with(&sample(Compression::Zstd, 1), &options);
    assert_eq!(
        (error, code),
        (InvalidBatch::ZstdTooNew, code::UNSUPPORTED_COMPRESSION_TYPE)
    );
}

#[test]
fn malformed_records_are_invalid() {
    // length 6, attributes, timestamp delta 0, offset delta 0, key null, value null, no headers
    const SOUND: [u8; 7] = [12, 0, 0, 0, 1, 1, 0];
    assert!(
        validate(
            &with_payload(Compression::None, 1, &SOUND),
            &ValidateOptions::default()
        )
        .is_ok()
    );
    let malformed: [(&str, &[u8]); 10] = [
        ("negative length", &[11, 0, 0, 0, 1, 1, 0]),
        ("length past the end", &[14, 0, 0, 0, 1, 1, 0]),
        ("length short of the fields", &[10, 0, 0, 0, 1, 1, 0]),
        ("a byte left in the record", &[14, 0, 0, 0, 1, 1, 0, 0]),
        ("a byte left after the record", &[12, 0, 0, 0, 1, 1, 0, 0]),
        ("key length -2", &[12, 0, 0, 0, 3, 1, 0]),
        ("key past the record", &[12, 0, 0, 0, 8, 1, 0]),
        ("count of headers negative", &[12, 0, 0, 0, 1, 1, 1]),
        ("a header with a null key", &[16, 0, 0, 0, 1, 1, 2, 1, 1]),
        ("headers that are not there", &[12, 0, 0, 0, 1, 1, 2]),
    ];
    for (what, payload) in malformed {
        let batch = with_payload(Compression::None, 1, payload);
        assert_eq!(refusal(&batch).1, code::INVALID_RECORD, "{what}");
        assert!(
            records(&batch).unwrap().any(|r| r.is_err()),
            "{what} must not be read"
        );
    }
}

#[test]
fn an_append_changes_sixteen_bytes_and_copies_nothing() {
    let batch = sample(Compression::Lz4, 20);
    let validated = validate(&batch, &ValidateOptions::default()).unwrap();
    let stamp = Stamp::create_time(&batch, &validated, 1_000, 7);
    assert_eq!(stamp.front(), stamped_prefix(&batch, 1_000, 7));
    assert_eq!(stamp.rest(&batch).as_ptr(), batch.bytes[16..].as_ptr());

    let stamped = stamp.apply(&batch);
    assert_eq!(stamped, parse(stamped.bytes.clone()));
    stamped.verify_crc().unwrap();
    assert_eq!(stamped.header.base_offset, 1_000);
    assert_eq!(
        (stamped.header.last_offset(), stamped.header.next_offset()),
        (1_019, 1_020)
    );
    assert_eq!(stamped.header.partition_leader_epoch, 7);
    let offsets: Vec<i64> = records(&stamped)
        .unwrap()
        .map(|r| r.unwrap().offset)
        .collect();
    assert_eq!(offsets, (1_000..1_020).collect::<Vec<_>>());
}

#[test]
fn a_lying_max_timestamp_is_put_right() {
    let lying = patched(&sample(Compression::Gzip, 3), 35, &i64::MAX.to_be_bytes());
    let validated = validate(&lying, &ValidateOptions::default()).unwrap();
    assert_eq!(validated.max_timestamp, 1_002);
    let stamped = Stamp::create_time(&lying, &validated, 10, 0).apply(&lying);
    stamped.verify_crc().unwrap();
    assert_eq!(stamped, parse(stamped.bytes.clone()));
    assert_eq!(stamped.header.max_timestamp, 1_002);
}

#[test]
fn log_append_time_is_every_records_time() {
    let batch = sample(Compression::Snappy, 3);
    let stamp = Stamp::log_append_time(&batch, NOW, 50, 2);
    let header = stamped_header(&batch, 50, 2, TimestampType::LogAppendTime, NOW);
    assert_eq!(stamp.front(), header);
    assert_eq!(stamp.header().to_bytes(), header);
    let stamped = stamp.apply(&batch);
    stamped.verify_crc().unwrap();
    assert!(stamped.header.is_log_append_time());
    assert_eq!(stamped.bytes[61..], batch.bytes[61..]);
    assert!(
        records(&stamped)
            .unwrap()
            .all(|r| r.unwrap().timestamp == NOW)
    );
}

#[test]
fn a_batch_cut_short_is_an_error_to_a_broker_and_the_end_to_a_client() {
    let (first, second) = (sample(Compression::None, 3), sample(Compression::Zstd, 3));
    let mut both = BytesMut::from(&first.bytes[..]);
    both.extend_from_slice(&second.bytes);
    let both = both.freeze();
    for cut in first.bytes.len() + 1..both.len() {
        let cut = both.slice(..cut);
        let strict: Vec<_> = split(cut.clone()).collect();
        assert_eq!(strict.len(), 2);
        assert_eq!(strict[0].as_ref(), Ok(&first));
        assert_eq!(
            strict[1].as_ref().unwrap_err().error_code(),
            code::INVALID_RECORD
        );
        assert_eq!(split_lenient(cut).collect::<Vec<_>>(), [Ok(first.clone())]);
    }
    assert_eq!(split_lenient(both).count(), 2);
}
