//! A snapshot and the log since give the state of the whole log, whatever happens in between.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use catchword_coordinator::{
    Call, Client, Context, GroupConfig, GroupShard, Output, Records, ReplyTo,
};
use catchword_log::{
    Append, AppendOrigin, CleanupPolicy, DiskHook, DiskOperation, Engine, LocalEngine,
    LocalOptions, LogConfig, MemoryEngine,
};
use catchword_wire::batch::{Batch, BatchBuilder, NewRecord};
use catchword_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use catchword_wire::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use catchword_wire::messages::{JoinGroupRequest, OffsetCommitRequest, OffsetDeleteRequest};
use catchword_wire::{Str, Uuid};

use super::*;

mod pending;
mod transactions;

const ID: Uuid = Uuid([3; 16]);

fn tp() -> TopicPartition {
    TopicPartition::new("__consumer_offsets", 0)
}

fn memory_log() -> Arc<dyn PartitionLog> {
    let engine = MemoryEngine::new();
    engine.create(&tp(), ID, LogConfig::default()).unwrap()
}

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 2000,
        cleanup_policy: CleanupPolicy::Compact,
        min_cleanable_dirty_ratio: 0.0,
        ..LogConfig::default()
    }
}

/// Numbers that look like chance.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A shard that decides, and appends what it decides.
struct Writer {
    machine: GroupShard,
    now_ms: i64,
    epoch: i32,
}

impl Writer {
    fn new() -> Writer {
        Writer {
            machine: GroupShard::new(GroupConfig::default(), 1),
            now_ms: 1_000_000,
            epoch: 0,
        }
    }

    fn step(&mut self, log: &dyn PartitionLog, dice: &mut Dice) {
        self.now_ms += 10;
        let group_id = Str::from(format!("g{}", dice.below(4)));
        let partition = dice.below(3) as i32;
        let client = Client::default();
        let mut out = Output::default();
        let call = match dice.below(12) {
            0 => Call::DeleteGroup(group_id),
            1 => Call::JoinGroup(JoinGroupRequest {
                group_id,
                session_timeout_ms: 10_000,
                rebalance_timeout_ms: 10_000,
                protocol_type: "consumer".into(),
                ..JoinGroupRequest::default()
            }),
            2 | 3 => Call::OffsetDelete(OffsetDeleteRequest {
                group_id,
                topics: vec![OffsetDeleteRequestTopic {
                    name: "t".into(),
                    partitions: (0..3)
                        .map(|partition_index| OffsetDeleteRequestPartition { partition_index })
                        .collect(),
                }],
            }),
            _ => Call::OffsetCommit(OffsetCommitRequest {
                group_id,
                topics: vec![OffsetCommitRequestTopic {
                    name: "t".into(),
                    partitions: vec![OffsetCommitRequestPartition {
                        partition_index: partition,
                        committed_offset: self.now_ms,
                        committed_metadata: (dice.below(2) == 0).then(|| "m".into()),
                        ..Default::default()
                    }],
                    ..Default::default()
                }],
                ..OffsetCommitRequest::default()
            }),
        };
        let ctx = Context {
            now_ms: self.now_ms,
            client: &client,
            api_version: 2,
        };
        self.machine.step(&ctx, ReplyTo(0), call, &mut out);
        append(log, self.epoch, self.now_ms, &out.records);
    }
}

/// As a shard appends what one step decided.
fn append(log: &dyn PartitionLog, epoch: i32, now_ms: i64, records: &Records) {
    if records.is_empty() {
        return;
    }
    let mut builder = BatchBuilder::new(0);
    for record in records.iter() {
        let new = NewRecord {
            timestamp: now_ms,
            key: Some(record.key),
            value: record.value,
            headers: record.headers,
        };
        builder.push(new).unwrap();
    }
    let batch = Batch::parse(&builder.build().unwrap()).unwrap();
    let how = Append {
        leader_epoch: epoch,
        append_time: None,
        origin: AppendOrigin::Coordinator,
    };
    log.append(&[batch], how).unwrap();
}

fn empty() -> GroupShard {
    GroupShard::new(GroupConfig::default(), 0)
}

type State = (Records, (usize, usize));

fn state(machine: &GroupShard) -> State {
    (machine.snapshot_records(), machine.counts())
}

/// What a start would read, and how.
fn start(log: &dyn PartitionLog) -> (State, load::Loaded) {
    let (machine, loaded) = load::load(&tp(), log, i64::MAX, empty).unwrap();
    (state(&machine), loaded)
}

/// The state of the whole log.
fn whole(log: &dyn PartitionLog) -> State {
    start(&*without_snapshots(log)).0
}

