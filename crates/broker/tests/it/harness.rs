//! A broker in this process and a client that speaks in single requests.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use catchword_broker::{Identity, Running};
use catchword_config::BrokerConfig;
use catchword_log::{LocalEngine, LocalOptions};
use catchword_wire::api::Request;
use catchword_wire::batch::{BatchBuilder, Compression, NewRecord, Record, records, split_lenient};
use catchword_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use catchword_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use catchword_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use catchword_wire::messages::produce_response::PartitionProduceResponse;
use catchword_wire::messages::{
    CreateTopicsRequest, FetchRequest, FetchResponse, FindCoordinatorRequest, ListGroupsRequest,
    ProduceRequest,
};
use catchword_wire::{Segment, Str, frame};
use tokio::runtime::Runtime;

/// A broker on a free port. Dropping it stops it hard, as a crash would, but for what the page cache has.
pub(crate) struct TestBroker {
    pub(crate) address: SocketAddr,
    /// Where the JSON API is.
    pub(crate) http: Option<SocketAddr>,
    pub(crate) dir: tempfile::TempDir,
    runtime: Option<Runtime>,
    running: Option<Running>,
    settings: Vec<(String, String)>,
}

impl TestBroker {
    pub(crate) fn start() -> TestBroker {
        TestBroker::with(&[])
    }

    pub(crate) fn with(settings: &[(&str, &str)]) -> TestBroker {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        TestBroker::open(dir, settings)
    }

    fn open(dir: tempfile::TempDir, settings: Vec<(String, String)>) -> TestBroker {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let running = runtime.block_on(run(dir.path(), &settings));
        let address = running.addresses()[0].1;
        Client::connect(address).wait_for_groups();
        TestBroker {
            address,
            http: running.http_address(),
            dir,
            runtime: Some(runtime),
            running: Some(running),
            settings,
        }
    }

    /// Stops in order and starts again on the same data.
    pub(crate) fn restart(mut self) -> TestBroker {
        self.stop();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        let settings = std::mem::take(&mut self.settings);
        TestBroker::open(dir, settings)
    }

    /// Another broker on a copy of the data as it is now: what a kill -9 would leave.
    pub(crate) fn on_a_copy(&self) -> TestBroker {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(self.dir.path(), copy.path());
        TestBroker::open(copy, self.settings.clone())
    }

