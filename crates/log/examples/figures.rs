//! Figures of the local engine on this machine: `cargo run --release -p catchword-log --example figures [DIR]`.
//!
//! Appends without and with durability, many partitions written at once, reads, and what ten thousand idle partitions
//! cost. It writes about a gigabyte below DIR, the current directory unless given, and removes it.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use catchword_log::{
    Append, AppendOrigin, Engine, LocalEngine, LocalOptions, LogConfig, PartitionLog, ReadLimit,
    TopicPartition,
};
use catchword_wire::Uuid;
use catchword_wire::batch::{Batch, BatchBuilder, NewRecord};

const CLIENT: Append = Append {
    leader_epoch: 0,
    append_time: None,
    origin: AppendOrigin::Client,
};

fn batch(records: usize, size: usize) -> Batch {
    let value = vec![b'x'; size];
    let mut builder = BatchBuilder::new(0);
    for _ in 0..records {
        let record = NewRecord {
            timestamp: 1,
            value: Some(&value),
            ..NewRecord::default()
        };
        builder.push(record).expect("it fits");
    }
    Batch::parse(&builder.build().expect("it is not compressed")).expect("it was just built")
}

fn create(engine: &LocalEngine, topic: &str, n: i32) -> Arc<dyn PartitionLog> {
    engine
        .create(
            &TopicPartition::new(topic, n),
            Uuid([1; 16]),
            LogConfig::default(),
        )
        .expect("the directory can be written")
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok())
        .unwrap_or(0)
}

fn appends(engine: &LocalEngine) {
    for (name, records, size, count) in [
        ("one 100-byte record", 1, 100, 300_000),
        ("16 KiB", 16, 1024, 30_000),
    ] {
        let log = create(engine, "append", size as i32);
        let one = [batch(records, size)];
        let begun = Instant::now();
        for _ in 0..count {
            log.append(&one, CLIENT).expect("there is room");
        }
        let took = begun.elapsed();
        let bytes = one[0].bytes.len() as f64 * f64::from(count);
        println!(
            "append, {name}: {:.2} us each, {:.0} MB/s",
            took.as_secs_f64() * 1e6 / f64::from(count),
            bytes / took.as_secs_f64() / 1e6
        );
    }
}

fn durable(engine: &LocalEngine, partitions: i32, in_flight: usize, count: usize) {
    let logs: Vec<_> = (0..partitions)
        .map(|n| create(engine, &format!("durable-{in_flight}"), n))
        .collect();
    let one = [batch(1, 1024)];
    let answered = Arc::new(AtomicUsize::new(0));
    let (done, waited) = mpsc::channel();
    let begun = Instant::now();
    let mut sent = 0;
    while sent < count {
        if sent - answered.load(Ordering::Acquire) >= in_flight {
            let _ = waited.recv();
            continue;
        }
        let log = &logs[sent % logs.len()];
        let end = log.append(&one, CLIENT).expect("there is room").last_offset + 1;
        let (answered, done) = (answered.clone(), done.clone());
        log.flush_to(
            end,
            Box::new(move |result| {
                result.expect("the disk is sound");
                answered.fetch_add(1, Ordering::AcqRel);
                let _ = done.send(());
            }),
        );
        sent += 1;
    }
    while answered.load(Ordering::Acquire) < count {
        let _ = waited.recv();
    }
    println!(
        "durable 1 KiB appends, {partitions} partitions, {in_flight} in flight: {:.0} a second",
        count as f64 / begun.elapsed().as_secs_f64()
    );
}

fn reads(engine: &LocalEngine) {
    let log = create(engine, "append", 100);
    for chunk in [64 * 1024, 1024 * 1024] {
        let (mut from, mut reads, begun) = (0, 0u32, Instant::now());
        while from < log.offsets().log_end {
            let found = log
                .read(from, chunk, ReadLimit::HighWatermark, true)
                .now()
                .expect("sound");
            let size = batch(1, 100).bytes.len();
            from += (found.data.len() / size) as i64;
            reads += 1;
        }
        let each = begun.elapsed().as_secs_f64() * 1e6 / f64::from(reads);
        println!("locating {chunk} bytes of one-record batches, in sequence: {each:.1} us a read");
    }
}

fn many(dir: &Path) {
    const COUNT: i32 = 10_000;
    let engine = LocalEngine::open(dir, LocalOptions::default()).expect("the directory is ours");
    let (before, begun) = (resident_kib(), Instant::now());
    for n in 0..COUNT {
        create(&engine, "many", n);
    }
    println!(
        "10,000 partitions: created in {:.0} ms",
        begun.elapsed().as_secs_f64() * 1e3
    );
    println!(
        "  {} bytes of memory each",
        (resident_kib() - before) * 1024 / COUNT as u64
    );
    engine.close().expect("the disk is sound");
    drop(engine);
    let (before, begun) = (resident_kib(), Instant::now());
    let engine = LocalEngine::open(dir, LocalOptions::default()).expect("the directory is ours");
    println!("  opened in {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    let begun = Instant::now();
    for (partition, id) in engine.partitions() {
        engine
            .create(&partition, id, LogConfig::default())
            .expect("it exists")
            .ready()
            .expect("sound");
    }
    println!("  loaded in {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    println!(
        "  {} more bytes of memory each",
        (resident_kib() - before) * 1024 / COUNT as u64
    );
    let begun = Instant::now();
    for _ in 0..16 {
        engine.maintain(1);
    }
    println!(
        "  a round of housekeeping: {:.0} ms",
        begun.elapsed().as_secs_f64() * 1e3
    );
}

fn main() {
    let below = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let dir = Path::new(&below).join(format!("figures-{}", std::process::id()));
    {
        let engine = LocalEngine::open(&dir, LocalOptions::default()).expect("DIR can be written");
        appends(&engine);
        reads(&engine);
        durable(&engine, 1, 1, 2_000);
        durable(&engine, 1, 16, 20_000);
        durable(&engine, 1, 128, 50_000);
        durable(&engine, 100, 100, 30_000);
        durable(&engine, 1000, 1000, 30_000);
        engine.close().expect("the disk is sound");
    }
    many(&dir.join("many"));
    std::fs::remove_dir_all(&dir).expect("the directory is ours");
}
