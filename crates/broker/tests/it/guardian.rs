//! The guardian of another broker: what is done to groups there is told here and taken back there, and is kept once, whatever
//! is killed. (The conformance scenario `guardian` does the same beside a real Apache Kafka.)

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catchword_broker::{Guarded, Identity, Running};
use catchword_client::{Client, ClientOptions, CommitAs, NewCommit, TopicPartition};
use catchword_config::BrokerConfig;
use catchword_log::{LocalEngine, LocalOptions};
use tokio::runtime::Runtime;

use crate::harness::{TestBroker, copy_dir, wait_until};
use crate::plane::{get, post};

struct Guardian {
    runtime: Option<Runtime>,
    running: Option<Running>,
    http: SocketAddr,
}

impl Guardian {
    fn of(kafka: &TestBroker, dir: &Path) -> Guardian {
        Guardian::with(kafka, dir, false)
    }

    fn with(kafka: &TestBroker, dir: &Path, restore_expired: bool) -> Guardian {
        let id = client(kafka).cluster().unwrap().id.unwrap();
        let config = BrokerConfig::from_pairs(&[
            ("log.dirs".to_owned(), dir.display().to_string()),
            ("http.listener".to_owned(), "127.0.0.1:0".to_owned()),
            ("cluster.id".to_owned(), id),
            ("lag.check.interval.ms".to_owned(), "100".to_owned()),
        ]);
        let mut config = config.unwrap();
        config.listeners.clear();
        config.advertised.clear();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let options = LocalOptions {
            compaction_policy: catchword_broker::compaction_policy(&config),
            ..LocalOptions::default()
        };
        let engine = Arc::new(LocalEngine::open(dir, options).unwrap());
        let identity = Identity::load_guardian(dir, &config).unwrap();
        let guarded = Guarded {
            kafka: ClientOptions::to(kafka.address.to_string()),
            restore_expired,
        };
        let started = catchword_broker::start_guardian(config, engine, identity, guarded);
        let running = runtime.block_on(started).unwrap();
        let http = running.http_address().unwrap();
        Guardian {
            runtime: Some(runtime),
            running: Some(running),
            http,
        }
    }

    /// Waits until the path is answered with all of these words.
    fn tells(&self, path: &str, words: &[&str]) -> String {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let (_, body) = get(self.http, path);
            if words.iter().all(|words| body.contains(words)) {
                return body;
            }
            assert!(
                Instant::now() < until,
                "{path} does not tell {words:?}: {body}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop(mut self) {
        let (running, runtime) = (self.running.take(), self.runtime.take());
        runtime.unwrap().block_on(running.unwrap().stop()).unwrap();
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_millis(100));
        }
    }
}

fn client(kafka: &TestBroker) -> Client {
    Client::connect(ClientOptions::to(kafka.address.to_string())).unwrap()
}

fn commit(kafka: &TestBroker, group: &str, offset: i64) {
    let commit = NewCommit::new(TopicPartition::new("t", 0), offset);
    let committed = client(kafka).commit(group, CommitAs::Outsider, &[commit]);
    committed.unwrap();
}

fn committed(kafka: &TestBroker, group: &str) -> Option<i64> {
    let found = client(kafka).committed(group, None).unwrap();
    found
        .get(&TopicPartition::new("t", 0))
        .map(|place| place.offset)
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_millis()).unwrap()
}

/// The id of the newest change that a list tells.
fn newest(changes: &str) -> String {
    let from = changes.find("\"id\":\"").expect("there is a change") + 6;
    changes[from..].split('"').next().unwrap().to_owned()
}

#[test]
fn what_is_reset_or_deleted_there_is_told_here_and_taken_back_there() {
    let kafka = TestBroker::start();
    kafka.topic("t", 1, &[]);
    commit(&kafka, "g", 50);
    let dir = tempfile::tempdir().unwrap();
    let guardian = Guardian::of(&kafka, dir.path());
    guardian.tells("/v1/groups/g", &["\"committed\":50"]);
    commit(&kafka, "g", 7);
    let log = guardian.tells(
        "/v1/groups/g/log",
        &["\"from\":50,\"from_lost\":false,\"to\":7"],
    );
    let undo = format!("/v1/changes/{}/undo", newest(&log));
    let (_, preview) = post(guardian.http, &undo, "", "{}");
    assert!(
        preview.contains("\"now\":7,\"then\":50,\"moves\":true"),
        "{preview}"
    );
    assert_eq!(committed(&kafka, "g"), Some(7), "a preview changes nothing");
    let (status, done) = post(guardian.http, &undo, "", "{\"apply\":true}");
    assert_eq!(status, 200, "{done}");
    assert_eq!(committed(&kafka, "g"), Some(50));
    // It has come back by the log, and is still known to be an undo.
    guardian.tells(
        "/v1/groups/g/log?limit=1",
        &[
            "\"kind\":\"undo\"",
            "\"from\":7,\"from_lost\":false,\"to\":50",
        ],
    );
    client(&kafka).delete_group("g").unwrap();
    guardian.tells("/v1/trash", &["\"group\":\"g\"", "\"restorable\":1"]);
    let (status, done) = post(
        guardian.http,
        "/v1/groups/g/restore",
        "",
        "{\"apply\":true}",
    );
    assert_eq!(status, 200, "{done}");
    assert_eq!(committed(&kafka, "g"), Some(50));
    guardian.stop();
}

