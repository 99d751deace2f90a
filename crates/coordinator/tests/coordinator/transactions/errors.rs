//! Wrong requests, one by one: the error that Kafka gives.

use catchword_coordinator::{ProducerEpoch, TransactionCall, TransactionReply};
use catchword_wire::ErrorCode;
use catchword_wire::messages::{InitProducerIdRequest, ListTransactionsRequest};

use super::driver::{Coordinator, TV1, TV2, end_of, init_of, partitions};

fn epoch(producer: ProducerEpoch, change: i16) -> ProducerEpoch {
    ProducerEpoch {
        epoch: producer.epoch + change,
        ..producer
    }
}

#[test]
fn a_producer_cannot_begin_with_a_wrong_request() {
    let mut coordinator = Coordinator::new();
    let wrong = [
        (
            ErrorCode::InvalidRequest,
            InitProducerIdRequest {
                transactional_id: Some("".into()),
                ..init_of(None)
            },
        ),
        (
            ErrorCode::InvalidRequest,
            InitProducerIdRequest {
                producer_id: 7,
                ..init_of(None)
            },
        ),
        (
            ErrorCode::InvalidRequest,
            InitProducerIdRequest {
                producer_epoch: 7,
                ..init_of(None)
            },
        ),
        (
            ErrorCode::TransactionalIdAuthorizationFailed,
            InitProducerIdRequest {
                enable2_pc: true,
                ..init_of(None)
            },
        ),
        (
            ErrorCode::UnsupportedVersion,
            InitProducerIdRequest {
                keep_prepared_txn: true,
                ..init_of(None)
            },
        ),
        (
            ErrorCode::InvalidTransactionTimeout,
            InitProducerIdRequest {
                transaction_timeout_ms: 900_001,
                ..init_of(None)
            },
        ),
        (
            ErrorCode::InvalidTransactionTimeout,
            InitProducerIdRequest {
                transaction_timeout_ms: 0,
                ..init_of(None)
            },
        ),
    ];
    for (error, request) in wrong {
        assert_eq!(coordinator.init_request(request), Err(error));
    }
    assert_eq!(coordinator.log.len(), 0);
}

#[test]
fn unknown_ids_and_producers_are_told_apart() {
    let mut coordinator = Coordinator::new();
    let nobody = ProducerEpoch { id: 5, epoch: 0 };
    assert_eq!(
        coordinator.add(nobody, 0),
        ErrorCode::InvalidProducerIdMapping
    );
    assert_eq!(
        coordinator.verify(nobody, 0),
        ErrorCode::InvalidProducerIdMapping
    );
    for version in [TV1, TV2] {
        assert_eq!(
            coordinator.end(version, nobody, true),
            Err(ErrorCode::InvalidProducerIdMapping)
        );
    }
    let unnamed = TransactionCall::AddPartitions(partitions("", nobody, 0));
    assert_eq!(coordinator.partitions(unnamed), ErrorCode::InvalidRequest);
    for version in [TV1, TV2] {
        let unnamed = TransactionCall::EndTxn(end_of("", nobody, true));
        let TransactionReply::EndTxn(response) = coordinator.ask(version, unnamed) else {
            panic!("not the answer")
        };
        assert_eq!(response.error_code, ErrorCode::InvalidRequest.code());
    }
    let producer = coordinator.init();
    let other = ProducerEpoch {
        id: producer.id + 1000,
        ..producer
    };
    assert_eq!(
        coordinator.add(other, 0),
        ErrorCode::InvalidProducerIdMapping
    );
    assert_eq!(
        coordinator.end(TV2, other, true),
        Err(ErrorCode::InvalidProducerIdMapping)
    );
    let error = coordinator.described("unknown").error_code;
    assert_eq!(error, ErrorCode::TransactionalIdNotFound.code());
    let error = coordinator.described("").error_code;
    assert_eq!(error, ErrorCode::InvalidRequest.code());
}

#[test]
fn a_stale_epoch_is_fenced_and_so_is_one_that_was_never_given() {
    let mut coordinator = Coordinator::new();
    let old = coordinator.init();
    let new = coordinator.init();
    assert_eq!(new, epoch(old, 1));
    for wrong in [old, epoch(new, 1)] {
        assert_eq!(coordinator.add(wrong, 0), ErrorCode::ProducerFenced);
        assert_eq!(coordinator.verify(wrong, 0), ErrorCode::ProducerFenced);
    }
    assert_eq!(coordinator.add(new, 0), ErrorCode::None);
    for version in [TV1, TV2] {
        assert_eq!(
            coordinator.end(version, old, true),
            Err(ErrorCode::ProducerFenced)
        );
    }
    assert_eq!(
        coordinator.go_on(old),
        Err(ErrorCode::ConcurrentTransactions),
        "Ongoing: it is aborted first"
    );
    coordinator.finish();
    assert_eq!(coordinator.go_on(old), Err(ErrorCode::ProducerFenced));
    let stranger = ProducerEpoch { id: 9999, epoch: 0 };
    assert_eq!(coordinator.go_on(stranger), Err(ErrorCode::ProducerFenced));
}

