//! Adopting, cut short at every step.

use std::fs;
use std::path::Path;

use catchword_broker::{METADATA_DIR, refuse_foreign};
use catchword_log::{Engine, LocalEngine, LocalOptions, read_stopped_log};
use catchword_wire::Uuid;

use super::kafka_dir::{KafkaDir, ORDERS, batch, tree};
use crate::metadata::KafkaMetadata;
use crate::{AdoptError, State, Step, Survey, adopt_copy, adopt_in_place, finish_adoption};

/// The catalog in the directory: Kafka's framing is ours, so what reads Kafka's reads it.
fn catalog(dir: &Path) -> KafkaMetadata {
    let mut metadata = KafkaMetadata::default();
    read_stopped_log(&dir.join(METADATA_DIR), &mut |batch| {
        metadata.apply_batch(batch, 0).unwrap()
    })
    .unwrap();
    metadata
}

fn assert_adopted(dir: &Path) {
    assert_eq!(State::of(dir).unwrap(), State::Ours);
    refuse_foreign(dir).unwrap();
    let catalog = catalog(dir);
    let topic = &catalog.topics[&ORDERS];
    assert_eq!((topic.name.as_str(), topic.partitions.len()), ("orders", 2));
    assert!(
        topic.partitions.values().all(|p| p.leader_epoch == 4),
        "none is below the highest"
    );
    assert_eq!(
        catalog.configs[&(2, "orders".to_owned())]["retention.ms"],
        "86400000"
    );
    assert_eq!(catalog.next_producer_id, 3000);
    let engine = LocalEngine::open(dir, LocalOptions::default()).unwrap();
    let found = engine.partitions();
    let id_of = |name: &str| {
        found
            .iter()
            .find(|(p, _)| p.to_string() == name)
            .map(|(_, id)| *id)
    };
    assert_eq!(id_of("orders-0"), Some(ORDERS));
    assert!(
        [None, Some(ORDERS)].contains(&id_of("orders-1")),
        "the broker makes what is missing"
    );
    assert_eq!(id_of("gone-0"), None);
    engine.close().unwrap();
}

/// A directory that also has one of a deleted topic, and one of a deleted topic whose name was used again.
fn dir_with_strays() -> KafkaDir {
    let dir = KafkaDir::new();
    dir.write_log("gone-0", Uuid([7; 16]), &batch(0, &[(None, Some(b"x"))]));
    dir.write_log(
        "orders-1",
        Uuid([8; 16]),
        &batch(0, &[(None, Some(b"of another orders"))]),
    );
    dir
}

