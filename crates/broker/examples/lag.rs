//! What it costs to tell the lag of many groups again and again, and whether commits wait for it.
//!
//! `lag DIR CATCHWORD PORT SECONDS` starts the binary CATCHWORD on the empty directory DIR, makes 100 topics of 10 partitions
//! with 1,000 records each, and 10,000 groups that have bookmarks in all partitions of one topic. Then 1,000 commits a second,
//! of 10 partitions each, go on in rounds of SECONDS; in every second round `/metrics` is scraped each 15 seconds. It says of
//! each round how much of a core the broker used, and how long commits took.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use catchword_client::{
    Acks, Client, ClientOptions, CommitAs, NewCommit, NewTopic, TopicPartition,
};
use catchword_wire::batch::{Compression, NewRecord};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const TOPICS: usize = 100;
const PARTITIONS: i32 = 10;
const RECORDS: i64 = 1_000;
const GROUPS: usize = 10_000;
const COMMITTERS: usize = 4;
const COMMITS_A_SECOND: u32 = 1_000;
/// How long the broker has to be there.
const STARTS_WITHIN: Duration = Duration::from_secs(10);
const SCRAPE: Duration = Duration::from_secs(15);
const ROUNDS: usize = 6;
/// Of the kernel's count of CPU time, on every Linux.
const TICKS_A_SECOND: f64 = 100.0;

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

/// Scrapes as Prometheus does; how many bytes there were, and how long it took.
fn scrape(http: &str) -> Result<(usize, Duration), Failure> {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(http)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let (mut buffer, mut bytes) = (vec![0; 1 << 16], 0);
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok((bytes, begun.elapsed())),
            more => bytes += more,
        }
    }
}

/// CPU seconds that a process has used.
fn cpu_s(pid: u32) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("/proc has changed")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || -> Result<f64, Failure> { Ok(fields.next().ok_or("no times")?.parse()?) };
    Ok((ticks()? + ticks()?) / TICKS_A_SECOND)
}

/// The broker's process, killed when it is no longer needed.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, binary, port, seconds] = &args[..] else {
        return Err("lag DIR CATCHWORD PORT SECONDS".into());
    };
    let (port, seconds): (u16, u64) = (port.parse()?, seconds.parse()?);
    let (broker, http) = (
        format!("127.0.0.1:{port}"),
        format!("127.0.0.1:{}", port + 1),
    );
    let serve = Command::new(binary)
        .args(["serve", "--data", dir, "--listen", &broker])
        .args(["--set", &format!("http.listener={http}")])
        .stdout(Stdio::null())
        .spawn()?;
    let serve = Killed(serve);
    let pid = serve.0.id();
    let until = Instant::now() + STARTS_WITHIN;
    while let Err(refused) = TcpStream::connect(&broker) {
        if Instant::now() > until {
            return Err(refused.into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    fill(&broker)?;
    let mut committers = Vec::new();
    for first in 0..COMMITTERS {
        let mut client = connect(&broker)?;
        commits(&mut client, first, &mut 0, None)?;
        committers.push((first, client, 1));
    }
    println!("{GROUPS} groups with {PARTITIONS} bookmarks each");
    // What is looked at for the first time, before anything is measured.
    let (bytes, took) = scrape(&http)?;
    println!("a scrape of {bytes} bytes, the first one in {took:?}");
    for round in 0..ROUNDS {
        let scrapes = round % 2 == 1;
        let (begun, cpu) = (Instant::now(), cpu_s(pid)?);
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
                scraped.push(scrape(&http)?.1);
                at += SCRAPE;
            }
            for one in work {
                took.extend(one.join().map_err(|_| "a committer panicked")??);
            }
            Ok(())
        })?;
        let share = (cpu_s(pid)? - cpu) / begun.elapsed().as_secs_f64();
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