#[test]
fn what_happened_while_the_guardian_was_dead_is_told_and_nothing_twice() {
    let kafka = TestBroker::start();
    kafka.topic("t", 1, &[]);
    let dir = tempfile::tempdir().unwrap();
    let guardian = Guardian::of(&kafka, dir.path());
    for offset in [10, 20, 5, 30, 1] {
        commit(&kafka, "g", offset);
    }
    let before = guardian.tells(
        "/v1/groups/g/log?commits=true",
        &["\"from\":30,\"from_lost\":false,\"to\":1"],
    );
    // What a kill -9 would leave, now and at some later moments, when it has noted more of how far it was.
    for round in 0..3 {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        commit(&kafka, "other", round);
        let again = Guardian::of(&kafka, copy.path());
        let place = format!("\"committed\":{round}");
        again.tells("/v1/groups/other", &[&place]);
        let (_, after) = get(again.http, "/v1/groups/g/log?commits=true");
        assert_eq!(after, before, "round {round}");
        std::thread::sleep(Duration::from_millis(700));
    }
    guardian.stop();
}

#[test]
fn a_group_with_members_is_left_alone_and_a_move_that_was_overtaken_is_not_made() {
    let kafka = TestBroker::start();
    kafka.topic("t", 1, &[]);
    let dir = tempfile::tempdir().unwrap();
    let guardian = Guardian::of(&kafka, dir.path());
    commit(&kafka, "g", 50);
    commit(&kafka, "g", 7);
    let log = guardian.tells(
        "/v1/groups/g/log",
        &["\"from\":50,\"from_lost\":false,\"to\":7"],
    );
    let undo = format!("/v1/changes/{}/undo", newest(&log));
    commit(&kafka, "g", 9);
    guardian.tells("/v1/groups/g", &["\"committed\":9"]);
    let (status, refused) = post(guardian.http, &undo, "", "{\"apply\":true}");
    assert_eq!(status, 409, "{refused}");
    assert!(refused.contains("\"error\":\"moved-on\""), "{refused}");
    assert_eq!(committed(&kafka, "g"), Some(9));
    let options = catchword_client::MemberOptions::new("g", vec!["t".into()]);
    let mut members = client(&kafka);
    let member = catchword_client::GroupMember::join(&mut members, options).unwrap();
    let forced = "{\"apply\":true,\"force\":true}";
    let (status, refused) = post(guardian.http, &undo, "", forced);
    assert_eq!(status, 409, "{refused}");
    assert!(refused.contains("\"error\":\"group-active\""), "{refused}");
    member.leave(&mut members).unwrap();
    let (status, done) = post(guardian.http, &undo, "", forced);
    assert_eq!(status, 200, "{done}");
    assert_eq!(committed(&kafka, "g"), Some(50));
    guardian.stop();
}

#[test]
fn a_rule_of_the_guarded_brokers_own_is_told_as_that_and_not_as_somebody_elses_move() {
    let kafka = TestBroker::start();
    kafka.topic("t", 1, &[]);
    let dir = tempfile::tempdir().unwrap();
    let guardian = Guardian::of(&kafka, dir.path());
    commit(&kafka, "g", 50);
    commit(&kafka, "g", 7);
    let log = guardian.tells("/v1/groups/g/log", &["\"to\":7"]);
    let freeze = "{\"settings\":{\"offsets.protect\":\"frozen\"}}";
    let (status, set) = post(kafka.http.unwrap(), "/v1/groups/g/settings", "", freeze);
    assert_eq!(status, 200, "{set}");
    let undo = format!("/v1/changes/{}/undo", newest(&log));
    let (status, refused) = post(guardian.http, &undo, "", "{\"apply\":true}");
    assert_eq!(status, 409, "{refused}");
    for words in [
        "\"error\":\"protected\"",
        "a rule of its own",
        "nothing was changed",
        "catchword protect GROUP off",
    ] {
        assert!(refused.contains(words), "{words}: {refused}");
    }
    assert_eq!(committed(&kafka, "g"), Some(7));
    guardian.stop();
}

