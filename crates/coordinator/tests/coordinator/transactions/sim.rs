//! Exactly once, whatever dies: a worker reads numbers, and writes them and its place within transactions. It dies at any
//! step and is replaced while it may still be alive; the broker loses what it decided and had not written, or the answer;
//! markers come late. In the end what was committed holds every number once.

use std::collections::BTreeMap;

use catchword_coordinator::{
    Call, Client, Context, CoordinatorRecord, GroupConfig, GroupShard, Marker, OffsetFetchCall,
    Output, PartitionsCall, ProducerEpoch, Reply, ReplyTo, TransactionCall, TransactionOutput,
    TransactionReply, Transactional, TxnOffsetCommitCall,
};
use catchword_wire::messages::TxnOffsetCommitRequest;
use catchword_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use catchword_wire::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use catchword_wire::{Str, Uuid};

use super::driver::{Coordinator, TV1, TV2, end_of, init_of};
use crate::sim::is_noticed_by_panic;
use crate::sim::rng::Rng;

const INPUTS: i64 = 60;
const OUT: &str = "out";
const OFFSETS: &str = "__consumer_offsets";

/// What is broken on purpose, to see that it is noticed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sabotage {
    None,
    /// A transaction counts as ended though not all of its markers are written.
    ForgetMarkers,
    /// Who was replaced goes on with the epoch of its successor.
    NoFencing,
}

/// A partition as its log is: producers are fenced by their epochs.
#[derive(Clone)]
struct Log<T> {
    entries: Vec<Entry<T>>,
    epochs: BTreeMap<i64, i16>,
}

#[derive(Clone)]
enum Entry<T> {
    Data(i64, T),
    Marker(i64, bool),
}

impl<T> Log<T> {
    fn new() -> Log<T> {
        Log {
            entries: Vec::new(),
            epochs: BTreeMap::new(),
        }
    }

    fn admits(&mut self, producer: ProducerEpoch) -> bool {
        let epoch = self.epochs.entry(producer.id).or_insert(producer.epoch);
        let admits = producer.epoch >= *epoch;
        *epoch = (*epoch).max(producer.epoch);
        admits
    }

    fn mark(&mut self, marker: &Marker) {
        if self.admits(marker.producer) {
            self.entries
                .push(Entry::Marker(marker.producer.id, marker.commit));
        }
    }
}

/// Where a worker is in its round.
#[derive(Clone, Copy)]
enum Step {
    Init,
    Read,
    Write,
    Commit,
    End,
}

struct Worker {
    step: Step,
    producer: ProducerEpoch,
    from: i64,
    upto: i64,
    version: i16,
}

impl Worker {
    fn new(version: i16) -> Worker {
        Worker {
            step: Step::Init,
            producer: ProducerEpoch { id: -1, epoch: -1 },
            from: 0,
            upto: 0,
            version,
        }
    }
}

struct World {
    rng: Rng,
    coordinator: Coordinator,
    groups: GroupShard,
    offsets: Log<CoordinatorRecord>,
    out: Log<i64>,
    /// Who was made producer last.
    newest: Option<ProducerEpoch>,
    crashes: u64,
    sabotage: Sabotage,
}

impl World {
    /// True so many times in a hundred.
    fn percent(&mut self, percent: u64) -> bool {
        self.rng.next() % 100 < percent
    }

    /// Asks the coordinator; `None` if the broker dies over it, before or after it has written down what it decided.
    fn ask(&mut self, version: i16, call: TransactionCall) -> Option<TransactionReply> {
        let (reply, out) = self.coordinator.decide(version, call);
        if self.percent(3) {
            // Nothing was written.
            self.crash();
            return None;
        }
        self.coordinator.write(out);
        if self.percent(3) {
            self.crash();
            return None;
        }
        Some(reply)
    }

    fn crash(&mut self) {
        self.crashes += 1;
        self.coordinator.restart();
        let mut groups = GroupShard::new(GroupConfig::default(), 1);
        for entry in &self.offsets.entries {
            match entry {
                Entry::Data(producer, record) => {
                    let producer = ProducerEpoch {
                        id: *producer,
                        epoch: 0,
                    };
                    let value = record.value.as_deref();
                    groups
                        .replay_in_transaction(producer, &record.key, value)
                        .unwrap();
                }
                Entry::Marker(id, commit) => groups.replay_end_of_transaction(*id, *commit),
            }
        }
        self.groups = groups;
    }

