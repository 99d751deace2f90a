//! What was lost of the guarded Kafka's log stays known, whatever becomes of the process.

use catchword_client::ClientOptions;
use catchword_log::{Engine, LogConfig, MemoryEngine, TopicPartition as Tp};
use catchword_wire::records::{OffsetCommitKey, OffsetCommitValue};
use catchword_wire::{Encoder, Message, Uuid};

use super::*;
use crate::guardian::Guarded;

/// A guardian that has read all there was, and an empty log.
fn begin() -> (Guardian, Arc<Partition>) {
    let guardian = Guardian::new(Guarded {
        kafka: ClientOptions::to("127.0.0.1:1"),
        restore_expired: false,
    });
    guardian.gauges.caught_up.set(true);
    let tp = Tp::new("__consumer_offsets", 0);
    let log = MemoryEngine::default().create(&tp, Uuid([3; 16]), LogConfig::default());
    (guardian, Arc::new(Partition::new(tp, log.unwrap(), 0)))
}

/// As a start does, after whatever end.
fn open(guardian: &Guardian, partition: &Arc<Partition>) -> Shelf {
    let there = TopicPartition::new("__consumer_offsets", 0);
    let (mut places, mut emptied) = (guardian.places(), guardian.emptied());
    Shelf::open(partition.clone(), there, &mut places, &mut emptied).unwrap()
}

/// An answer that has these bookmarks at its end, behind so many offsets that are gone.
fn fetched(shelf: &Shelf, gaps: i64, bookmarks: &[(&str, i64)]) -> Fetched {
    let first = shelf.next() + gaps;
    let record = |(at, (group, offset)): (i64, &(&str, i64))| commit(first + at, group, *offset);
    let records: Vec<Record> = (0..).zip(bookmarks).map(record).collect();
    let next_offset = first + i64::try_from(records.len()).unwrap();
    Fetched {
        partition: TopicPartition::new("__consumer_offsets", 0),
        records,
        next_offset,
        high_watermark: next_offset,
        log_start: 0,
        out_of_range: false,
        gaps,
    }
}

/// A group's commit in `t:0`.
fn commit(at: i64, group: &str, offset: i64) -> Record {
    let key = OffsetCommitKey {
        group: Str::copy(group),
        topic: "t".into(),
        partition: 0,
    };
    let value = OffsetCommitValue {
        offset,
        ..OffsetCommitValue::default()
    };
    Record {
        offset: at,
        timestamp: 1000 + at,
        key: Some(versioned(1, &key, 0)),
        value: Some(versioned(3, &value, 3)),
        headers: Vec::new(),
    }
}

fn versioned(kind: i16, message: &impl Message, version: i16) -> Bytes {
    let mut encoder = Encoder::new();
    encoder.i16(kind);
    message.encode(&mut encoder, version).unwrap();
    encoder.into_bytes().unwrap()
}

/// Whether it is unknown where the group was whose next commit this is.
fn is_unknown(shelf: &mut Shelf, group: &str) -> bool {
    let record = commit(shelf.next(), group, 1);
    let event = Event::of(&record, &mut Membership::default()).unwrap();
    shelf.is_lost(&event)
}

#[test]
fn what_was_gone_before_it_was_read_is_known_after_a_kill() {
    let (guardian, partition) = begin();
    let mut shelf = open(&guardian, &partition);
    let before = fetched(&shelf, 0, &[("still", 50), ("moved", 60)]);
    shelf.take(&guardian, before).unwrap();
    let after = fetched(&shelf, 3, &[("moved", 70)]);
    shelf.take(&guardian, after).unwrap();
    shelf.note().unwrap();
    drop(shelf);
    let mut shelf = open(&guardian, &partition);
    assert_eq!(shelf.missed(), 3);
    assert!(
        is_unknown(&mut shelf, "still"),
        "it may have moved in what was lost"
    );
    assert!(!is_unknown(&mut shelf, "moved"), "it has moved since");
}

/// The note is a second old at most: what came later comes by again, gaps and all, and is counted and told once.
#[test]
fn what_was_gone_after_the_last_note_is_found_again_and_counted_once() {
    let (guardian, partition) = begin();
    let mut shelf = open(&guardian, &partition);
    let before = fetched(&shelf, 0, &[("still", 50), ("moved", 60)]);
    shelf.take(&guardian, before).unwrap();
    shelf.note().unwrap();
    let after = fetched(&shelf, 3, &[("moved", 70)]);
    shelf.take(&guardian, after).unwrap();
    let end = partition.log.offsets().log_end;
    drop(shelf);
    let mut shelf = open(&guardian, &partition);
    let again = fetched(&shelf, 3, &[("moved", 70)]);
    shelf.take(&guardian, again).unwrap();
    assert_eq!((shelf.missed(), partition.log.offsets().log_end), (3, end));
    assert!(is_unknown(&mut shelf, "still"));
    assert!(!is_unknown(&mut shelf, "moved"));
}
