//! How long a broker with many bookmarks takes to be back after a kill -9.
//!
//! `restart fill DIR GROUPS PARTITIONS COMMITS` writes that many commits to the offsets topic of a stopped broker's data
//! directory, over GROUPS groups of PARTITIONS bookmarks each, as coordinators write them: one batch a request.
//! `restart fill-transactions DIR IDS TRANSACTIONS` does so with `__transaction_state`: that many transactions of one
//! partition each, over IDS transactional ids. How long they take to be read, the broker's log says.
//! `restart time DIR CATCHWORD PORT GROUPS` starts the binary CATCHWORD on the directory and says when the first
//! OffsetFetch was answered, and when every group's was; then kills it (-9).
//! The directory is made by `catchword serve` and one client that asked for a coordinator.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use catchword_coordinator::{
    Call, Client, Context, CoordinatorRecord, EPOCH_BUMP, GroupConfig, GroupShard, InitCall,
    Output, PartitionsCall, ProducerEpoch, ReplyTo, TransactionCall, TransactionConfig,
    TransactionOutput, TransactionShard, partition_for,
};
use catchword_log::{
    Append, AppendOrigin, Engine, LocalEngine, LocalOptions, LogConfig, PartitionLog,
    TopicPartition,
};
use catchword_wire::batch::{Batch, BatchBuilder, NewRecord};
use catchword_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use catchword_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use catchword_wire::messages::{
    EndTxnRequest, InitProducerIdRequest, OffsetCommitRequest, OffsetFetchRequest,
};
use catchword_wire::{Str, frame};

type Failure = Box<dyn std::error::Error>;

const TOPIC: &str = "orders-of-all-countries";
const SHARDS: i32 = 50;

fn group(n: i32) -> Str {
    Str::from(format!("billing-service-{n}"))
}

fn commit(n: i32, partitions: i32, offset: i64) -> Call {
    let partition = |index| OffsetCommitRequestPartition {
        partition_index: index,
        committed_offset: offset,
        ..Default::default()
    };
    Call::OffsetCommit(OffsetCommitRequest {
        group_id: group(n),
        topics: vec![OffsetCommitRequestTopic {
            name: TOPIC.into(),
            partitions: (0..partitions).map(partition).collect(),
            ..Default::default()
        }],
        ..OffsetCommitRequest::default()
    })
}

/// The logs of a coordinator's topic, written to as coordinators do.
struct Logs {
    /// Keeps the logs open.
    _engine: LocalEngine,
    logs: Vec<Arc<dyn PartitionLog>>,
    how: Append,
    now_ms: i64,
}

impl Logs {
    fn open(dir: &str, topic: &str) -> Result<Logs, Failure> {
        let engine = LocalEngine::open(dir.as_ref(), LocalOptions::default())?;
        let topics = engine.partitions();
        let mut logs = Vec::new();
        for n in 0..SHARDS {
            let tp = TopicPartition::new(topic, n);
            let known = topics.iter().find(|(known, _)| *known == tp);
            let (_, id) = known.ok_or_else(|| format!("there is no {topic} yet"))?;
            let config = LogConfig {
                segment_bytes: 104_857_600,
                ..LogConfig::default()
            };
            logs.push(engine.create(&tp, *id, config)?);
        }
        let epochs = logs.iter().map(|log| log.latest_epoch());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        Ok(Logs {
            how: Append {
                leader_epoch: epochs.max().unwrap_or(0).max(0),
                append_time: None,
                origin: AppendOrigin::Coordinator,
            },
            now_ms: i64::try_from(now.as_millis())?,
            _engine: engine,
            logs,
        })
    }

    fn append(&self, to: &str, records: &[CoordinatorRecord]) -> Result<(), Failure> {
        let mut builder = BatchBuilder::new(0);
        for record in records {
            builder.push(NewRecord {
                timestamp: self.now_ms,
                key: Some(&record.key),
                value: record.value.as_deref(),
                headers: &record.headers,
            })?;
        }
        let batch = Batch::parse(&builder.build()?)?;
        let log = &self.logs[usize::try_from(partition_for(to, SHARDS))?];
        log.append(&[batch], self.how)?;
        Ok(())
    }
}

fn fill(dir: &str, groups: i32, partitions: i32, commits: i64) -> Result<(), Failure> {
    let logs = Logs::open(dir, "__consumer_offsets")?;
    let client = Client {
        client_id: "billing".into(),
        client_host: "/10.0.0.7".into(),
        principal: Str::EMPTY,
    };
    let ctx = Context {
        now_ms: logs.now_ms,
        client: &client,
        api_version: 9,
    };
    let mut out = Output::default();
    let mut written = 0;
    let mut round = 0;
    while written < commits {
        round += 1;
        for n in 0..groups {
            let mut shard = GroupShard::new(GroupConfig::default(), 0);
            out.clear();
            shard.step(&ctx, ReplyTo(0), commit(n, partitions, round), &mut out);
            logs.append(&group(n), &out.records)?;
            written += i64::from(partitions);
            if written >= commits {
                break;
            }
        }
    }
    println!("{written} commits written");
    Ok(())
}