/// Takes `steps` steps and is then cut off; true if it came to the end.
fn cut_after(
    steps: usize,
    run: impl FnOnce(&mut dyn FnMut(&Step) -> bool) -> Result<(), AdoptError>,
) -> bool {
    let mut left = steps;
    let mut watch = |_: &Step| {
        let go_on = left > 0;
        left = left.saturating_sub(1);
        go_on
    };
    match run(&mut watch) {
        Ok(()) => true,
        Err(AdoptError::Stopped) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn cut_short_anywhere_the_directory_is_kafkas_or_can_be_finished_or_is_adopted() {
    let mut seen = Vec::new();
    for steps in 0.. {
        let dir = dir_with_strays();
        let path = dir.path();
        let kafkas_metadata = tree(&dir.metadata());
        let survey = Survey::of(path).unwrap();
        if cut_after(steps, |watch| adopt_in_place(survey, watch)) {
            assert_adopted(path);
            break;
        }
        let state = State::of(path).unwrap();
        seen.push(state);
        match state {
            State::Kafkas => {
                assert_eq!(
                    tree(&dir.metadata()),
                    kafkas_metadata,
                    "after {steps} steps"
                );
                let text = fs::read_to_string(path.join("meta.properties")).unwrap();
                assert!(text.contains("version=1\n"), "Kafka can open it: {text}");
                assert!(refuse_foreign(path).is_err(), "and we do not");
                adopt_in_place(Survey::of(path).unwrap(), &mut |_| true).unwrap();
            }
            State::Interrupted => {
                assert!(
                    refuse_foreign(path)
                        .unwrap_err()
                        .to_string()
                        .contains("--yes")
                );
                assert!(Survey::of(path).is_err());
                finish_adoption(path, &mut |_| true).unwrap();
            }
            State::Ours => {}
        }
        assert_adopted(path);
    }
    for state in [State::Kafkas, State::Interrupted, State::Ours] {
        assert!(seen.contains(&state), "{state:?} is not among {seen:?}");
    }
}

#[test]
fn finishing_can_itself_be_cut_short() {
    for steps in 0..3 {
        let dir = KafkaDir::new();
        let survey = Survey::of(dir.path()).unwrap();
        assert!(!cut_after(3, |watch| adopt_in_place(survey, watch)));
        assert_eq!(State::of(dir.path()).unwrap(), State::Interrupted);
        cut_after(steps, |watch| finish_adoption(dir.path(), watch));
        if State::of(dir.path()).unwrap() == State::Interrupted {
            finish_adoption(dir.path(), &mut |_| true).unwrap();
        }
        assert_adopted(dir.path());
    }
}

#[test]
fn the_way_back_is_what_the_page_says() {
    let dir = KafkaDir::new();
    let before = tree(dir.path());
    adopt_in_place(Survey::of(dir.path()).unwrap(), &mut |_| true).unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::remove_dir_all(at("__cluster_metadata-0")).unwrap();
    fs::rename(at("__cluster_metadata-0.kafka"), at("__cluster_metadata-0")).unwrap();
    fs::rename(at("meta.properties.kafka"), at("meta.properties")).unwrap();
    assert_eq!(tree(dir.path()), before);
    assert_eq!(State::of(dir.path()).unwrap(), State::Kafkas);
}

#[test]
fn what_lies_in_the_way_of_a_topic_is_set_aside_under_kafkas_own_kind_of_name() {
    let dir = dir_with_strays();
    let survey = Survey::of(dir.path()).unwrap();
    assert!(
        survey
            .remarks
            .iter()
            .any(|r| r.what.contains("gone-0, orders-1")),
        "{:?}",
        survey.remarks
    );
    adopt_in_place(survey, &mut |_| true).unwrap();
    let names: Vec<String> = fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    for of in ["gone-0.", "orders-1."] {
        assert!(
            names
                .iter()
                .any(|name| name.starts_with(of) && name.ends_with("-stray")),
            "{names:?}"
        );
    }
    assert!(!names.contains(&"orders-1".to_owned()));
}

#[test]
fn a_copy_has_its_name_when_it_is_whole_and_kafkas_directory_is_never_changed() {
    let dir = dir_with_strays();
    let before = tree(dir.path());
    let place = tempfile::tempdir().unwrap();
    let to = place.path().join("data");
    let survey = Survey::of(dir.path()).unwrap();
    for steps in 0.. {
        let done = cut_after(steps, |watch| adopt_copy(&survey, &to, watch));
        assert_eq!(tree(dir.path()), before, "after {steps} steps");
        assert_eq!(to.exists(), done, "after {steps} steps");
        if done {
            break;
        }
    }
    let left: Vec<_> = fs::read_dir(place.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing half done is left: {left:?}");
    drop(survey);
    let name = "orders-0/00000000000000000000.log";
    assert_eq!(
        fs::read(to.join(name)).unwrap(),
        fs::read(dir.path().join(name)).unwrap()
    );
    assert_adopted(&to);
}

#[test]
fn a_copy_does_not_overwrite_what_is_there() {
    let dir = KafkaDir::new();
    let survey = Survey::of(dir.path()).unwrap();
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("mine"), "").unwrap();
    assert!(
        adopt_copy(&survey, place.path(), &mut |_| true)
            .unwrap_err()
            .to_string()
            .contains("not empty")
    );
    let to = place.path().join("data");
    fs::create_dir(place.path().join("data.adopting")).unwrap();
    fs::write(place.path().join("data.adopting/mine"), "").unwrap();
    let error = adopt_copy(&survey, &to, &mut |_| true)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no half-made copy"), "{error}");
    assert!(place.path().join("data.adopting/mine").exists());
}

#[test]
fn an_index_that_kafka_kept_at_full_size_is_copied_without_what_was_never_written() {
    let dir = KafkaDir::new();
    let index = "orders-0/00000000000000000000.index";
    let mut bytes = vec![0; 4096];
    bytes[..16].copy_from_slice(&[0, 0, 0, 5, 0, 0, 1, 0, 0, 0, 0, 9, 0, 0, 2, 0]);
    fs::write(dir.path().join(index), &bytes).unwrap();
    let place = tempfile::tempdir().unwrap();
    let to = place.path().join("data");
    adopt_copy(&Survey::of(dir.path()).unwrap(), &to, &mut |_| true).unwrap();
    assert_eq!(
        fs::read(to.join(index)).unwrap(),
        &bytes[..16],
        "whole entries, though the last ends in zeros"
    );
}
