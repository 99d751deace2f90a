//! librdkafka, through the crate `rdkafka`, as a worker of the conformance suite (README.md says
//! what it reads and prints).

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

type Options = HashMap<String, String>;
type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().ok_or("say produce or consume")?;
    let options: Options = arguments
        .filter_map(|word| word.split_once('=').map(|(k, v)| (k.into(), v.into())))
        .collect();
    if mode == "produce" {
        produce(&options)
    } else {
        consume(&options)
    }
}

fn option<'a>(options: &'a Options, name: &str, default: &'a str) -> &'a str {
    options.get(name).map_or(default, String::as_str)
}

fn config(options: &Options) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set(
            "bootstrap.servers",
            option(options, "bootstrap", "127.0.0.1:9092"),
        )
        .set("reconnect.backoff.max.ms", "1000");
    config
}

struct PrintDeliveries;

impl ClientContext for PrintDeliveries {}

impl ProducerContext for PrintDeliveries {
    type DeliveryOpaque = Box<String>;

    fn delivery(&self, result: &DeliveryResult<'_>, key: Self::DeliveryOpaque) {
        match result {
            Ok(at) => println!(
                "produced {} {} {} {key}",
                at.topic(),
                at.partition(),
                at.offset()
            ),
            Err((error, _)) => println!("failed {key} {error}"),
        }
    }
}

fn produce(options: &Options) -> Result<(), Failure> {
    let producer: ThreadedProducer<PrintDeliveries> = config(options)
        .set("compression.type", option(options, "codec", "none"))
        .set("enable.idempotence", option(options, "idempotent", "true"))
        .set("acks", "all")
        .set("linger.ms", "5")
        .create_with_context(PrintDeliveries)?;
    let topic = option(options, "topic", "");
    for line in std::io::stdin().lines() {
        let line = line?;
        let (key, value) = line.split_once(' ').ok_or("a line is KEY VALUE")?;
        let record = BaseRecord::with_opaque_to(topic, Box::new(key.to_owned()));
        producer
            .send(record.key(key).payload(value))
            .map_err(|(error, _)| error)?;
    }
    producer.flush(Duration::from_secs(120))?;
    Ok(())
}

/// What this member has read and not yet handed on, by partition: the offset to commit.
#[derive(Default)]
struct Positions {
    topic: String,
    next: Mutex<BTreeMap<i32, i64>>,
}

impl Positions {
    fn print(&self, what: &str, partitions: &TopicPartitionList) {
        let numbers: Vec<String> = partitions
            .elements()
            .iter()
            .map(|p| p.partition().to_string())
            .collect();
        let numbers = if numbers.is_empty() {
            "-".into()
        } else {
            numbers.join(",")
        };
        println!("{what} {} {numbers}", self.topic);
    }
}

impl ClientContext for Positions {}

impl ConsumerContext for Positions {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(added) => self.print("assigned", added),
            Rebalance::Revoke(lost) => {
                let mut next = self.next.lock().expect("no holder panics");
                for partition in lost.elements() {
                    next.remove(&partition.partition());
                }
                self.print("revoked", lost);
            }
            Rebalance::Error(error) => eprintln!("rebalance: {error}"),
        }
    }
}

fn commit(consumer: &BaseConsumer<Positions>) -> Result<(), KafkaError> {
    let positions = consumer.context();
    let next = positions.next.lock().expect("no holder panics").clone();
    let mut offsets = TopicPartitionList::new();
    for (partition, offset) in &next {
        offsets.add_partition_offset(&positions.topic, *partition, Offset::Offset(*offset))?;
    }
    if offsets.count() > 0 {
        consumer.commit(&offsets, CommitMode::Sync)?;
    }
    for (partition, offset) in next {
        println!("committed {} {partition} {offset}", positions.topic);
    }
    Ok(())
}

fn consume(options: &Options) -> Result<(), Failure> {
    let mut config = config(options);
    config
        .set("group.id", option(options, "group", ""))
        .set("client.id", option(options, "client", "worker"))
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false");
    if option(options, "protocol", "classic") == "consumer" {
        config.set("group.protocol", "consumer");
    } else {
        config
            .set("session.timeout.ms", option(options, "session", "6000"))
            .set("heartbeat.interval.ms", "1000");
    }
    if let Some(instance) = options.get("instance") {
        config.set("group.instance.id", instance);
    }
    if let Some(assignor) = options.get("assignor") {
        config.set("partition.assignment.strategy", assignor);
    }
    let topic = option(options, "topic", "").to_owned();
    let positions = Positions {
        topic: topic.clone(),
        ..Positions::default()
    };
    let consumer: BaseConsumer<Positions> = config.create_with_context(positions)?;
    consumer.subscribe(&[&topic])?;

    let (send, commands) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    loop {
        match consumer.poll(Duration::from_millis(50)) {
            Some(Ok(got)) => {
                let (partition, offset) = (got.partition(), got.offset());
                let next = &consumer.context().next;
                next.lock()
                    .expect("no holder panics")
                    .insert(partition, offset + 1);
                let key = got.key_view::<str>().ok_or("a record without a key")??;
                let value = got
                    .payload_view::<str>()
                    .ok_or("a record without a value")??;
                println!("got {topic} {partition} {offset} {key} {value}");
            }
            Some(Err(error)) => eprintln!("{error}"),
            None => {}
        }
        match commands.try_recv().as_deref() {
            Ok("commit") => match commit(&consumer) {
                Ok(()) => println!("ok"),
                Err(error) => println!("error {error}"),
            },
            Ok(_) | Err(mpsc::TryRecvError::Disconnected) => return Ok(()),
            Err(mpsc::TryRecvError::Empty) => {}
        }
    }
}
