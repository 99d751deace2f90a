//! What a batch costs on its way in: `cargo bench -p catchword-wire`. Criterion compares with the run before.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use catchword_wire::batch::{
    Batch, BatchBuilder, Compression, NewRecord, ValidateOptions, validate,
};

fn batch(records: usize, size: usize, compression: Compression) -> Batch {
    let value: Vec<u8> = (0..size).map(|i| (i % 61) as u8).collect();
    let mut builder = BatchBuilder::new(0).compression(compression);
    for _ in 0..records {
        let record = NewRecord {
            timestamp: 1,
            value: Some(&value),
            ..NewRecord::default()
        };
        builder.push(record).expect("it fits");
    }
    Batch::parse(&builder.build().expect("the codec works")).expect("it was just built")
}

fn produced(c: &mut Criterion) {
    let mut group = c.benchmark_group("a produced batch is checked");
    for (name, records, size, compression) in [
        ("16 records of 1 KiB", 16, 1024, Compression::None),
        ("160 records of 100 bytes", 160, 100, Compression::None),
        ("16 records of 1 KiB, lz4", 16, 1024, Compression::Lz4),
    ] {
        let batch = batch(records, size, compression);
        group.throughput(Throughput::Bytes((records * size) as u64));
        group.bench_function(name, |b| {
            b.iter(|| validate(&batch, &ValidateOptions::default()).is_ok());
        });
    }
    group.finish();
}

criterion_group!(benches, produced);
criterion_main!(benches);
