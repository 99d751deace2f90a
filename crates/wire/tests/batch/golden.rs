//! Batches that Apache Kafka's own code wrote are read here as Kafka reads them, and written here
//! byte for byte as Kafka writes them. `tests/batches/README.md` says how the files were made.

use std::fmt::Write;
use std::path::PathBuf;

use bytes::Bytes;
use catchword_wire::batch::{
    Batch, BatchBuilder, Compression, ControlRecord, TimestampType, ValidateOptions,
    end_transaction_marker, records, split, validate,
};

use crate::parse;

/// As a producer sends them.
const FROM_PRODUCERS: [&str; 7] = [
    "none",
    "gzip",
    "snappy",
    "snappy-raw",
    "lz4",
    "zstd",
    "transactional",
];
/// As they are in a log.
const FROM_LOGS: [&str; 5] = [
    "log-append-time",
    "commit-marker",
    "abort-marker",
    "compacted",
    "empty",
];

#[test]
fn every_batch_reads_as_kafka_reads_it() {
    for name in FROM_PRODUCERS.iter().chain(&FROM_LOGS) {
        let expected = std::fs::read_to_string(folder().join(format!("{name}.txt"))).unwrap();
        let mut text = String::new();
        for batch in split(bytes(name)) {
            describe(&batch.unwrap(), &mut text);
        }
        assert_eq!(text, expected, "{name}");
    }
}

#[test]
fn what_producers_send_is_valid() {
    for name in FROM_PRODUCERS {
        let batch = parse(bytes(name));
        let validated = validate(&batch, &ValidateOptions::default()).unwrap();
        assert_eq!(
            validated.max_timestamp, batch.header.max_timestamp,
            "{name}"
        );
        assert_eq!(
            validated.records_count, batch.header.records_count,
            "{name}"
        );
    }
    let odd = validate(&parse(bytes("none")), &ValidateOptions::default()).unwrap();
    assert_eq!(
        odd.max_timestamp_delta, 3,
        "the largest timestamp is not the last record's"
    );
}

#[test]
fn uncompressed_batches_are_written_byte_for_byte_as_kafka_writes_them() {
    for name in [
        "none",
        "transactional",
        "commit-marker",
        "abort-marker",
        "compacted",
        "empty",
    ] {
        let batch = parse(bytes(name));
        let mut builder = BatchBuilder::replacing(&batch.header).unwrap();
        for record in records(&batch).unwrap() {
            builder.push_record(&record.unwrap()).unwrap();
        }
        assert_eq!(builder.build().unwrap(), batch.bytes, "{name}");
    }
}

#[test]
fn compressed_again_the_records_are_the_same() {
    for name in [
        "gzip",
        "snappy",
        "snappy-raw",
        "lz4",
        "zstd",
        "log-append-time",
    ] {
        let batch = parse(bytes(name));
        let original: Vec<_> = records(&batch).unwrap().map(Result::unwrap).collect();
        let mut builder = BatchBuilder::replacing(&batch.header).unwrap();
        for record in &original {
            builder.push_record(record).unwrap();
        }
        let again = parse(builder.build().unwrap());
        assert_eq!(again.header.compression(), batch.header.compression());
        assert_eq!(again.header.timestamp_type(), batch.header.timestamp_type());
        let read: Vec<_> = records(&again).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, original, "{name}");
    }
}

#[test]
fn transaction_markers_are_kafkas() {
    for (name, commit, coordinator_epoch) in
        [("commit-marker", true, 12), ("abort-marker", false, 13)]
    {
        let kafkas = parse(bytes(name));
        let ours = end_transaction_marker(
            kafkas.header.base_offset,
            kafkas.header.max_timestamp,
            kafkas.header.producer_id,
            kafkas.header.producer_epoch,
            commit,
            coordinator_epoch,
        );
        // The leader epoch, bytes 12 to 16, is the log's to set.
        let ours = ours.unwrap();
        assert_eq!(ours[..12], kafkas.bytes[..12], "{name}");
        assert_eq!(ours[16..], kafkas.bytes[16..], "{name}");

        let record = records(&kafkas).unwrap().next().unwrap().unwrap();
        let expected = if commit {
            ControlRecord::Commit { coordinator_epoch }
        } else {
            ControlRecord::Abort { coordinator_epoch }
        };
        assert_eq!(ControlRecord::parse(&record), Some(expected));
    }
}

#[test]
fn concatenated_batches_come_apart_without_a_copy() {
    let names = ["none", "zstd", "empty"];
    let all: Bytes = names.iter().flat_map(|name| bytes(name)).collect();
    let batches: Vec<_> = split(all.clone()).map(Result::unwrap).collect();
    assert_eq!(batches.len(), names.len());
    for (batch, name) in batches.iter().zip(names) {
        assert_eq!(batch.bytes, bytes(name));
        assert!(
            all.as_ptr_range().contains(&batch.bytes.as_ptr()),
            "{name} was copied"
        );
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/batches")
}

fn bytes(name: &str) -> Bytes {
    std::fs::read(folder().join(format!("{name}.bin")))
        .unwrap()
        .into()
}

/// The text that `MakeBatches.java` writes.
fn describe(batch: &Batch, text: &mut String) {
    batch.verify_crc().unwrap();
    let header = &batch.header;
    let timestamp_type = match header.timestamp_type() {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    };
    let codec: Compression = header.compression().unwrap();
    let horizon = header
        .delete_horizon()
        .map_or("none".to_owned(), |ms| ms.to_string());
    writeln!(
        text,
        "batch {}..{} epoch {} codec {codec} time {timestamp_type} max {} producer {}/{}/{} \
         transactional {} control {} horizon {horizon} count {}",
        header.base_offset,
        header.last_offset(),
        header.partition_leader_epoch,
        header.max_timestamp,
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
        header.is_transactional(),
        header.is_control(),
        header.records_count
    )
    .unwrap();
    for record in records(batch).unwrap() {
        let record = record.unwrap();
        let (key, value) = (hex(record.key.as_ref()), hex(record.value.as_ref()));
        write!(text, "{} {} {key} {value}", record.offset, record.timestamp).unwrap();
        for (key, value) in &record.headers {
            write!(text, " {}={}", hex(Some(key)), hex(value.as_ref())).unwrap();
        }
        text.push('\n');
    }
}

fn hex(bytes: Option<&Bytes>) -> String {
    match bytes {
        None => "null".to_owned(),
        Some(bytes) if bytes.is_empty() => "empty".to_owned(),
        Some(bytes) if bytes.len() > 32 => {
            format!("{}:{:x}", bytes.len(), crc_fast::crc32_iscsi(bytes))
        }
        Some(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