/// The same log, in which nobody ever made a snapshot.
fn without_snapshots(log: &dyn PartitionLog) -> Arc<dyn PartitionLog> {
    let bare = memory_log();
    let mut from = log.offsets().log_start;
    while from < log.offsets().log_end {
        let read = log.read(from, 1 << 20, catchword_log::ReadLimit::LogEnd, true);
        for batch in catchword_wire::batch::split(read.now().unwrap().data.read().unwrap()) {
            let batch = batch.unwrap();
            from = batch.header.next_offset();
            if batch.header.records_count == 0 {
                continue;
            }
            let how = Append {
                leader_epoch: 0,
                append_time: None,
                origin: AppendOrigin::Coordinator,
            };
            bare.append(&[batch], how).unwrap();
        }
    }
    bare
}

fn snapshot_now(log: &dyn PartitionLog) {
    snapshot_of::<GroupShard>(log, &GroupConfig::default());
}

fn snapshot_of<M: Machine>(log: &dyn PartitionLog, config: &M::Config) {
    let durable_end = log.offsets().durable_end;
    take::<M>(&tp(), log, config, durable_end).unwrap();
}

fn flush(log: &dyn PartitionLog) {
    let (done, synced) = mpsc::channel();
    log.flush_to(
        log.offsets().log_end,
        Box::new(move |result| drop(done.send(result))),
    );
    synced.recv().unwrap().unwrap();
}

#[test]
fn a_snapshot_and_the_log_since_give_the_state_of_the_whole_log() {
    for seed in 1..60 {
        let mut dice = Dice(seed);
        let log = memory_log();
        let mut writer = Writer::new();
        for n in 0..200 {
            writer.step(&*log, &mut dice);
            if dice.below(20) == 0 && log.offsets().log_end > 0 {
                snapshot_now(&*log);
            }
            if n % 10 == 0 {
                assert_eq!(start(&*log).0, whole(&*log), "seed {seed}, step {n}");
            }
        }
        let (found, loaded) = start(&*log);
        assert_eq!(found, whole(&*log), "seed {seed}");
        assert!(loaded.snapshot_end > 0, "seed {seed}: no snapshot was used");
        let read = loaded.tail.records as i64 + loaded.snapshot_end;
        assert_eq!(read, log.offsets().log_end, "seed {seed}");
    }
}

#[test]
fn compaction_of_the_log_beneath_a_snapshot_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(dir.path(), LocalOptions::default()).unwrap();
    let log = engine.create(&tp(), ID, config()).unwrap();
    let (mut writer, mut dice) = (Writer::new(), Dice(7));
    for n in 0..300 {
        writer.step(&*log, &mut dice);
        if n % 40 == 20 {
            flush(&*log);
            snapshot_now(&*log);
        }
        if n % 60 == 50 {
            let before = start(&*log).0;
            engine.maintain(1_000_000_000 + n);
            assert_eq!(start(&*log).0, before);
        }
    }
    let (found, loaded) = start(&*log);
    assert!(loaded.snapshot_end > 0);
    assert_eq!(found, state(&writer.machine_as_replayed()));
}

impl Writer {
    /// The machine as its own records make it: members that have not been given a generation are not in them.
    fn machine_as_replayed(&self) -> GroupShard {
        let mut machine = empty();
        for record in self.machine.snapshot_records() {
            machine
                .replay(0, &record.key, record.value.as_deref(), &record.headers)
                .unwrap();
        }
        machine
    }
}

#[test]
fn a_snapshot_speaks_for_records_that_were_deleted_up_to_its_end() {
    let log = memory_log();
    let (mut writer, mut dice) = (Writer::new(), Dice(5));
    (0..50).for_each(|_| writer.step(&*log, &mut dice));
    snapshot_now(&*log);
    let end = log.offsets().log_end;
    (0..50).for_each(|_| writer.step(&*log, &mut dice));
    let before = start(&*log);
    log.truncate_prefix(end).unwrap();
    assert_eq!(start(&*log), before);
    // Further than that it says nothing of what is missing.
    log.truncate_prefix(end + 1).unwrap();
    let (found, loaded) = start(&*log);
    assert_eq!((found, loaded.snapshot_end), (whole(&*log), 0));
}

