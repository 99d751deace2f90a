//! Each case is a sequence of batches of one producer, and what becomes of the last.

use catchword_wire::batch::{BatchBuilder, BatchHeader, ControlRecord, NewRecord};

use super::*;

const ID: i64 = 7;

/// No coordinator is being asked.
fn open() -> Verifications {
    Verifications::default()
}

/// Epoch, first sequence and count of each batch.
type Batches<'a> = &'a [(i16, i32, i32)];

fn header(epoch: i16, sequence: i32, count: i32) -> BatchHeader {
    let mut builder = BatchBuilder::new(0).producer(ID, epoch, sequence);
    for _ in 0..count {
        builder
            .push(NewRecord {
                timestamp: 1000,
                ..NewRecord::default()
            })
            .unwrap();
    }
    BatchHeader::parse(&builder.build().unwrap()).unwrap()
}

/// Appends batches (epoch, first sequence, count) one after the other, and gives the last one's answer: the base offset,
/// or the error.
fn last_of(batches: Batches<'_>, origin: AppendOrigin) -> Result<i64, AppendError> {
    let mut producers = Producers::default();
    let mut next_offset = 100;
    let mut last = Ok(-1);
    for (epoch, sequence, count) in batches {
        let header = header(*epoch, *sequence, *count);
        let entering = Entering {
            header: &header,
            base_offset: next_offset,
            marker: None,
        };
        let partition = TopicPartition::new("t", 0);
        last = match producers.check(&partition, [entering].into_iter(), origin, &open()) {
            Ok(Checked::Duplicate(place)) => Ok(place.base_offset()),
            Ok(Checked::Accepted(updates)) => {
                producers.apply(updates);
                next_offset += i64::from(*count);
                Ok(entering.base_offset)
            }
            Err(error) => Err(error),
        };
    }
    last
}

