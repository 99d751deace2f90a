//! Whatever records go into a batch come out of it, with every codec and from every kind of batch.

use bytes::Bytes;
use catchword_wire::batch::{
    Batch, BatchBuilder, BatchError, BatchHeader, Header, HeadersView, NewRecord, Record,
    RecordView, ValidateOptions, records, validate, view_records,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::{CODECS, parse};

fn bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        8 => vec(any::<u8>(), 0..80),
        1 => (any::<u8>(), 100..100_000usize).prop_map(|(byte, count)| vec![byte; count]),
    ]
    .prop_map(Bytes::from)
}

fn timestamp() -> impl Strategy<Value = i64> {
    prop_oneof![3 => 1_600_000_000_000..1_700_000_000_000i64, 1 => any::<i64>(), 1 => Just(-1)]
}

prop_compose! {
    fn record()(
        timestamp in timestamp(),
        key in option::of(bytes()),
        value in option::of(bytes()),
        headers in vec((bytes(), option::of(bytes())), 0..4),
    ) -> Record {
        Record { offset: 0, timestamp, key, value, headers }
    }
}

fn new(record: &Record) -> NewRecord<'_> {
    let headers: &[Header] = &record.headers;
    let (key, value) = (record.key.as_deref(), record.value.as_deref());
    NewRecord {
        timestamp: record.timestamp,
        key,
        value,
        headers,
    }
}

fn read(batch: &Batch) -> Vec<Record> {
    let all: Vec<Record> = records(batch).unwrap().map(Result::unwrap).collect();
    // Looked at in place they are the same.
    let mut next = all.iter();
    view_records(batch, |view| {
        let record = next.next().expect("no more records than there are");
        let expected = RecordView {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: view.headers,
        };
        assert_eq!(view, expected);
        let taken = HeadersView::Taken(&record.headers);
        for (name, _) in &record.headers {
            let Ok(name) = std::str::from_utf8(name) else {
                continue;
            };
            assert_eq!(view.headers.get(name), taken.get(name));
        }
        assert_eq!(view.headers.get("no such header"), None);
        Ok::<(), BatchError>(())
    })
    .unwrap();
    assert!(next.next().is_none());
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_producers_batch(written in vec(record(), 1..30), codec in 0..5usize) {
        let mut builder = BatchBuilder::new(0).compression(CODECS[codec]);
        for record in &written {
            builder.push(new(record)).unwrap();
        }
        let uncompressed_len = builder.uncompressed_len();
        let batch = parse(builder.build().unwrap());
        batch.verify_crc().unwrap();
        let options = ValidateOptions { max_message_bytes: usize::MAX, ..Default::default() };
        let validated = validate(&batch, &options).unwrap();
        prop_assert_eq!(validated.inflated_bytes as usize, uncompressed_len - 61);
        let largest = written.iter().map(|r| r.timestamp).max().unwrap().max(-1);
        prop_assert_eq!(validated.max_timestamp, largest);
        prop_assert_eq!(batch.header.max_timestamp, largest);
        let expected: Vec<_> = (0..)
            .zip(written)
            .map(|(offset, record)| Record { offset, ..record })
            .collect();
        prop_assert_eq!(read(&batch), expected);
    }

    #[test]
    fn a_compacted_batch_keeps_its_range(
        written in vec((record(), 1..50i64), 0..10),
        base_offset in 0..i64::MAX / 2,
        codec in 0..5usize,
        horizon in option::of(0..i64::MAX / 2),
    ) {
        let mut offset = base_offset;
        let mut original = BatchBuilder::new(base_offset)
            .compression(CODECS[codec])
            .producer(4, 5, 6)
            .transactional(true)
            .leader_epoch(9)
            .delete_horizon(horizon);
        let mut expected = Vec::new();
        for (record, gap) in written {
            original.push_at(offset, new(&record)).unwrap();
            expected.push(Record { offset, ..record });
            offset += gap;
        }
        let original = parse(original.build().unwrap());
        prop_assert_eq!(&read(&original), &expected);

        // Compaction drops every other record; the range stays.
        let kept: Vec<_> = expected.into_iter().step_by(2).collect();
        let mut builder = BatchBuilder::replacing(&original.header).unwrap();
        for record in &kept {
            builder.push_record(record).unwrap();
        }
        let compacted = parse(builder.build().unwrap());
        prop_assert_eq!(read(&compacted), kept);
        prop_assert_eq!(compacted.header.base_offset, original.header.base_offset);
        prop_assert_eq!(compacted.header.last_offset(), original.header.last_offset());
        prop_assert_eq!(compacted.header.last_sequence(), original.header.last_sequence());
        prop_assert_eq!(compacted.header.delete_horizon(), original.header.delete_horizon());
        prop_assert_eq!(compacted.header.partition_leader_epoch, 9);
        prop_assert!(compacted.header.is_transactional());
    }

    #[test]
    fn a_header(bytes in any::<[u8; 32]>(), rest in any::<[u8; 29]>()) {
        let mut header: Vec<u8> = bytes.iter().chain(&rest).copied().collect();
        header[16] = 2;
        header[8] &= 0x7f;
        header[9] |= 1;
        let parsed = BatchHeader::parse(&header).unwrap();
        prop_assert_eq!(&parsed.to_bytes()[..], &header[..]);
    }
}

#[test]
fn a_builder_refuses_offsets_that_go_back_or_too_far() {
    let mut builder = BatchBuilder::new(10);
    builder.push_at(12, NewRecord::default()).unwrap();
    for offset in [i64::MIN, -1, 9, 10, 12, 10 + (1 << 31), i64::MAX] {
        builder.push_at(offset, NewRecord::default()).unwrap_err();
    }
    builder.push(NewRecord::default()).unwrap();
    assert_eq!(builder.len(), 2);
    let offsets: Vec<_> = read(&parse(builder.build().unwrap()))
        .iter()
        .map(|r| r.offset)
        .collect();
    assert_eq!(
        offsets,
        [12, 13],
        "a refused record leaves the batch as it was"
    );
}
