//! What an append, its durability and a read cost the local engine: `cargo bench -p catchword-log`. Criterion compares with
//! the run before. It writes below the directory for temporary files: set `TMPDIR` to a disk that can sync.

use std::sync::{Arc, mpsc};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

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

/// Small segments of which few are kept, so that however long Criterion goes on it takes no more than some 100 MB.
fn create(engine: &LocalEngine, topic: &str, n: i32) -> Arc<dyn PartitionLog> {
    let config = LogConfig {
        segment_bytes: 32 << 20,
        ..LogConfig::default()
    };
    engine
        .create(&TopicPartition::new(topic, n), Uuid([1; 16]), config)
        .expect("the directory can be written")
}

/// Appends to a log; every 64 MiB what is behind is given up.
fn append(log: &dyn PartitionLog, batches: &[Batch], appended: &mut usize) -> i64 {
    let end = log
        .append(batches, CLIENT)
        .expect("there is room")
        .last_offset
        + 1;
    *appended += batches[0].bytes.len();
    if *appended > 64 << 20 {
        *appended = 0;
        log.truncate_prefix(end).expect("the end is in the log");
    }
    end
}

fn appends(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("there is room for temporary files");
    let engine =
        LocalEngine::open(dir.path(), LocalOptions::default()).expect("the directory is ours");
    let mut group = c.benchmark_group("append");
    for (name, records, size) in [("a record of 100 bytes", 1, 100), ("16 KiB", 16, 1024)] {
        let log = create(&engine, "append", size as i32);
        let (one, mut appended) = ([batch(records, size)], 0);
        group.throughput(Throughput::Bytes((records * size) as u64));
        group.bench_function(name, |b| b.iter(|| append(&*log, &one, &mut appended)));
        engine.keep_house(1);
    }
    group.finish();
    engine.close().expect("the disk is sound");
}

fn durable(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("there is room for temporary files");
    let engine =
        LocalEngine::open(dir.path(), LocalOptions::default()).expect("the directory is ours");
    let mut group = c.benchmark_group("durable append of 1 KiB");
    for partitions in [1, 16, 1000] {
        let logs: Vec<_> = (0..partitions)
            .map(|n| create(&engine, "durable", n))
            .collect();
        let (one, mut appended) = ([batch(1, 1024)], 0);
        group.throughput(Throughput::Elements(partitions as u64));
        group.bench_function(format!("to {partitions} partitions at once"), |b| {
            b.iter(|| {
                let (done, waited) = mpsc::channel();
                for log in &logs {
                    let end = append(&**log, &one, &mut appended);
                    let done = done.clone();
                    log.flush_to(end, Box::new(move |result| drop(done.send(result))));
                }
                for _ in &logs {
                    let flushed = waited.recv().expect("every flush calls back");
                    flushed.expect("the disk is sound");
                }
            });
        });
        engine.keep_house(1);
    }
    group.finish();
    engine.close().expect("the disk is sound");
}

fn reads(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("there is room for temporary files");
    let engine =
        LocalEngine::open(dir.path(), LocalOptions::default()).expect("the directory is ours");
    let log = create(&engine, "read", 0);
    let one = [batch(1, 100)];
    for _ in 0..100_000 {
        log.append(&one, CLIENT).expect("there is room");
    }
    let mut group = c.benchmark_group("locate batches of one record");
    for chunk in [64 << 10, 1 << 20] {
        group.throughput(Throughput::Bytes(chunk as u64));
        let mut from = 0;
        group.bench_function(format!("{} KiB", chunk >> 10), |b| {
            b.iter(|| {
                from = (from + 7919) % 80_000;
                let read = log.read(from, chunk, ReadLimit::HighWatermark, true);
                read.now().expect("sound").data.len()
            });
        });
    }
    group.finish();
    engine.close().expect("the disk is sound");
}

criterion_group!(benches, appends, durable, reads);
criterion_main!(benches);