#[test]
fn while_markers_are_written_everything_else_has_to_wait() {
    for commit in [true, false] {
        let mut coordinator = Coordinator::new();
        let producer = coordinator.init();
        coordinator.add(producer, 0);
        assert!(coordinator.end(TV1, producer, commit).is_ok());
        let busy = ErrorCode::ConcurrentTransactions;
        assert_eq!(coordinator.add(producer, 1), busy);
        assert_eq!(coordinator.verify(producer, 0), busy);
        assert_eq!(coordinator.init_request(init_of(None)), Err(busy));
        assert_eq!(coordinator.end(TV1, producer, commit), Err(busy));
        assert_eq!(
            coordinator.end(TV1, producer, !commit),
            Err(ErrorCode::InvalidTxnState)
        );
        coordinator.finish();
        assert!(
            coordinator.end(TV1, producer, commit).is_ok(),
            "the same again"
        );
        assert_eq!(
            coordinator.end(TV1, producer, !commit),
            Err(ErrorCode::InvalidTxnState)
        );
        assert_eq!(coordinator.add(producer, 1), ErrorCode::None);
    }
}

#[test]
fn a_transaction_that_has_not_begun_cannot_be_ended_by_an_old_client_nor_committed_by_any() {
    let mut coordinator = Coordinator::new();
    let producer = coordinator.init();
    for commit in [true, false] {
        assert_eq!(
            coordinator.end(TV1, producer, commit),
            Err(ErrorCode::InvalidTxnState)
        );
    }
    assert_eq!(
        coordinator.end(TV2, producer, true),
        Err(ErrorCode::InvalidTxnState)
    );
    assert_eq!(
        coordinator.end(TV2, producer, false),
        Ok(epoch(producer, 1))
    );
    assert_eq!(coordinator.ends[0].partitions, []);
}

#[test]
fn who_repeats_an_end_with_the_epoch_before_is_answered_the_same_again() {
    let mut coordinator = Coordinator::new();
    let first = coordinator.init();
    coordinator.add(first, 0);
    let second = coordinator.end(TV2, first, true).unwrap();
    assert_eq!(second, epoch(first, 1));
    assert_eq!(
        coordinator.end(TV2, first, true),
        Err(ErrorCode::ConcurrentTransactions)
    );
    assert_eq!(
        coordinator.end(TV2, first, false),
        Err(ErrorCode::InvalidTxnState)
    );
    assert_eq!(
        coordinator.end(TV2, second, true),
        Err(ErrorCode::ProducerFenced)
    );
    coordinator.finish();
    assert_eq!(coordinator.end(TV2, first, true), Ok(second));
    assert_eq!(
        coordinator.end(TV2, first, false),
        Err(ErrorCode::InvalidTxnState)
    );
    assert_eq!(
        coordinator.end(TV2, second, true),
        Err(ErrorCode::InvalidTxnState)
    );
    assert_eq!(
        coordinator.end(TV2, epoch(first, -1), true),
        Err(ErrorCode::ProducerFenced)
    );
    assert_eq!(coordinator.end(TV2, second, false), Ok(epoch(second, 1)));
    coordinator.finish();
    assert_eq!(
        coordinator.end(TV2, second, false),
        Ok(epoch(second, 1)),
        "a retry of the abort"
    );
    assert_eq!(
        coordinator.end(TV2, second, true),
        Err(ErrorCode::InvalidTxnState)
    );
}

#[test]
fn only_what_was_added_is_verified() {
    let mut coordinator = Coordinator::new();
    let producer = coordinator.init();
    assert_eq!(
        coordinator.verify(producer, 0),
        ErrorCode::TransactionAbortable
    );
    coordinator.add(producer, 0);
    assert_eq!(coordinator.verify(producer, 0), ErrorCode::None);
    assert_eq!(
        coordinator.verify(producer, 1),
        ErrorCode::TransactionAbortable
    );
    let records = coordinator.log.len();
    assert_eq!(coordinator.add(producer, 0), ErrorCode::None);
    assert_eq!(coordinator.log.len(), records, "known already");
}

#[test]
fn transactions_are_listed_by_state_producer_and_duration() {
    let mut coordinator = Coordinator::new();
    let producer = coordinator.init();
    coordinator.add(producer, 0);
    coordinator.now_ms += 1000;
    let mut listed = |request: ListTransactionsRequest| match coordinator
        .ask(2, TransactionCall::List(request))
    {
        TransactionReply::List(r) => (r.transaction_states.len(), r.unknown_state_filters.len()),
        other => panic!("not the answer: {other:?}"),
    };
    let all = || ListTransactionsRequest {
        duration_filter: -1,
        ..ListTransactionsRequest::default()
    };
    let in_state = |name: &'static str| ListTransactionsRequest {
        state_filters: vec![name.into()],
        ..all()
    };
    assert_eq!(listed(all()), (1, 0));
    assert_eq!(listed(in_state("Ongoing")), (1, 0));
    assert_eq!(listed(in_state("Empty")), (0, 0));
    assert_eq!(listed(in_state("Dead")), (0, 0));
    assert_eq!(listed(in_state("Sleeping")), (0, 1));
    assert_eq!(
        listed(ListTransactionsRequest {
            producer_id_filters: vec![producer.id],
            ..all()
        }),
        (1, 0)
    );
    assert_eq!(
        listed(ListTransactionsRequest {
            producer_id_filters: vec![1],
            ..all()
        }),
        (0, 0)
    );
    assert_eq!(
        listed(ListTransactionsRequest {
            duration_filter: 999,
            ..all()
        }),
        (1, 0)
    );
    assert_eq!(
        listed(ListTransactionsRequest {
            duration_filter: 1000,
            ..all()
        }),
        (0, 0)
    );
}
