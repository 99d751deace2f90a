//! What it costs to tell the lag of many groups again and again, and whether commits wait for it.
//!
//! `lag DIR CATCHWORD PORT SECONDS` starts the binary CATCHWORD on the empty directory DIR, makes 100 topics of 10 partitions
//! with 1,000 records each, and 10,000 groups that have bookmarks in all partitions of one topic. Then 1,000 commits a second,
//! of 10 partitions each, go on in rounds of SECONDS; in every second round `/metrics` is scraped each 15 seconds. It says of
//! each round how much of a core the broker used, and how long commits took.

use std::time::{Duration, Instant};

use catchword_client::{
    Acks, Client, ClientOptions, CommitAs, NewCommit, NewTopic, TopicPartition,
};
use catchword_wire::batch::{Compression, NewRecord};

#[path = "common/serve.rs"]
mod serve;

use serve::{Failure, Serve};

const TOPICS: usize = 100;
const PARTITIONS: i32 = 10;
const RECORDS: i64 = 1_000;
const GROUPS: usize = 10_000;
const COMMITTERS: usize = 4;
const COMMITS_A_SECOND: u32 = 1_000;
const SCRAPE: Duration = Duration::from_secs(15);
const ROUNDS: usize = 6;

fn topic(n: usize) -> String {
    format!("orders-{n}")
}

fn connect(broker: &str) -> Result<Client, Failure> {
    Ok(Client::connect(ClientOptions::to(broker))?)
}

fn fill(broker: &str) -> Result<(), Failure> {
    let mut client = connect(broker)?;
    let mut producer = client.producer(Acks::Leader, Compression::None)?;
    let value = [b'x'; 100];
    let record = NewRecord {
        timestamp: 1_700_000_000_000,
        key: None,
        value: Some(&value),
        headers: &[],
    };
    for n in 0..TOPICS {
        client.create_topic(&NewTopic {
            name: topic(n),
            partitions: Some(PARTITIONS),
            // The records are old already.
            configs: vec![("retention.ms".into(), "-1".into())],
            ..NewTopic::default()
        })?;
        for p in 0..PARTITIONS {
            let partition = TopicPartition::new(topic(n), p);
            for _ in 0..RECORDS / 100 {
                client.produce(&mut producer, &partition, &[record; 100])?;
            }
        }
    }
    Ok(())
}

/// The `round`th commit of a group.
fn commit(client: &mut Client, group: usize, round: i64) -> Result<(), Failure> {
    let at = (i64::try_from(group)? * 7 % (RECORDS / 2) + round).min(RECORDS);
    let one = |p| NewCommit::new(TopicPartition::new(topic(group % TOPICS), p), at);
    let commits: Vec<NewCommit> = (0..PARTITIONS).map(one).collect();
    client.commit(&format!("billing-{group}"), CommitAs::Outsider, &commits)?;
    Ok(())
}

/// Every `COMMITTERS`th group commits, once or at an even pace until the time is over; how long each took.
fn commits(
    client: &mut Client,
    first: usize,
    rounds: &mut i64,
    until: Option<Instant>,
) -> Result<Vec<Duration>, Failure> {
    let pace = Duration::from_secs(1) * u32::try_from(COMMITTERS)? / COMMITS_A_SECOND;
    let mut took = Vec::new();
    let mut due = Instant::now();
    loop {
        for group in (first..GROUPS).step_by(COMMITTERS) {
            if let Some(until) = until {
                if due >= until {
                    return Ok(took);
                }
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            commit(client, group, *rounds)?;
            // From when it was to be sent: who waits behind a slow one waits as well.
            took.push(due.elapsed());
            due += pace;
        }
        *rounds += 1;
        if until.is_none() {
            return Ok(took);
        }
    }
}

/// How many bytes `/metrics` has, and how long it took.
fn scrape(serve: &Serve) -> Result<(usize, Duration), Failure> {
    let begun = Instant::now();
    let bytes = serve.metrics()?.len();
    Ok((bytes, begun.elapsed()))
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, binary, port, seconds] = &args[..] else {
        return Err("lag DIR CATCHWORD PORT SECONDS".into());
    };
    let (port, seconds): (u16, u64) = (port.parse()?, seconds.parse()?);
    let serve = Serve::start(binary, dir, port, &[])?;
    let broker = serve.address();
    fill(&broker)?;
    let mut committers = Vec::new();
    for first in 0..COMMITTERS {
        let mut client = connect(&broker)?;
        commits(&mut client, first, &mut 0, None)?;
        committers.push((first, client, 1));
    }
    println!("{GROUPS} groups with {PARTITIONS} bookmarks each");
    // What is looked at for the first time, before anything is measured.
    let (bytes, took) = scrape(&serve)?;
    let mib = serve.memory_kib()? >> 10;
    println!("a scrape of {bytes} bytes, the first one in {took:?}; the broker has {mib} MiB");
    for round in 0..ROUNDS {
        let scrapes = round % 2 == 1;
        let (begun, cpu) = (Instant::now(), serve.cpu_s()?);
        let until = begun + Duration::from_secs(seconds);
        let (mut took, mut scraped) = (Vec::new(), Vec::new());
        std::thread::scope(|scope| -> Result<(), Failure> {
            let work = committers.iter_mut().map(|(first, client, rounds)| {
                scope.spawn(move || commits(client, *first, rounds, Some(until)))
            });
            let work: Vec<_> = work.collect();
            let mut at = begun + SCRAPE / 2;
            while scrapes && at < until {
                std::thread::sleep(at.saturating_duration_since(Instant::now()));
                scraped.push(scrape(&serve)?.1);
                at += SCRAPE;
            }
            for one in work {
                took.extend(one.join().map_err(|_| "a committer panicked")??);
            }
            Ok(())
        })?;
        let share = (serve.cpu_s()? - cpu) / begun.elapsed().as_secs_f64();
        took.sort_unstable();
        let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
        println!(
            "{:4.1} % of a core; {} commits: p50 {:?}, p99 {:?}, p99.9 {:?}; scrapes {scraped:?}",
            share * 100.0,
            took.len(),
            at(0.5),
            at(0.99),
            at(0.999)
        );
    }
    Ok(())
}
