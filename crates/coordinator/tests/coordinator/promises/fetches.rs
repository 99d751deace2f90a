//! OffsetFetch.

use catchword_coordinator::Reply;
use catchword_wire::messages::offset_fetch_request::OffsetFetchRequestTopics;
use catchword_wire::messages::offset_fetch_response::OffsetFetchResponseGroup;
use catchword_wire::{Str, Uuid};

use crate::driver::*;

fn ask(
    driver: &mut Driver,
    topics: Option<Vec<OffsetFetchRequestTopics>>,
) -> OffsetFetchResponseGroup {
    match driver.ask(10, fetch("g", topics)) {
        Reply::OffsetFetch(response) => response,
        other => panic!("not the answer to a fetch: {other:?}"),
    }
}

fn topic(name: &'static str, partitions: &[i32]) -> OffsetFetchRequestTopics {
    OffsetFetchRequestTopics {
        name: name.into(),
        topic_id: Uuid::ZERO,
        partition_indexes: partitions.to_vec(),
    }
}

#[test]
fn f1_no_offset_is_no_error() {
    let mut driver = Driver::new();
    for existing_group in [false, true] {
        if existing_group {
            driver.commit(commit("g", "", -1, 5));
        }
        let response = ask(&mut driver, Some(vec![topic("u", &[0, 1])]));
        assert_eq!(response.error_code, 0);
        assert_eq!(response.topics[0].partitions.len(), 2);
        for partition in &response.topics[0].partitions {
            assert_eq!(
                (partition.committed_offset, partition.committed_leader_epoch),
                (-1, -1)
            );
            assert_eq!(
                (&partition.metadata, partition.error_code),
                (&Some(Str::EMPTY), 0)
            );
        }
    }
}

#[test]
fn f1_all_topics_of_an_unknown_group_are_none_and_of_a_known_one_all_in_order() {
    let mut driver = Driver::new();
    assert!(ask(&mut driver, None).topics.is_empty());
    for (name, partition) in [("b", 1), ("a", 0), ("b", 0)] {
        let mut request = commit("g", "", -1, 5);
        request.topics = vec![commit_topic(name, &[(partition, 7)])];
        driver.commit(request);
    }
    let topics = ask(&mut driver, None).topics;
    let all: Vec<(String, Vec<i32>)> = topics
        .iter()
        .map(|t| {
            (
                t.name.to_string(),
                t.partitions.iter().map(|p| p.partition_index).collect(),
            )
        })
        .collect();
    assert_eq!(
        all,
        [("a".to_owned(), vec![0]), ("b".to_owned(), vec![0, 1])]
    );
}

#[test]
fn f2_an_offset_of_another_topic_of_the_same_name_is_not_given_out() {
    let mut driver = Driver::new();
    let mut request = commit("g", "", -1, 5);
    request.topics[0].topic_id = Uuid([1; 16]);
    driver.commit(request);
    let mut asked = topic("t", &[0]);
    for (id, offset) in [([1; 16], 5), ([2; 16], -1), ([0; 16], 5)] {
        asked.topic_id = Uuid(id);
        let response = ask(&mut driver, Some(vec![asked.clone()]));
        assert_eq!(response.topics[0].partitions[0].committed_offset, offset);
    }
    // All topics are given as they are stored.
    assert_eq!(
        ask(&mut driver, None).topics[0].partitions[0].committed_offset,
        5
    );
    // An offset that was stored without an id fits any.
    driver.commit(commit("g", "", -1, 6));
    assert_eq!(driver.committed_of("g", "t", Uuid([2; 16]), 0), 6);
}
