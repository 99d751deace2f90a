//! What is wrong is refused with the error that Apache Kafka gives, one by one: each test is a list of requests and codes,
//! and with `CATCHWORD_TEST_BOOTSTRAP` it is Kafka that is asked.

mod asked_wrongly;
mod consumer_epochs;
mod fetching;
mod ground;
mod groups;
mod kinds;
mod leaving;
mod limits;
mod producer;
mod producers;
mod producing;
mod seats;
mod share_groups;
mod share_places;
mod share_sessions;
mod streams_groups;
mod topic_ids;
mod transactions;
mod wire;

use catchword_wire::ErrorCode;

/// What was sent, and the code that answered.
type Answers = Vec<(&'static str, ErrorCode)>;

fn code(code: i16) -> ErrorCode {
    ErrorCode::from_code(code)
}

/// All that differs, at once.
#[track_caller]
fn are(answers: &Answers, wanted: &[ErrorCode]) {
    assert_eq!(answers.len(), wanted.len());
    let differ = answers
        .iter()
        .zip(wanted)
        .filter(|((_, found), wanted)| found != *wanted);
    let differ: Vec<_> = differ.collect();
    assert!(differ.is_empty(), "{differ:#?}");
}