#[test]
fn sequences_must_follow_one_another() {
    use AppendOrigin::Client;
    let accepted: &[(&str, Batches<'_>, i64)] = &[
        ("first batch", &[(0, 0, 5)], 100),
        ("next in sequence", &[(0, 0, 5), (0, 5, 1)], 105),
        ("an unknown producer may begin anywhere", &[(0, 17, 1)], 100),
        ("sequences wrap to 0", &[(0, i32::MAX, 1), (0, 0, 1)], 101),
        (
            "a batch may wrap inside",
            &[(0, i32::MAX - 1, 4), (0, 2, 1)],
            104,
        ),
        ("a new epoch begins at 0", &[(0, 0, 5), (1, 0, 1)], 105),
        ("the last batch again", &[(0, 0, 5), (0, 0, 5)], 100),
        (
            "the fifth last batch again",
            &[
                (0, 0, 1),
                (0, 1, 1),
                (0, 2, 1),
                (0, 3, 1),
                (0, 4, 1),
                (0, 0, 1),
            ],
            100,
        ),
        (
            "a wrapped batch again",
            &[(0, i32::MAX - 1, 4), (0, i32::MAX - 1, 4)],
            100,
        ),
    ];
    for (what, batches, offset) in accepted {
        assert_eq!(last_of(batches, Client).unwrap(), *offset, "{what}");
    }
}

#[test]
fn gaps_and_steps_back_are_refused() {
    use AppendOrigin::Client;
    let refused: &[(&str, Batches<'_>, i32)] = &[
        ("a gap", &[(0, 0, 5), (0, 6, 1)], 5),
        ("a step back into a batch", &[(0, 0, 5), (0, 2, 1)], 5),
        (
            "a batch again with other bounds",
            &[(0, 0, 5), (0, 0, 4)],
            5,
        ),
        (
            "the sixth last batch again",
            &[
                (0, 0, 1),
                (0, 1, 1),
                (0, 2, 1),
                (0, 3, 1),
                (0, 4, 1),
                (0, 5, 1),
                (0, 0, 1),
            ],
            6,
        ),
        (
            "a new epoch that does not begin at 0",
            &[(0, 0, 5), (1, 5, 1)],
            0,
        ),
    ];
    for (what, batches, wanted) in refused {
        match last_of(batches, Client) {
            Err(AppendError::OutOfOrderSequence { expected, .. }) => {
                assert_eq!(expected, *wanted, "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn an_older_epoch_is_fenced_whoever_appends() {
    for origin in [AppendOrigin::Client, AppendOrigin::Coordinator] {
        let outcome = last_of(&[(1, 0, 1), (0, 0, 1)], origin);
        assert!(
            matches!(
                outcome,
                Err(AppendError::InvalidProducerEpoch {
                    epoch: 0,
                    current: 1,
                    ..
                })
            ),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_coordinator_has_no_sequences() {
    assert_eq!(
        last_of(&[(0, 0, 5), (0, 99, 1)], AppendOrigin::Coordinator).unwrap(),
        105
    );
    assert_eq!(
        last_of(&[(0, -1, 1), (0, -1, 1)], AppendOrigin::Coordinator).unwrap(),
        101
    );
}

#[test]
fn batches_of_one_append_follow_one_another() {
    let (first, second) = (header(0, 0, 2), header(0, 2, 1));
    let partition = TopicPartition::new("t", 0);
    let both = |second| {
        [
            Entering {
                header: &first,
                base_offset: 0,
                marker: None,
            },
            Entering {
                header: second,
                base_offset: 2,
                marker: None,
            },
        ]
    };
    let mut producers = Producers::default();
    let gap = header(0, 3, 1);
    let refused = producers.check(
        &partition,
        both(&gap).into_iter(),
        AppendOrigin::Client,
        &open(),
    );
    assert!(matches!(
        refused,
        Err(AppendError::OutOfOrderSequence { expected: 2, .. })
    ));
    assert!(producers.is_empty(), "a check changes nothing");
    let Ok(Checked::Accepted(updates)) = producers.check(
        &partition,
        both(&second).into_iter(),
        AppendOrigin::Client,
        &open(),
    ) else {
        panic!("refused");
    };
    producers.apply(updates);
    assert_eq!(producers.view()[0].last_sequence, 2);

    let mut replayed = Producers::default();
    for batch in both(&second) {
        assert_eq!(replayed.replay(&batch), None);
    }
    assert_eq!(replayed, producers, "replay gives the same state");
}

#[test]
fn idle_producers_expire_unless_a_transaction_is_open() {
    let mut producers = Producers::default();
    producers.insert(
        1,
        Producer {
            last_timestamp: 1000,
            ..Producer::UNKNOWN
        },
    );
    let open = Producer {
        txn_first_offset: Some(5),
        last_timestamp: 0,
        ..Producer::UNKNOWN
    };
    producers.insert(2, open);
    assert_eq!(producers.expire(1999, 1000), 0);
    assert_eq!(producers.expire(2000, 1000), 1);
    assert_eq!(
        producers
            .view()
            .iter()
            .map(|view| view.producer_id)
            .collect::<Vec<_>>(),
        [2]
    );
}

#[test]
fn a_transaction_holds_the_last_stable_offset_until_its_marker() {
    let mut producers = Producers::default();
    let mut data = header(0, 0, 1);
    data.attributes |= 0x10;
    producers.replay(&Entering {
        header: &data,
        base_offset: 10,
        marker: None,
    });
    assert_eq!(producers.first_open_transaction(), Some(10));
    let partition = TopicPartition::new("t", 0);
    let plain = header(0, 1, 1);
    let outside = Entering {
        header: &plain,
        base_offset: 11,
        marker: None,
    };
    let refused = producers.check(
        &partition,
        [outside].into_iter(),
        AppendOrigin::Client,
        &open(),
    );
    assert!(matches!(refused, Err(AppendError::InvalidTxnState { .. })));

    let mut end = header(0, -1, 1);
    end.attributes |= 0x30;
    let marker = Some(ControlRecord::Commit {
        coordinator_epoch: 4,
    });
    producers.replay(&Entering {
        header: &end,
        base_offset: 11,
        marker,
    });
    assert_eq!(producers.first_open_transaction(), None);
    assert_eq!(
        producers.view()[0].last_sequence,
        0,
        "a marker has no sequence"
    );
    let stale = Some(ControlRecord::Commit {
        coordinator_epoch: 3,
    });
    let fenced = Entering {
        header: &end,
        base_offset: 12,
        marker: stale,
    };
    let refused = producers.check(
        &partition,
        [fenced].into_iter(),
        AppendOrigin::Coordinator,
        &open(),
    );
    assert!(matches!(
        refused,
        Err(AppendError::TransactionCoordinatorFenced {
            epoch: 3,
            current: 4,
            ..
        })
    ));
}

/// Markers of a transaction version against a producer of epoch 4, with and without an open transaction.
#[test]
fn the_epoch_of_a_marker_says_which_transaction_it_ends() {
    let check = |version, epoch, is_open: bool| {
        let mut producers = Producers::default();
        let mut data = header(4, 0, 1);
        data.attributes |= if is_open { 0x10 } else { 0 };
        producers.replay(&Entering {
            header: &data,
            base_offset: 10,
            marker: None,
        });
        let mut end = header(epoch, -1, 1);
        end.attributes |= 0x30;
        let marker = Entering {
            header: &end,
            base_offset: 11,
            marker: Some(ControlRecord::Abort {
                coordinator_epoch: 0,
            }),
        };
        let origin = AppendOrigin::Marker {
            transaction_version: version,
        };
        let partition = TopicPartition::new("t", 0);
        producers
            .check(&partition, [marker].into_iter(), origin, &open())
            .is_ok()
    };
    for (version, epoch, is_open, taken) in [
        (1, 3, true, false),
        (1, 4, true, true),
        (1, 5, true, true),
        (2, 3, true, false),
        (2, 4, true, false),
        (2, 5, true, true),
        (2, 3, false, false),
        (2, 4, false, true),
    ] {
        let case = format!("version {version}, epoch {epoch}, open: {is_open}");
        assert_eq!(check(version, epoch, is_open), taken, "{case}");
    }
}

#[test]
fn an_abort_says_what_was_stable_behind_it() {
    let mut producers = Producers::default();
    let mut replay = |id, base_offset, marker: Option<bool>| {
        let mut header = header(0, 0, 1);
        header.producer_id = id;
        header.attributes |= if marker.is_some() { 0x30 } else { 0x10 };
        let coordinator_epoch = 0;
        let marker = marker.map(|commit| match commit {
            true => ControlRecord::Commit { coordinator_epoch },
            false => ControlRecord::Abort { coordinator_epoch },
        });
        let header = &header;
        producers.replay(&Entering {
            header,
            base_offset,
            marker,
        })
    };
    assert_eq!(replay(1, 0, None), None);
    assert_eq!(replay(2, 1, None), None);
    assert_eq!(replay(1, 2, None), None);
    let aborted = |producer_id, first_offset, last_offset, last_stable_offset| {
        Some(AbortedTransaction {
            producer_id,
            first_offset,
            last_offset,
            last_stable_offset,
        })
    };
    assert_eq!(replay(1, 3, Some(false)), aborted(1, 0, 3, 1));
    assert_eq!(replay(1, 4, Some(false)), None, "nothing was open");
    assert_eq!(replay(2, 5, Some(true)), None, "committed");
    assert_eq!(replay(1, 6, None), None);
    assert_eq!(replay(1, 7, Some(false)), aborted(1, 6, 7, 8));
}
