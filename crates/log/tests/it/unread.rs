//! What is before a reader, counted: records that it will be given, from any bookmark.

use std::sync::Arc;

use catchword_log::contract::{append_durably, append_verified, batch_of, marker, transactional};
use catchword_log::{Engine, LogConfig, MemoryEngine, PartitionLog, Tally, TopicPartition};
use catchword_wire::Uuid;

fn log() -> Arc<dyn PartitionLog> {
    let (engine, config) = (MemoryEngine::new(), LogConfig::default());
    let created = engine.create(&TopicPartition::new("t", 0), Uuid([7; 16]), config);
    created.unwrap()
}

fn unread(tally: &mut Tally, log: &dyn PartitionLog, from: i64) -> (i64, i64, Option<i64>) {
    let found = tally.unread(log, from).unwrap();
    (found.records, found.unsure, found.oldest_ms)
}

#[test]
fn records_are_counted_from_any_bookmark_and_the_first_tells_its_age() {
    let log = log();
    let mut tally = Tally::default();
    assert_eq!(unread(&mut tally, &*log, 0), (0, 0, None));
    for n in 0..100 {
        let batch = batch_of(&[(10 * n, "a"), (10 * n + 1, "b"), (10 * n + 2, "c")]);
        append_durably(&*log, &batch).unwrap();
    }
    // In no order, so that the count has to begin anew lower down.
    for from in [299, 150, 151, 0, 300, 298] {
        let (n, at) = (from / 3, from % 3);
        let oldest = (from < 300).then_some(10 * n + at);
        assert_eq!(unread(&mut tally, &*log, from), (300 - from, 0, oldest));
    }
    append_durably(&*log, &batch_of(&[(5000, "new")])).unwrap();
    assert_eq!(unread(&mut tally, &*log, 300), (1, 0, Some(5000)));
    assert_eq!(unread(&mut tally, &*log, 299), (2, 0, Some(992)));
    log.truncate_prefix(290).unwrap();
    assert_eq!(
        unread(&mut tally, &*log, 3),
        (11, 0, Some(962)),
        "from its start"
    );
    assert_eq!(
        unread(&mut tally, &*log, 1000),
        (0, 0, None),
        "beyond the end"
    );
}

#[test]
fn the_batches_that_a_reader_is_sent_are_weighed_whole() {
    let log = log();
    let mut tally = Tally::default();
    let mut sizes = Vec::new();
    for n in 0..50 {
        let batch = batch_of(&[(n, "a"), (n, &"b".repeat(100 * n as usize))]);
        sizes.push(batch.bytes.len() as i64);
        append_durably(&*log, &batch).unwrap();
    }
    append_verified(&*log, &transactional(1, 0, 0, &[(1, "aborted")])).unwrap();
    log.append_marker(&marker(1, 0, false), 0).unwrap();
    for from in [99, 40, 41, 0, 100, 102] {
        let expected: i64 = sizes.iter().skip(from as usize / 2).sum();
        assert_eq!(tally.unread(&*log, from).unwrap().bytes, expected, "{from}");
    }
}

/// Places at which the count is kept are some 32 KiB apart, so these logs have several.
#[test]
fn many_bookmarks_asked_for_together_are_told_what_each_is_told_alone() {
    let log = log();
    for n in 0..200 {
        let text = "x".repeat(700);
        append_durably(&*log, &batch_of(&[(n, &text), (n, "b"), (n, "c")])).unwrap();
    }
    append_verified(&*log, &transactional(1, 0, 0, &[(1, "aborted")])).unwrap();
    log.append_marker(&marker(1, 0, false), 0).unwrap();
    append_durably(&*log, &batch_of(&[(5000, "last")])).unwrap();
    let end = log.offsets().log_end;
    let rising: Vec<i64> = (0..=end).collect();
    let mut falling = rising.clone();
    falling.reverse();
    let alone = |from: &i64| Tally::default().unread(&*log, *from).unwrap();
    for asked in [rising, falling, vec![7, 600, 7, 5, 601]] {
        let together = Tally::default().unread_of(&*log, &asked).unwrap();
        assert_eq!(together, asked.iter().map(alone).collect::<Vec<_>>());
    }
}

#[test]
fn what_no_reader_is_given_is_not_behind() {
    let log = log();
    let mut tally = Tally::default();
    append_verified(&*log, &transactional(1, 0, 0, &[(1, "a"), (2, "b")])).unwrap();
    assert_eq!(
        unread(&mut tally, &*log, 0),
        (2, 2, None),
        "it may be aborted"
    );
    log.append_marker(&marker(1, 0, false), 0).unwrap();
    assert_eq!(unread(&mut tally, &*log, 0), (0, 0, None));
    append_verified(&*log, &transactional(1, 0, 2, &[(3, "c")])).unwrap();
    append_verified(&*log, &transactional(2, 0, 0, &[(4, "d")])).unwrap();
    log.append_marker(&marker(1, 0, true), 0).unwrap();
    log.append_marker(&marker(2, 0, false), 0).unwrap();
    assert_eq!(unread(&mut tally, &*log, 0), (1, 0, Some(3)));
    assert_eq!(
        unread(&mut tally, &*log, 4),
        (0, 0, None),
        "only markers and what was aborted"
    );
}