/// Its log is shorter than what was read of it: it was made anew, or a disk is lost.
#[test]
fn what_a_guarded_broker_lost_is_not_guessed_after_a_kill_either() {
    let cluster = [("cluster.id", "BBBBBBBBQACAAAAAAAAAAQ")];
    let kafka = TestBroker::with(&cluster);
    kafka.topic("t", 1, &[]);
    let dir = tempfile::tempdir().unwrap();
    let guardian = Guardian::of(&kafka, dir.path());
    for offset in [10, 20, 30] {
        commit(&kafka, "g", offset);
    }
    wait_until("it is noted what was read", || notes(dir.path(), "next="));
    guardian.stop();
    let kafka = TestBroker::with(&cluster);
    kafka.topic("t", 1, &[]);
    // So that there are committed offsets to follow.
    commit(&kafka, "other", 1);
    let guardian = Guardian::of(&kafka, dir.path());
    wait_until("it is noted what was lost", || {
        notes(dir.path(), "lost_at=")
    });
    // What a kill -9 would leave.
    let copy = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), copy.path());
    guardian.stop();
    let guardian = Guardian::of(&kafka, copy.path());
    commit(&kafka, "g", 7);
    guardian.tells(
        "/v1/groups/g/log?commits=true",
        &["\"from\":null,\"from_lost\":true,\"to\":7"],
    );
    guardian.stop();
}

/// Whether one of the guardian's notes has a line that begins so.
fn notes(dir: &Path, begins: &str) -> bool {
    let below = |dir: &Path| {
        let all = std::fs::read_dir(dir).into_iter().flatten();
        all.filter_map(|entry| Some(entry.ok()?.path()))
    };
    let mut notes = below(dir)
        .filter(|path| path.is_dir())
        .flat_map(|path| below(&path).collect::<Vec<_>>())
        .filter(|path| path.extension().is_some_and(|kind| kind == "cw-guard"));
    notes.any(|path| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().any(|line| line.starts_with(begins))
    })
}

#[test]
fn a_tag_outlives_what_is_done_to_the_group_there() {
    let kafka = TestBroker::start();
    kafka.topic("t", 1, &[]);
    let dir = tempfile::tempdir().unwrap();
    let guardian = Guardian::of(&kafka, dir.path());
    commit(&kafka, "g", 50);
    guardian.tells("/v1/groups/g", &["\"committed\":50"]);
    let (status, made) = post(
        guardian.http,
        "/v1/groups/g/tags",
        "",
        "{\"name\":\"before\"}",
    );
    assert_eq!(status, 200, "{made}");
    client(&kafka).delete_group("g").unwrap();
    guardian.tells("/v1/trash", &["\"group\":\"g\""]);
    guardian.stop();
    let guardian = Guardian::of(&kafka, dir.path());
    guardian.tells("/v1/groups/g/tags", &["\"before\""]);
    let restore = "{\"apply\":true,\"tag\":\"before\"}";
    let (status, done) = post(guardian.http, "/v1/groups/g/restore", "", restore);
    assert_eq!(status, 200, "{done}");
    assert_eq!(committed(&kafka, "g"), Some(50));
    guardian.stop();
}

#[test]
fn another_cluster_is_not_mixed_into_the_history() {
    let kafka = TestBroker::start();
    let dir = tempfile::tempdir().unwrap();
    Guardian::of(&kafka, dir.path()).stop();
    let other = BrokerConfig::from_pairs(&[
        ("log.dirs".to_owned(), dir.path().display().to_string()),
        ("cluster.id".to_owned(), "BBBBBBBBQACAAAAAAAAAAQ".to_owned()),
    ]);
    let refused = Identity::load_guardian(dir.path(), &other.unwrap()).unwrap_err();
    assert!(
        refused.to_string().contains("the data is of cluster"),
        "{refused}"
    );
    let own = Identity::load_guardian(kafka.dir.path(), &BrokerConfig::defaults()).unwrap_err();
    assert!(
        own.to_string().contains("of a broker, not of a guardian"),
        "{own}"
    );
}

