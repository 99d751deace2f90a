//! What committed offsets that stand in Apache ZooKeeper as well cost, and how far behind it is.
//!
//! `zookeeper DIR CATCHWORD ZOOKEEPER PORT SECONDS` starts a ZooKeeper with ZOOKEEPER (`conformance/zookeeper/start`) at PORT
//! and the binary CATCHWORD three times at the ports from PORT + 10 on, all below the empty directory DIR: with what is
//! built in alone, with `dual.commit.enabled`, and with `zookeeper.commit.required`. 1,000 groups have bookmarks in 10
//! partitions; a commit is a request for all 10 of a group. It says how long 10,000 new nodes take, then how many commits a
//! second each broker answers (three rounds of SECONDS each in turn, with 4 and with 16 connections), how long a commit takes to be
//! in its node while others go on, and how long ZooKeeper takes to have all of what was committed while it was away.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use catchword_client::{
    Acks, Client, ClientOptions, CommitAs, NewCommit, NewTopic, TopicPartition,
};
use catchword_wire::batch::{Compression, NewRecord};
use catchword_zookeeper::{Place, Store, store};
use tokio::runtime::Runtime;

#[path = "common/serve.rs"]
mod serve;

use serve::{Failure, Serve};

const TOPIC: &str = "orders";
const GROUPS: usize = 1_000;
const PARTITIONS: i32 = 10;
/// More than a group ever commits, so that each commit moves its bookmarks.
const RECORDS: i64 = 20_000;
const ROUNDS: usize = 3;
const CONNECTIONS: [usize; 2] = [4, 16];
/// What is committed while ZooKeeper is away.
const AWAY_COMMITS: usize = 100_000;
/// The pace of a stream that is not as fast as it can.
const COMMITS_A_SECOND: u32 = 500;
/// Its bookmark comes after all others by name.
const PROBE: &str = "zz-probe";
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(100);

/// An Apache ZooKeeper, killed when it is no longer needed.
struct ZooKeeper(Child);

impl ZooKeeper {
    fn start(script: &str, dir: &str, port: u16) -> Result<ZooKeeper, Failure> {
        let mut command = Command::new(script);
        command.args([&port.to_string(), &format!("{dir}/zookeeper")]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null());
        let running = ZooKeeper(child.spawn()?);
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if serves(port).unwrap_or(false) {
                return Ok(running);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err("ZooKeeper does not answer".into())
    }
}

impl Drop for ZooKeeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Before that it answers as well, but takes no sessions.
fn serves(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"srvr")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.contains("Mode:"))
}

/// Some of the brokers, and how often each of its groups has committed.
struct Mode {
    name: &'static str,
    serve: Serve,
    committed: Vec<i64>,
    connections: Vec<Client>,
}

/// Until when a stream of commits goes on, and how fast.
#[derive(Clone, Copy)]
enum Stream {
    /// So many, as fast as they can.
    Count(usize),
    /// As fast as they can.
    For(Duration),
    /// At an even pace.
    Paced(Duration),
}

impl Mode {
    fn start(
        name: &'static str,
        [binary, dir]: [&str; 2],
        port: u16,
        settings: &[String],
    ) -> Result<Mode, Failure> {
        let dir = format!("{dir}/{}", name.replace(' ', "-"));
        let serve = Serve::start(binary, &dir, port, settings)?;
        let connect = |_| Client::connect(ClientOptions::to(serve.address()));
        let mut connections = (0..=CONNECTIONS[1])
            .map(connect)
            .collect::<Result<Vec<Client>, _>>()?;
        fill(&mut connections[0])?;
        Ok(Mode {
            name,
            serve,
            committed: vec![0; GROUPS],
            connections,
        })
    }