    pub(crate) fn stop(&mut self) {
        if let (Some(running), Some(runtime)) = (self.running.take(), self.runtime.take()) {
            runtime.block_on(running.stop()).unwrap();
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// A topic with this many partitions and settings.
    pub(crate) fn topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let config = |(k, v): &(&str, &str)| CreatableTopicConfig {
            name: Str::copy(k),
            value: Some(Str::copy(v)),
        };
        let topic = CreatableTopic {
            name: Str::copy(name),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.iter().map(config).collect(),
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            timeout_ms: 10_000,
            validate_only: false,
        };
        let response = self.client().call(&request, 7);
        assert_eq!(
            response.topics[0].error_code, 0,
            "{:?}",
            response.topics[0].error_message
        );
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_millis(100));
        }
    }
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn run(dir: &Path, settings: &[(String, String)]) -> Running {
    let mut pairs = vec![
        ("listeners".to_owned(), "PLAINTEXT://127.0.0.1:0".to_owned()),
        ("log.dirs".to_owned(), dir.display().to_string()),
        ("http.listener".to_owned(), "127.0.0.1:0".to_owned()),
        (
            "group.initial.rebalance.delay.ms".to_owned(),
            "0".to_owned(),
        ),
    ];
    pairs.extend_from_slice(settings);
    let config = BrokerConfig::from_pairs(&pairs).unwrap();
    let options = LocalOptions {
        compaction_policy: catchword_broker::compaction_policy(&config),
        ..LocalOptions::default()
    };
    let engine = LocalEngine::open(dir, options).unwrap();
    let identity = Identity::load(dir, &config).unwrap();
    catchword_broker::start(config, Arc::new(engine), identity)
        .await
        .unwrap()
}

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    next_id: i32,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Client { stream, next_id: 1 }
    }

    /// Sends a request; its correlation id comes back.
    pub(crate) fn send<R: Request>(&mut self, request: &R, version: i16) -> i32 {
        let id = self.next_id;
        self.next_id += 1;
        for segment in frame::encode_request(request, version, id, "test").unwrap() {
            self.stream.write_all(&segment.read().unwrap()).unwrap();
        }
        id
    }

    /// The next answer's frame, or `None` if the broker closed the connection.
    pub(crate) fn frame(&mut self) -> Option<Bytes> {
        let mut length = [0; 4];
        match self.stream.read_exact(&mut length) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("no answer within the time")
            }
            Err(_) => return None,
        }
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut body).unwrap();
        Some(body.into())
    }

    pub(crate) fn receive<R: Request>(&mut self, version: i16) -> (i32, R::Response) {
        frame::decode_response::<R>(self.frame().expect("an answer"), version).unwrap()
    }

    pub(crate) fn call<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        let id = self.send(request, version);
        let (answered, response) = self.receive::<R>(version);
        assert_eq!(answered, id);
        response
    }

    /// Waits until groups can be used.
    /// Has the groups' topic made, and waits until all of its coordinators serve: on a busy machine that may take longer than
    /// a request waits for it.
    pub(crate) fn find_coordinator(&mut self) {
        let request = FindCoordinatorRequest {
            coordinator_keys: vec!["g".into()],
            ..Default::default()
        };
        assert_eq!(self.call(&request, 4).coordinators[0].error_code, 0);
        self.wait_for_groups();
    }

    /// Waits until all coordinators of groups that there are have read their logs.
    fn wait_for_groups(&mut self) {
        let until = Instant::now() + Duration::from_secs(60);
        while self.call(&ListGroupsRequest::default(), 4).error_code != 0 {
            assert!(Instant::now() < until, "the coordinators do not serve");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn produce(&mut self, topic: &str, values: &[&str]) -> PartitionProduceResponse {
        self.produce_batch(topic, batch(values, Compression::None), -1)
    }

    pub(crate) fn produce_batch(
        &mut self,
        topic: &str,
        batch: Bytes,
        acks: i16,
    ) -> PartitionProduceResponse {
        let response = self.call(&produce_request(topic, batch, acks), 9);
        response.responses[0].partition_responses[0].clone()
    }

    /// Everything in a partition from an offset on.
    pub(crate) fn read(&mut self, topic: &str, from: i64) -> Vec<Record> {
        let response = self.call(&fetch_request(topic, from), 11);
        records_of(&response)
    }
}

pub(crate) fn batch(values: &[&str], compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(0).compression(compression);
    for value in values {
        let key = Some(value.as_bytes());
        let record = NewRecord {
            timestamp: now_ms(),
            key,
            value: Some(value.as_bytes()),
            ..NewRecord::default()
        };
        builder.push(record).unwrap();
    }
    builder.build().unwrap()
}

/// Waits until something holds that will.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < until, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64
}

pub(crate) fn produce_request(topic: &str, batch: Bytes, acks: i16) -> ProduceRequest {
    ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            name: Str::copy(topic),
            partition_data: vec![PartitionProduceData {
                index: 0,
                records: Some(batch.into()),
            }],
            ..TopicProduceData::default()
        }],
    }
}

pub(crate) fn fetch_request(topic: &str, from: i64) -> FetchRequest {
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 0,
        max_bytes: 50 << 20,
        session_epoch: -1,
        topics: vec![FetchTopic {
            topic: Str::copy(topic),
            partitions: vec![FetchPartition {
                fetch_offset: from,
                partition_max_bytes: 1 << 20,
                ..Default::default()
            }],
            ..FetchTopic::default()
        }],
        ..FetchRequest::default()
    }
}

pub(crate) fn records_of(response: &FetchResponse) -> Vec<Record> {
    assert_eq!(response.error_code, 0);
    let partition = &response.responses[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    let bytes = partition
        .records
        .clone()
        .unwrap_or_default()
        .read()
        .unwrap();
    let mut all = Vec::new();
    for batch in split_lenient(bytes) {
        all.extend(records(&batch.unwrap()).unwrap().map(Result::unwrap));
    }
    all
}

pub(crate) fn values(records: &[Record]) -> Vec<String> {
    records
        .iter()
        .map(|r| String::from_utf8(r.value.clone().unwrap_or_default().to_vec()).unwrap())
        .collect()
}

/// Bytes of a request's frame, to be damaged.
pub(crate) fn encoded<R: Request>(request: &R, version: i16) -> Vec<u8> {
    let segments: Vec<Segment> = frame::encode_request(request, version, 7, "test").unwrap();
    segments
        .iter()
        .flat_map(|s| s.read().unwrap().to_vec())
        .collect()
}