/// What one transaction of one partition writes: that it goes on, that it is decided, that its markers are written.
fn fill_transactions(dir: &str, ids: i64, transactions: i64) -> Result<(), Failure> {
    let logs = Logs::open(dir, "__transaction_state")?;
    let client = Client::default();
    let mut shard = TransactionShard::new(TransactionConfig::default());
    let mut out = TransactionOutput::default();
    let ctx = Context {
        now_ms: logs.now_ms,
        client: &client,
        api_version: 5,
    };
    let mut producers = Vec::new();
    for n in 0..transactions {
        let place = usize::try_from(n % ids)?;
        let id = Str::from(format!("payment-service-{place}"));
        if place == producers.len() {
            producers.push(ProducerEpoch {
                id: n + 1_000_000,
                epoch: 0,
            });
            let call = TransactionCall::InitProducerId(InitCall {
                request: InitProducerIdRequest {
                    transactional_id: Some(id.clone()),
                    transaction_timeout_ms: 60_000,
                    producer_id: -1,
                    producer_epoch: -1,
                    ..Default::default()
                },
                spare_id: n + 1_000_000,
            });
            out.clear();
            shard.step(&ctx, ReplyTo(0), call, &mut out);
            logs.append(&id, &out.records)?;
        }
        let producer = &mut producers[place];
        let calls = [
            TransactionCall::AddPartitions(PartitionsCall {
                transactional_id: id.clone(),
                producer: *producer,
                partitions: vec![(TOPIC.into(), i32::try_from(n % 12)?)],
                version: EPOCH_BUMP,
            }),
            TransactionCall::EndTxn(EndTxnRequest {
                transactional_id: id.clone(),
                producer_id: producer.id,
                producer_epoch: producer.epoch,
                committed: true,
            }),
        ];
        for call in calls {
            out.clear();
            shard.step(&ctx, ReplyTo(0), call, &mut out);
            logs.append(&id, &out.records)?;
        }
        producer.epoch += 1;
        out.clear();
        shard.markers_written(logs.now_ms, &id, *producer, &mut out);
        logs.append(&id, &out.records)?;
    }
    println!("{transactions} transactions written");
    Ok(())
}

/// The broker's process, killed when it is no longer needed.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where the group stands, or nothing while its shard is being read.
fn ask(stream: &mut TcpStream, n: i32) -> Result<Option<i64>, Failure> {
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: group(n),
            topics: Some(vec![OffsetFetchRequestTopics {
                name: TOPIC.into(),
                partition_indexes: vec![0],
                ..Default::default()
            }]),
            ..Default::default()
        }],
        ..OffsetFetchRequest::default()
    };
    for segment in frame::encode_request(&request, 9, n, "restart")? {
        stream.write_all(&segment.read()?)?;
    }
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut body = vec![0; usize::try_from(u32::from_be_bytes(length))?];
    stream.read_exact(&mut body)?;
    let (_, response) = frame::decode_response::<OffsetFetchRequest>(body.into(), 9)?;
    let found = &response.groups[0];
    Ok((found.error_code == 0).then(|| found.topics[0].partitions[0].committed_offset))
}

fn time(dir: &str, binary: &str, port: &str, groups: i32) -> Result<(), Failure> {
    let address = format!("127.0.0.1:{port}");
    let begun = Instant::now();
    let serve = Command::new(binary)
        .args(["serve", "--data", dir, "--listen", &address])
        .stdout(Stdio::null())
        .spawn()?;
    let _serve = Killed(serve);
    let mut stream = loop {
        match TcpStream::connect(&address) {
            Ok(stream) => break stream,
            Err(_) if begun.elapsed() < Duration::from_secs(60) => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error.into()),
        }
    };
    stream.set_nodelay(true)?;
    let listening = begun.elapsed();
    let mut answered = |n| loop {
        if let Some(offset) = ask(&mut stream, n)? {
            return Ok::<i64, Failure>(offset);
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let offset = answered(groups / 2)?;
    let first = begun.elapsed();
    let mut missing = 0;
    for n in 0..groups {
        missing += i32::from(answered(n)? < 0);
    }
    println!(
        "listening after {} ms, first OffsetFetch (offset {offset}) after {} ms, every group after {} ms; {missing} groups without a bookmark",
        listening.as_millis(),
        first.as_millis(),
        begun.elapsed().as_millis()
    );
    Ok(())
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["fill", dir, groups, partitions, commits] => {
            fill(dir, groups.parse()?, partitions.parse()?, commits.parse()?)
        }
        ["fill-transactions", dir, ids, transactions] => {
            fill_transactions(dir, ids.parse()?, transactions.parse()?)
        }
        ["time", dir, binary, port, groups] => time(dir, binary, port, groups.parse()?),
        _ => Err(
            "restart fill DIR GROUPS PARTITIONS COMMITS | restart fill-transactions DIR IDS TRANSACTIONS | restart time DIR CATCHWORD PORT GROUPS"
                .into(),
        ),
    }
}