    fn ask_groups(&mut self, call: Call) -> Reply {
        let client = Client::default();
        let ctx = Context {
            now_ms: self.coordinator.now_ms,
            client: &client,
            api_version: 9,
        };
        let mut out = Output::default();
        self.groups.step(&ctx, ReplyTo(1), call, &mut out);
        for write in out.transactional {
            match write {
                Transactional::Records { producer, records } => {
                    let records = records.into_iter();
                    self.offsets
                        .entries
                        .extend(records.map(|r| Entry::Data(producer.id, r)));
                }
                Transactional::Marker(marker) => self.offsets.mark(&marker),
            }
        }
        match out.effects.pop() {
            Some(catchword_coordinator::Effect::Reply { reply, .. }) => reply,
            other => panic!("not an answer: {other:?}"),
        }
    }

    /// Writes some markers; a transaction's end may stop halfway.
    fn write_markers(&mut self) {
        let Some(end) = self.coordinator.ends.first().cloned() else {
            return;
        };
        for (topic, _) in &end.partitions {
            if self.percent(5) {
                match self.sabotage {
                    Sabotage::ForgetMarkers => break,
                    _ => return,
                }
            }
            if *topic == OUT {
                self.out.mark(&end.marker);
            } else if self.offsets.admits(end.marker.producer) {
                self.ask_groups(Call::EndTransaction(end.marker));
            }
        }
        self.coordinator.ends.remove(0);
        let mut out = TransactionOutput::default();
        let now_ms = self.coordinator.now_ms;
        let (id, producer) = (&end.transactional_id, end.marker.producer);
        self.coordinator
            .shard
            .markers_written(now_ms, id, producer, &mut out);
        self.coordinator.write(out);
    }

    fn add(&mut self, worker: &Worker, topic: &'static str) -> bool {
        let call = PartitionsCall {
            transactional_id: "x".into(),
            producer: worker.producer,
            partitions: vec![(topic.into(), 0)],
            version: if worker.version == TV2 { 2 } else { 0 },
        };
        let reply = self.ask(3, TransactionCall::AddPartitions(call));
        matches!(reply, Some(TransactionReply::Partitions(errors)) if errors[0].code() == 0)
    }

    /// The place to read on from, unless a transaction may still move it.
    fn place(&mut self) -> Option<i64> {
        let group = OffsetFetchRequestGroup {
            group_id: "g".into(),
            topics: Some(vec![OffsetFetchRequestTopics {
                name: "in".into(),
                partition_indexes: vec![0],
                ..OffsetFetchRequestTopics::default()
            }]),
            ..OffsetFetchRequestGroup::default()
        };
        let call = OffsetFetchCall {
            group,
            require_stable: true,
        };
        let Reply::OffsetFetch(found) = self.ask_groups(Call::OffsetFetch(call)) else {
            panic!("not the answer")
        };
        let partition = &found.topics[0].partitions[0];
        (partition.error_code == 0).then_some(partition.committed_offset.max(0))
    }

    /// One step of a worker. Whatever goes wrong, it begins a new life.
    fn step(&mut self, worker: &mut Worker) {
        let version = worker.version;
        if let (Sabotage::NoFencing, Some(newest)) = (self.sabotage, self.newest) {
            worker.producer = newest;
        }
        let next = match worker.step {
            Step::Init => self.init(worker),
            Step::Read => match self.place() {
                Some(place) if place >= INPUTS => Some(Step::Read),
                Some(place) => {
                    worker.from = place;
                    worker.upto = (place + 1 + self.rng.between(0, 4)).min(INPUTS);
                    Some(Step::Write)
                }
                None => Some(Step::Read),
            },
            Step::Write => {
                let may = self.add(worker, OUT) && self.out.admits(worker.producer);
                may.then(|| {
                    let numbers = worker.from..worker.upto;
                    let entries = numbers.map(|n| Entry::Data(worker.producer.id, n));
                    self.out.entries.extend(entries);
                    Step::Commit
                })
            }
            Step::Commit => {
                let may = self.add(worker, OFFSETS) && self.offsets.admits(worker.producer);
                may.then(|| {
                    let request = place_of(worker);
                    self.ask_groups(Call::TxnOffsetCommit(TxnOffsetCommitCall {
                        request,
                        topic_ids: vec![Uuid::ZERO],
                    }));
                    Step::End
                })
            }
            Step::End => {
                let commit = !self.percent(20);
                let end = end_of("x", worker.producer, commit);
                match self.ask(version, TransactionCall::EndTxn(end)) {
                    Some(TransactionReply::EndTxn(response)) if response.error_code == 0 => {
                        if version == TV2 {
                            worker.producer.id = response.producer_id;
                            worker.producer.epoch = response.producer_epoch;
                        }
                        Some(Step::Read)
                    }
                    _ => None,
                }
            }
        };
        worker.step = next.unwrap_or(Step::Init);
    }