#[test]
fn a_pinned_bookmark_comes_back_by_itself_and_nobody_here_removes_it() {
    let kafka = TestBroker::start();
    kafka.topic("t", 1, &[]);
    let dir = tempfile::tempdir().unwrap();
    let guardian = Guardian::with(&kafka, dir.path(), true);
    commit(&kafka, "g", 50);
    commit(&kafka, "other", 50);
    guardian.tells("/v1/groups/g", &["\"committed\":50"]);
    let pin = "{\"settings\":{\"offsets.pin\":\"t:0\"}}";
    let (status, set) = post(guardian.http, "/v1/groups/g/settings", "", pin);
    assert_eq!(status, 200, "{set}");
    // As beside a broker of our own: the group's page and the list say so.
    guardian.tells("/v1/groups/g", &["\"pins\":[\"t:0\"]"]);
    let (_, list) = get(guardian.http, "/v1/groups");
    assert_eq!(list.matches("\"pins\":[\"t:0\"]").count(), 1, "{list}");
    assert_eq!(list.matches("\"pins\":[]").count(), 1, "{list}");
    for group in ["g", "other"] {
        client(&kafka).delete_group(group).unwrap();
    }
    let log = guardian.tells("/v1/groups/g/log?limit=1", &["\"kind\":\"restore\""]);
    assert_eq!(committed(&kafka, "g"), Some(50));
    assert_eq!(
        committed(&kafka, "other"),
        None,
        "what is not pinned stays away"
    );
    let undo = format!("/v1/changes/{}/undo", newest(&log));
    let (status, refused) = post(guardian.http, &undo, "", "{\"apply\":true}");
    assert_eq!(status, 409, "{refused}");
    assert!(refused.contains("\"error\":\"protected\""), "{refused}");
    guardian.stop();
    // The pin is the guardian's own: it outlives it, and what went meanwhile comes back.
    client(&kafka).delete_group("g").unwrap();
    let guardian = Guardian::with(&kafka, dir.path(), true);
    let until = Instant::now() + Duration::from_secs(30);
    while committed(&kafka, "g") != Some(50) {
        assert!(Instant::now() < until, "it did not come back");
        std::thread::sleep(Duration::from_millis(50));
    }
    guardian.stop();
}

#[test]
fn a_guardian_that_may_not_commit_by_itself_leaves_it_to_people() {
    let kafka = TestBroker::start();
    kafka.topic("t", 1, &[]);
    let dir = tempfile::tempdir().unwrap();
    let guardian = Guardian::of(&kafka, dir.path());
    commit(&kafka, "g", 50);
    guardian.tells("/v1/groups/g", &["\"committed\":50"]);
    let pin = "{\"settings\":{\"offsets.retention.minutes\":\"-1\"}}";
    let (status, set) = post(guardian.http, "/v1/groups/g/settings", "", pin);
    assert_eq!(status, 200, "{set}");
    client(&kafka).delete_group("g").unwrap();
    guardian.tells("/v1/trash", &["\"group\":\"g\""]);
    // Some of the looks that would have put it back.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(committed(&kafka, "g"), None);
    guardian.stop();
}

/// Waits until a group's page tells when its bookmarks expire, or that they do not.
fn expires(guardian: &Guardian, group: &str, word: &str) -> serde_json::Value {
    let page = guardian.tells(&format!("/v1/groups/{group}"), &[word]);
    serde_json::from_str(&page).unwrap()
}

#[test]
fn when_bookmarks_expire_there_is_told_here_and_marked_when_it_is_soon() {
    let kafka = TestBroker::with(&[("offsets.retention.minutes", "10")]);
    kafka.topic("t", 1, &[]);
    let dir = tempfile::tempdir().unwrap();
    let guardian = Guardian::of(&kafka, dir.path());
    let before_ms = now_ms();
    commit(&kafka, "g", 50);
    let page = expires(&guardian, "g", "\"committed\":50");
    let at_ms = page["expires_at_ms"].as_i64().unwrap();
    let within = before_ms + 600_000..=now_ms() + 600_000;
    assert!(within.contains(&at_ms), "{at_ms} is not in {within:?}");
    assert_eq!(
        page["expires_soon"], false,
        "there is more than half of the time left"
    );
    let (_, list) = get(guardian.http, "/v1/groups");
    assert!(
        list.contains(&format!("\"expires_at_ms\":{at_ms}")),
        "{list}"
    );
    let (_, expiry) = get(guardian.http, "/v1/groups/g/expiry");
    assert!(expiry.contains("\"retention_ms\":600000"), "{expiry}");
    assert!(
        expiry.contains(&format!("\"expires_at_ms\":{at_ms}")),
        "{expiry}"
    );

    // What is pinned expires there all the same, unless the guardian may see to it.
    let pin = "{\"settings\":{\"offsets.pin\":\"*\"}}";
    let (status, set) = post(guardian.http, "/v1/groups/g/settings", "", pin);
    assert_eq!(status, 200, "{set}");
    let page = expires(&guardian, "g", "\"pins\":[\"*\"]");
    assert_eq!(page["expires_at_ms"], at_ms);
    guardian.stop();
    let guardian = Guardian::with(&kafka, dir.path(), true);
    let page = expires(&guardian, "g", "\"committed\":50");
    assert!(page["expires_at_ms"].is_null(), "{page}");
    guardian.stop();
}

