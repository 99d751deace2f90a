//! What a group tells of its topics, and which it asks for.

use catchword_wire::messages::create_topics_request::CreatableTopic;
use catchword_wire::messages::streams_group_heartbeat_request::{
    CopartitionGroup, KeyValue, Subtopology, TopicInfo, Topology,
};
use catchword_wire::{ErrorCode, Str};

use super::*;

/// What a first member with this topology is told, and which topics are to be made, with their partitions.
fn told(
    topology: Topology,
    topics: &[(&'static str, u8, i32)],
) -> (Vec<i8>, String, Vec<(Str, i32)>) {
    let mut driver = Driver::with(config());
    driver.set_topics(1, topics);
    let (response, missing) = driver.hears_all(StreamsGroupHeartbeatRequest {
        topology: Some(topology),
        ..joining("a1")
    });
    assert_eq!(response.error_code, 0, "{:?}", response.error_message);
    let detail = response
        .status
        .iter()
        .flatten()
        .map(|s| s.status_detail.to_string());
    let missing = missing.into_iter().map(|t| (t.name, t.num_partitions));
    (statuses(&response), detail.collect(), missing.collect())
}

fn internal(name: &'static str, partitions: i32) -> TopicInfo {
    TopicInfo {
        name: name.into(),
        partitions,
        ..TopicInfo::default()
    }
}

#[test]
fn members_have_no_tasks_until_all_topics_are_there_and_are_told_what_is_missing() {
    let mut driver = Driver::with(config());
    driver.set_topics(1, &[]);
    let first = driver.hears(joining("a1"));
    assert_eq!(statuses(&first), [MISSING_SOURCE_TOPICS]);
    assert_eq!(given(&first), Some(Held::default()));
    assert_eq!(driver.described_app().group_state, "NotReady");

    driver.set_topics(2, &TOPICS[..1]);
    let (second, missing) = driver.hears_all(alive("a1", first.member_epoch));
    assert_eq!(statuses(&second), [MISSING_INTERNAL_TOPICS]);
    let wanted: Vec<(&str, i32)> = missing
        .iter()
        .map(|t| (&*t.name, t.num_partitions))
        .collect();
    assert_eq!(wanted, [("by-word", 3), ("counts", 3)]);

    driver.set_topics(3, &TOPICS);
    let third = driver.hears(alive("a1", second.member_epoch));
    assert_eq!(statuses(&third), []);
    let all = names(&["0_0", "0_1", "0_2", "1_0", "1_1", "1_2"]);
    assert_eq!(given(&third).unwrap().active, all);
    assert_eq!(driver.described_app().group_state, "Stable");
}

#[test]
fn topics_are_asked_for_as_the_application_says() {
    let mut topology = topology();
    topology.subtopologies[1].repartition_source_topics = vec![TopicInfo {
        replication_factor: 3,
        topic_configs: vec![KeyValue {
            key: "segment.bytes".into(),
            value: "52428800".into(),
        }],
        ..internal("by-word", 7)
    }];
    let mut driver = driver();
    driver.set_topics(2, &TOPICS[..1]);
    let (_, missing) = driver.hears_all(StreamsGroupHeartbeatRequest {
        topology: Some(topology),
        ..joining("a1")
    });
    let CreatableTopic {
        name,
        num_partitions,
        replication_factor,
        configs,
        ..
    } = &missing[0];
    assert_eq!(
        (&**name, *num_partitions, *replication_factor),
        ("by-word", 7, 3)
    );
    assert_eq!(&*configs[0].name, "segment.bytes");
    // Nothing said: the broker's default. A changelog has as many as its subtopology has tasks.
    assert_eq!(
        (missing[1].num_partitions, missing[1].replication_factor),
        (7, -1)
    );
}

#[test]
fn topics_of_the_wrong_size_are_told_and_nothing_runs() {
    let (codes, detail, missing) = told(topology(), &[("in", 1, 3), ("by-word", 2, 5)]);
    assert_eq!(codes, [INCORRECTLY_PARTITIONED_TOPICS]);
    assert!(
        detail.contains("by-word") && detail.contains("expected 3, found 5"),
        "{detail}"
    );
    assert_eq!(missing, []);
}

/// Subtopology 0 makes `mapped` of `in`, subtopology 1 joins it with `other`.
fn join_of(mapped: TopicInfo) -> Topology {
    Topology {
        epoch: 0,
        subtopologies: vec![
            Subtopology {
                subtopology_id: "0".into(),
                source_topics: vec!["in".into()],
                repartition_sink_topics: vec!["mapped".into()],
                ..Subtopology::default()
            },
            Subtopology {
                subtopology_id: "1".into(),
                source_topics: vec!["other".into()],
                repartition_source_topics: vec![mapped],
                copartition_groups: vec![CopartitionGroup {
                    source_topics: vec![0],
                    repartition_source_topics: vec![0],
                    ..CopartitionGroup::default()
                }],
                ..Subtopology::default()
            },
        ],
    }
}

#[test]
fn what_is_read_together_is_cut_alike() {
    let topics = [("in", 1, 3), ("other", 2, 8)];
    let (codes, _, missing) = told(join_of(internal("mapped", 0)), &topics);
    assert_eq!(
        (codes, missing),
        (vec![MISSING_INTERNAL_TOPICS], vec![("mapped".into(), 8)])
    );
    let (codes, detail, _) = told(join_of(internal("mapped", 4)), &topics);
    assert_eq!(codes, [INCORRECTLY_PARTITIONED_TOPICS]);
    assert!(detail.contains("mapped"), "{detail}");
    // Two topics of others are read together: nobody can cut them anew.
    let mut both = join_of(internal("mapped", 0));
    both.subtopologies[1].source_topics = vec!["other".into(), "in".into()];
    both.subtopologies[1].copartition_groups[0].source_topics = vec![0, 1];
    let (codes, detail, _) = told(both, &topics);
    assert_eq!(codes, [INCORRECTLY_PARTITIONED_TOPICS]);
    assert!(detail.contains("in=3, other=8"), "{detail}");
}

#[test]
fn the_partitions_of_repartition_topics_follow_from_each_other() {
    let step = |id: &'static str, from: &'static str, to: &'static str| Subtopology {
        subtopology_id: id.into(),
        repartition_source_topics: vec![internal(from, 0)],
        repartition_sink_topics: vec![to.into()],
        ..Subtopology::default()
    };
    let last = Subtopology {
        subtopology_id: "3".into(),
        repartition_source_topics: vec![internal("c", 0)],
        ..Subtopology::default()
    };
    let first = Subtopology {
        subtopology_id: "9".into(),
        source_topics: vec!["in".into()],
        repartition_sink_topics: vec!["a".into()],
        ..Subtopology::default()
    };
    let chain = Topology {
        epoch: 0,
        subtopologies: vec![step("1", "b", "c"), step("2", "a", "b"), last, first],
    };
    let (_, _, missing) = told(chain, &[("in", 1, 5)]);
    assert_eq!(missing, ["a", "b", "c"].map(|name| (Str::from(name), 5)));
}

#[test]
fn a_topology_that_makes_no_sense_is_refused_and_leaves_no_group() {
    let mut driver = driver();
    let mut refused = |change: fn(&mut Topology)| {
        let mut topology = topology();
        change(&mut topology);
        let error = driver.refused(StreamsGroupHeartbeatRequest {
            topology: Some(topology),
            ..joining("a1")
        });
        assert_eq!(
            driver.described_app().error_code,
            ErrorCode::GroupIdNotFound.code()
        );
        error
    };
    let circle = refused(|t| {
        t.subtopologies[0].source_topics.clear();
        t.subtopologies[0].repartition_source_topics = vec![internal("by-word", 0)];
    });
    assert_eq!(circle, ErrorCode::StreamsInvalidTopology);
    let unwritten = refused(|t| t.subtopologies[0].repartition_sink_topics.clear());
    assert_eq!(unwritten, ErrorCode::StreamsInvalidTopology);
    let idle = refused(|t| t.subtopologies[0].source_topics.clear());
    assert_eq!(idle, ErrorCode::StreamsInvalidTopology);
    let fixed = refused(|t| t.subtopologies[1].state_changelog_topics[0].partitions = 1);
    assert_eq!(fixed, ErrorCode::StreamsInvalidTopology);
    let twice = refused(|t| t.subtopologies[1].subtopology_id = "0".into());
    assert_eq!(twice, ErrorCode::StreamsInvalidTopology);
    let nowhere = refused(|t| {
        t.subtopologies[0].copartition_groups = vec![CopartitionGroup {
            source_topics: vec![1],
            ..CopartitionGroup::default()
        }];
    });
    assert_eq!(nowhere, ErrorCode::StreamsInvalidTopology);
    assert_eq!(
        refused(|t| t.epoch = -1),
        ErrorCode::StreamsInvalidTopologyEpoch
    );
}