    /// Commits over so many connections, each for groups of its own; how many commits, and how long they took.
    fn commit(&mut self, connections: usize, stream: Stream) -> Result<(usize, Duration), Failure> {
        let each = GROUPS.div_ceil(connections);
        let groups = self.committed.chunks_mut(each).enumerate();
        let work = groups.zip(&mut self.connections[1..]);
        let begun = Instant::now();
        let done = std::thread::scope(|scope| {
            let start = |((n, committed), client)| {
                scope.spawn(move || commit(client, n * each, committed, connections, stream))
            };
            let running: Vec<_> = work.map(start).collect();
            let mut done = 0;
            for one in running {
                done += one.join().map_err(|_| "a committer panicked")??;
            }
            Ok::<usize, Failure>(done)
        })?;
        Ok((done, begun.elapsed()))
    }

    /// Some of the broker's own figures about its ZooKeeper, as they were at one moment.
    fn figures<const N: usize>(&self, names: [&str; N]) -> Result<[i64; N], Failure> {
        let metrics = self.serve.metrics()?;
        let mut values = [0; N];
        for (name, value) in names.iter().zip(&mut values) {
            let of = |line: &str| {
                let (of, value) = line.split_once(' ')?;
                (of == format!("catchword_zookeeper_{name}")).then_some(value.parse())
            };
            *value = metrics.lines().find_map(of).ok_or("no such figure")??;
        }
        Ok(values)
    }

    /// Waits until ZooKeeper is used, and then until it has all; how long each took.
    fn caught_up(&self) -> Result<(Duration, Duration), Failure> {
        let begun = Instant::now();
        let mut used = None;
        while begun.elapsed() < PATIENCE {
            let [connected, behind, unread] = self.figures(["connected", "behind", "unread"])?;
            if used.is_none() && connected == 1 {
                used = Some(begun.elapsed());
            }
            if let Some(used) = used.filter(|_| behind + unread == 0) {
                return Ok((used, begun.elapsed() - used));
            }
            std::thread::sleep(LOOK);
        }
        Err("ZooKeeper is still behind".into())
    }
}

fn fill(client: &mut Client) -> Result<(), Failure> {
    client.create_topic(&NewTopic {
        name: TOPIC.into(),
        partitions: Some(PARTITIONS),
        // The records are old already.
        configs: vec![("retention.ms".into(), "-1".into())],
        ..NewTopic::default()
    })?;
    let mut producer = client.producer(Acks::Leader, Compression::None)?;
    let record = NewRecord {
        timestamp: 1_700_000_000_000,
        key: None,
        value: Some(b"x"),
        headers: &[],
    };
    for p in 0..PARTITIONS {
        for _ in 0..RECORDS / 1_000 {
            let partition = TopicPartition::new(TOPIC, p);
            client.produce(&mut producer, &partition, &vec![record; 1_000])?;
        }
    }
    Ok(())
}

fn group(n: usize) -> String {
    format!("billing-{n}")
}

/// The groups from `first` on commit one after the other; how many commits there were.
fn commit(
    client: &mut Client,
    first: usize,
    committed: &mut [i64],
    connections: usize,
    stream: Stream,
) -> Result<usize, Failure> {
    let begun = Instant::now();
    let pace = Duration::from_secs(1) * u32::try_from(connections)? / COMMITS_A_SECOND;
    let mut done = 0;
    loop {
        for (n, at) in committed.iter_mut().enumerate() {
            let is_over = match stream {
                Stream::Count(commits) => done >= commits / connections,
                Stream::For(time) | Stream::Paced(time) => begun.elapsed() >= time,
            };
            if is_over {
                return Ok(done);
            }
            if let Stream::Paced(_) = stream {
                let due = begun + pace * u32::try_from(done)?;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            *at += 1;
            let one = |p| NewCommit::new(TopicPartition::new(TOPIC, p), *at);
            let commits: Vec<NewCommit> = (0..PARTITIONS).map(one).collect();
            client.commit(&group(first + n), CommitAs::Outsider, &commits)?;
            done += 1;
        }
    }
}

/// What ZooKeeper says, below the path of one broker.
struct Nodes {
    runtime: Runtime,
    store: Store,
}

impl Nodes {
    fn connect(to: &str) -> Result<Nodes, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build()?;
        let store = runtime.block_on(Store::connect(to, None, PATIENCE))?;
        Ok(Nodes { runtime, store })
    }

    fn make(&self, path: &str) -> Result<(), Failure> {
        let node = store::Write {
            path: path.into(),
            data: String::new(),
            version: None,
        };
        self.runtime.block_on(self.store.write(&[node]))?;
        Ok(())
    }

    fn offset(&self, place: &Place) -> Result<Option<i64>, Failure> {
        let path = place.node().ok_or("no such node")?;
        let found = self.runtime.block_on(self.store.read(&path))?;
        Ok(found.and_then(|found| found.node.offset))
    }

    /// How many bookmarks are not where the groups committed them last.
    fn wrong(&self, mode: &Mode) -> Result<usize, Failure> {
        let scan = self.runtime.block_on(self.store.scan())?;
        let mut wrong = 0;
        for (n, at) in mode.committed.iter().enumerate() {
            for partition in 0..PARTITIONS {
                let place = place(group(n), partition);
                let node = scan.nodes.get(&place);
                wrong += usize::from(node.and_then(|found| found.node.offset) != Some(*at));
            }
        }
        Ok(wrong)
    }
}