#[test]
fn an_objective_is_watched_by_time_and_by_number_at_a_guarded_kafka() {
    let kafka = TestBroker::start();
    kafka.topic("t", 1, &[]);
    let dir = tempfile::tempdir().unwrap();
    let guardian = Guardian::of(&kafka, dir.path());
    let mut writer = client(&kafka);
    let mut producer = writer
        .producer(catchword_client::Acks::All, Default::default())
        .unwrap();
    let record = catchword_wire::batch::NewRecord {
        timestamp: now_ms() - 600_000,
        key: None,
        value: Some(b"old"),
        headers: &[],
    };
    let place = TopicPartition::new("t", 0);
    for _ in 0..3 {
        writer.produce(&mut producer, &place, &[record]).unwrap();
    }
    let hold = |group: &str, key: &str, value: &str| {
        let body = format!("{{\"settings\":{{\"{key}\":\"{value}\"}}}}");
        let path = format!("/v1/groups/{group}/settings");
        let (status, set) = post(guardian.http, &path, "", &body);
        assert_eq!(status, 200, "{set}");
    };
    for (group, at) in [("late", 2), ("there", 3), ("many", 0)] {
        commit(&kafka, group, at);
    }
    hold("late", "lag.objective.age.ms", "60000");
    hold("there", "lag.objective.age.ms", "60000");
    hold("many", "lag.objective.records", "2");
    for (group, status) in [("late", "WARN"), ("there", "OK"), ("many", "WARN")] {
        let words = format!("\"status\":\"{status}\"");
        guardian.tells(&format!("/v1/lag?group={group}"), &[&words]);
    }
    guardian.stop();
}

#[test]
fn a_setting_that_only_kafka_could_heed_is_refused_with_the_reason() {
    let kafka = TestBroker::start();
    let dir = tempfile::tempdir().unwrap();
    let guardian = Guardian::of(&kafka, dir.path());
    let set = "{\"settings\":{\"offsets.protect\":\"frozen\",\"offsets.pin\":\"*\"}}";
    let (status, refused) = post(guardian.http, "/v1/groups/g/settings", "", set);
    assert_eq!(status, 409, "{refused}");
    assert!(
        refused.contains("whoever has the right to commit"),
        "{refused}"
    );
    let (_, settings) = get(guardian.http, "/v1/groups/g/settings");
    assert!(settings.contains("\"settings\":{}"), "{settings}");
    guardian.stop();
}

/// Kafka's records do not say where a bookmark was: it is known by the record before, of whatever age.
#[test]
fn the_last_changes_of_all_groups_tell_exactly_from_where_to_where() {
    let kafka = TestBroker::start();
    kafka.topic("t", 1, &[]);
    let dir = tempfile::tempdir().unwrap();
    let guardian = Guardian::of(&kafka, dir.path());
    for (group, places) in [("a", [10, 20, 5]), ("b", [7, 3, 9])] {
        for place in places {
            commit(&kafka, group, place);
        }
    }
    let told = [
        "\"from\":20,\"from_lost\":false,\"to\":5",
        "\"from\":7,\"from_lost\":false,\"to\":3",
    ];
    guardian.tells("/v1/changes", &told);
    // Asked before, it reads on from there.
    commit(&kafka, "b", 30);
    commit(&kafka, "b", 2);
    let newest_one = "\"from\":30,\"from_lost\":false,\"to\":2";
    let changes = guardian.tells("/v1/changes", &[told[0], told[1], newest_one]);
    let undo = format!("/v1/changes/{}/undo", newest(&changes));
    let (status, done) = post(guardian.http, &undo, "", "{\"apply\":true}");
    assert_eq!(status, 200, "{done}");
    assert_eq!(committed(&kafka, "b"), Some(30));
    guardian.stop();
}