    fn init(&mut self, worker: &mut Worker) -> Option<Step> {
        let call = catchword_coordinator::InitCall {
            request: init_of(None),
            spare_id: self.coordinator.fresh_id(),
        };
        match self.ask(4, TransactionCall::InitProducerId(call)) {
            Some(TransactionReply::InitProducerId(response)) if response.error_code == 0 => {
                worker.producer = ProducerEpoch {
                    id: response.producer_id,
                    epoch: response.producer_epoch,
                };
                self.newest = Some(worker.producer);
                Some(Step::Read)
            }
            _ => None,
        }
    }

    /// What a reader of committed records sees.
    fn committed(&self) -> Vec<i64> {
        let mut open: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        let mut seen = Vec::new();
        for entry in &self.out.entries {
            match entry {
                Entry::Data(producer, number) => open.entry(*producer).or_default().push(*number),
                Entry::Marker(producer, commit) => {
                    let ended = open.remove(producer).unwrap_or_default();
                    seen.extend(ended.into_iter().filter(|_| *commit));
                }
            }
        }
        seen
    }
}

fn place_of(worker: &Worker) -> TxnOffsetCommitRequest {
    TxnOffsetCommitRequest {
        transactional_id: "x".into(),
        group_id: "g".into(),
        producer_id: worker.producer.id,
        producer_epoch: worker.producer.epoch,
        generation_id: -1,
        topics: vec![TxnOffsetCommitRequestTopic {
            name: "in".into(),
            partitions: vec![TxnOffsetCommitRequestPartition {
                partition_index: 0,
                committed_offset: worker.upto,
                committed_metadata: Some(Str::EMPTY),
                ..TxnOffsetCommitRequestPartition::default()
            }],
        }],
        ..TxnOffsetCommitRequest::default()
    }
}

/// Returns how often the broker died.
fn play(seed: u64, version: i16, sabotage: Sabotage) -> u64 {
    let mut world = World {
        rng: Rng::new(seed),
        coordinator: Coordinator::new(),
        groups: GroupShard::new(GroupConfig::default(), 1),
        offsets: Log::new(),
        out: Log::new(),
        newest: None,
        crashes: 0,
        sabotage,
    };
    // The last is the one that is meant to work; those before it were given up, and may not know it.
    let mut workers = vec![Worker::new(version)];
    for _ in 0..20_000 {
        if world.place().is_some_and(|place| place >= INPUTS) && world.coordinator.ends.is_empty() {
            break;
        }
        if world.percent(30) {
            world.write_markers();
        }
        if world.percent(2) {
            workers.push(Worker::new(version));
        }
        if workers.len() > 3 {
            workers.remove(0);
        }
        if world.percent(1) {
            world.coordinator.now_ms += 70_000;
            world.coordinator.sweep();
        }
        let count = workers.len();
        let zombie = world.percent(10);
        let at = if zombie {
            world.rng.between(0, count as i64 - 1) as usize
        } else {
            count - 1
        };
        // One that was given up finishes what it does and begins no new life, or else they would fence each other for ever.
        if at < count - 1 && matches!(workers[at].step, Step::Init) {
            continue;
        }
        world.step(&mut workers[at]);
    }
    let expected: Vec<i64> = (0..INPUTS).collect();
    assert_eq!(
        world.committed(),
        expected,
        "not every number counts once: seed {seed}, EndTxn {version}"
    );
    world.crashes
}

#[test]
fn every_number_counts_once_whatever_dies() {
    let mut crashes = 0;
    for seed in 0..40 {
        for version in [TV1, TV2] {
            crashes += play(seed, version, Sabotage::None);
        }
    }
    assert!(crashes > 100, "too little happened: {crashes}");
}

#[test]
fn forgotten_markers_and_producers_that_are_not_fenced_are_noticed() {
    for sabotage in [Sabotage::ForgetMarkers, Sabotage::NoFencing] {
        let play = |seed| {
            play(seed, TV1, sabotage);
        };
        is_noticed_by_panic(play, &["not every number counts once"]);
    }
}