fn place(group: String, partition: i32) -> Place {
    Place {
        group,
        topic: TOPIC.into(),
        partition,
    }
}

/// Commits of one more group, one after the other, until the time is over: how long each took to be in its node. The last of
/// them may not have come there.
fn probe(client: &mut Client, to: &str, time: Duration) -> Result<Vec<Duration>, Failure> {
    let nodes = Nodes::connect(to)?;
    let place = place(PROBE.into(), 0);
    let mut at = nodes.offset(&place)?.unwrap_or(0);
    let begun = Instant::now();
    let mut took = Vec::new();
    while begun.elapsed() < time {
        at += 1;
        let commit = NewCommit::new(TopicPartition::new(TOPIC, 0), at);
        client.commit(PROBE, CommitAs::Outsider, &[commit])?;
        let answered = Instant::now();
        while nodes.offset(&place)? != Some(at) && begun.elapsed() < time {
            std::thread::sleep(Duration::from_millis(5));
        }
        took.push(answered.elapsed());
    }
    Ok(took)
}

fn median<T: Copy + PartialOrd>(mut all: Vec<T>) -> Option<T> {
    all.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    all.get(all.len() / 2).copied()
}

/// What each broker answers, in turn.
fn compare(modes: &mut [Mode], time: Duration) -> Result<(), Failure> {
    for connections in CONNECTIONS {
        let mut rates: Vec<Vec<(f64, f64)>> = vec![Vec::new(); modes.len()];
        for _ in 0..ROUNDS {
            for (mode, rates) in modes.iter_mut().zip(&mut rates) {
                let cpu = mode.serve.cpu_s()?;
                let (done, took) = mode.commit(connections, Stream::For(time))?;
                let cpu = mode.serve.cpu_s()? - cpu;
                rates.push((done as f64 / took.as_secs_f64(), done as f64 / cpu));
                // What the mirror still has to do is not the next one's.
                if mode.name != BUILTIN {
                    mode.caught_up()?;
                }
            }
        }
        let mut first = None;
        for (mode, rates) in modes.iter().zip(rates) {
            let a_second = median(rates.iter().map(|r| r.0).collect()).unwrap_or(0.0);
            let a_cpu_second = median(rates.iter().map(|r| r.1).collect()).unwrap_or(0.0);
            let (builtin, builtin_cpu) = *first.get_or_insert((a_second, a_cpu_second));
            println!(
                "{connections} connections, {}: {a_second:.0} commits a second ({:.2} of builtin), {a_cpu_second:.0} a CPU second ({:.2})",
                mode.name,
                a_second / builtin,
                a_cpu_second / builtin_cpu
            );
        }
    }
    Ok(())
}