#[test]
fn a_snapshot_that_does_not_fit_the_log_is_not_used() {
    let engine = MemoryEngine::new();
    let log = engine.create(&tp(), ID, LogConfig::default()).unwrap();
    let (mut writer, mut dice) = (Writer::new(), Dice(9));
    (0..50).for_each(|_| writer.step(&*log, &mut dice));
    snapshot_now(&*log);
    let end = log.offsets().log_end;
    let good = log.read_side_file(GroupShard::SNAPSHOT, end).unwrap();
    assert_eq!(start(&*log).1.snapshot_end, end);

    let refuse = |log: &dyn PartitionLog, offset: i64, content: &[u8], what: &str| {
        log.put_side_file(GroupShard::SNAPSHOT, offset, content)
            .unwrap();
        let (found, loaded) = start(log);
        assert_eq!(loaded.snapshot_end, 0, "{what}");
        assert_eq!(found, whole(log), "{what}");
    };
    let mut damaged = good.to_vec();
    damaged[60] ^= 1;
    refuse(&*log, end, &damaged, "damaged");
    refuse(&*log, end, &good[..good.len() / 2], "cut short");
    refuse(&*log, end, b"", "empty");
    refuse(&*log, end - 1, &good, "under another offset");
    let of = |topic_id, end, leader_epoch| Of {
        topic_id,
        end,
        leader_epoch,
    };
    let wrong = |of| snapshot::encode(of, &[]).unwrap();
    refuse(
        &*log,
        end,
        &wrong(of(Uuid([4; 16]), end, 0)),
        "another topic",
    );
    refuse(&*log, end + 9, &wrong(of(ID, end + 9, 0)), "past the end");
    refuse(
        &*log,
        end,
        &wrong(of(ID, end, 1)),
        "an epoch that never was",
    );

    // The log of a broker that lost its end with the power: shorter, then grown by the next broker.
    let grown = memory_log();
    let (mut writer, mut dice) = (Writer::new(), Dice(9));
    (0..30).for_each(|_| writer.step(&*grown, &mut dice));
    writer.epoch = 1;
    (0..60).for_each(|_| writer.step(&*grown, &mut dice));
    assert!(grown.offsets().log_end > end);
    refuse(&*grown, end, &good, "of records that were lost");
}

#[test]
fn what_is_not_durable_is_in_no_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(dir.path(), LocalOptions::default()).unwrap();
    let log = engine.create(&tp(), ID, LogConfig::default()).unwrap();
    let (mut writer, mut dice) = (Writer::new(), Dice(2));
    (0..20).for_each(|_| writer.step(&*log, &mut dice));
    flush(&*log);
    let durable_end = log.offsets().log_end;
    (0..20).for_each(|_| writer.step(&*log, &mut dice));
    take::<GroupShard>(&tp(), &*log, &GroupConfig::default(), durable_end).unwrap();
    assert_eq!(log.side_files(GroupShard::SNAPSHOT).unwrap(), [durable_end]);
    assert_eq!(start(&*log).0, whole(&*log));
}

/// Fails everything from the n-th change on, as if the process had died there.
struct DiesAt {
    at: AtomicUsize,
    seen: AtomicUsize,
}

impl DiskHook for DiesAt {
    fn before(&self, _path: &Path, _operation: DiskOperation<'_>) -> io::Result<()> {
        if self.seen.fetch_add(1, Ordering::SeqCst) >= self.at.load(Ordering::SeqCst) {
            return Err(io::Error::other("the process is dead"));
        }
        Ok(())
    }
}

#[test]
fn a_crash_at_any_step_of_making_one_costs_nothing_but_time() {
    for step in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let hook = Arc::new(DiesAt {
            at: AtomicUsize::new(usize::MAX),
            seen: AtomicUsize::new(0),
        });
        let options = LocalOptions {
            disk_hook: Some(hook.clone()),
            ..LocalOptions::default()
        };
        let engine = LocalEngine::open(dir.path(), options).unwrap();
        let log = engine.create(&tp(), ID, LogConfig::default()).unwrap();
        let (mut writer, mut dice) = (Writer::new(), Dice(11));
        (0..40).for_each(|_| writer.step(&*log, &mut dice));
        flush(&*log);
        snapshot_now(&*log);
        (0..40).for_each(|_| writer.step(&*log, &mut dice));
        flush(&*log);
        hook.at
            .store(hook.seen.load(Ordering::SeqCst) + step, Ordering::SeqCst);
        let end = log.offsets().durable_end;
        let taken = take::<GroupShard>(&tp(), &*log, &GroupConfig::default(), end);
        let died = hook.seen.load(Ordering::SeqCst) > hook.at.load(Ordering::SeqCst);
        drop((log, engine));

        let engine = LocalEngine::open(dir.path(), LocalOptions::default()).unwrap();
        let log = engine.create(&tp(), ID, LogConfig::default()).unwrap();
        let (found, loaded) = start(&*log);
        assert_eq!(found, whole(&*log), "step {step}");
        assert!(
            loaded.snapshot_end > 0,
            "step {step}: the old one or the new one"
        );
        if !died {
            assert!(taken.is_ok() && step > 5);
            assert_eq!(loaded.snapshot_end, end);
            return;
        }
    }
}