/// How far behind ZooKeeper is while a stream goes on.
fn follow(
    mode: &mut Mode,
    to: &str,
    name: &str,
    stream: Stream,
    time: Duration,
) -> Result<(), Failure> {
    let [written] = mode.figures(["written"])?;
    let mut prober = Client::connect(ClientOptions::to(mode.serve.address()))?;
    let ((done, took), mut probes) = std::thread::scope(|scope| {
        let probes = scope.spawn(|| probe(&mut prober, to, time));
        let stream = mode.commit(CONNECTIONS[0], stream)?;
        let probes = probes.join().map_err(|_| "the probe panicked")??;
        Ok::<_, Failure>((stream, probes))
    })?;
    let [written_then] = mode.figures(["written"])?;
    let (_, caught_up) = mode.caught_up()?;
    probes.sort_unstable();
    println!(
        "{name}: {:.0} commits a second, {:.0} nodes written a second; a commit is in its node after {:?} in the median, {:?} at most ({} looked at); all of it {caught_up:?} after the last",
        done as f64 / took.as_secs_f64(),
        (written_then - written) as f64 / took.as_secs_f64(),
        probes[probes.len() / 2],
        probes[probes.len() - 1],
        probes.len(),
    );
    Ok(())
}

const BUILTIN: &str = "builtin";

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, binary, script, port, seconds] = &args[..] else {
        return Err("zookeeper DIR CATCHWORD ZOOKEEPER PORT SECONDS".into());
    };
    let (port, time): (u16, _) = (port.parse()?, Duration::from_secs(seconds.parse()?));
    let server = format!("127.0.0.1:{port}");
    let start = || ZooKeeper::start(script, dir, port);

    let zookeeper = start()?;
    let nodes = Nodes::connect(&server)?;
    nodes.make("/dual")?;
    nodes.make("/required")?;
    drop((nodes, zookeeper));

    let connect = |path| format!("{server}{path}");
    let mirrored = |path| {
        vec![
            "dual.commit.enabled=true".to_owned(),
            format!("zookeeper.connect={}", connect(path)),
        ]
    };
    let from = [binary.as_str(), dir.as_str()];
    let mut dual = Mode::start("dual commit", from, port + 20, &mirrored("/dual"))?;
    dual.commit(CONNECTIONS[0], Stream::Count(GROUPS))?;
    let zookeeper = start()?;
    let (used, made) = dual.caught_up()?;
    println!("10,000 new nodes: {made:?}, after {used:?} until ZooKeeper was used");
    println!(
        "{} wrong nodes",
        Nodes::connect(&connect("/dual"))?.wrong(&dual)?
    );

    let builtin = Mode::start(BUILTIN, from, port + 10, &[])?;
    let mut settings = mirrored("/required");
    settings.push("zookeeper.commit.required=true".into());
    let required = Mode::start("required", from, port + 30, &settings)?;
    let mut modes = [builtin, dual, required];
    for mode in &mut modes {
        // Each has its groups and its nodes before anything is measured.
        mode.commit(CONNECTIONS[1], Stream::Count(2 * GROUPS))?;
    }
    compare(&mut modes, time)?;
    let [_, mut dual, _] = modes;

    let to = connect("/dual");
    follow(
        &mut dual,
        &to,
        "500 commits a second",
        Stream::Paced(time),
        time,
    )?;
    follow(
        &mut dual,
        &to,
        "as fast as they can",
        Stream::For(time),
        time,
    )?;

    drop(zookeeper);
    let before = dual.serve.memory_kib()? >> 10;
    let (done, took) = dual.commit(CONNECTIONS[0], Stream::Count(AWAY_COMMITS))?;
    let after = dual.serve.memory_kib()? >> 10;
    println!(
        "ZooKeeper away: {done} commits in {took:?}; the broker had {before} MiB before and {after} MiB after"
    );
    let _zookeeper = start()?;
    let (used, caught_up) = dual.caught_up()?;
    let then = dual.serve.memory_kib()? >> 10;
    println!(
        "ZooKeeper is there again: used after {used:?}, has all {caught_up:?} later; {then} MiB then"
    );
    println!("{} wrong nodes", Nodes::connect(&to)?.wrong(&dual)?);
    Ok(())
}
