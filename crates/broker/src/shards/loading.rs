//! All shards are read at the start: in parallel, those that somebody asks for first. Each serves as soon as it is read.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use tracing::info;

use super::machine::Machine;
use super::shard::Shard;

/// More threads than this would only wait for the disk.
const MAX_THREADS: usize = 16;

/// Reads the shards in the background. Returns when all are read, or `patience` is over.
pub(crate) fn load_all<M: Machine>(shards: &[Arc<Shard<M>>], patience: Duration) {
    let all = shards.to_vec();
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        let begun = Instant::now();
        work_together(all.clone());
        let _ = done.send(());
        report(&all, begun);
    });
    let _ = finished.recv_timeout(patience);
}

fn work_together<M: Machine>(shards: Vec<Arc<Shard<M>>>) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(MAX_THREADS).min(shards.len());
    let queue = Queue(Mutex::new(shards));
    std::thread::scope(|scope| {
        for n in 1..threads {
            let thread = std::thread::Builder::new().name(format!("load-groups-{n}"));
            // Without a thread there are fewer that work.
            let _ = thread.spawn_scoped(scope, || queue.work());
        }
        queue.work();
    });
}

fn report<M: Machine>(shards: &[Arc<Shard<M>>], begun: Instant) {
    let (mut groups, mut offsets, mut snapshots) = (0, 0, 0);
    let (mut from_snapshots, mut from_logs) = (0, 0);
    for shard in shards {
        let counts = shard.counts();
        groups += counts.0;
        offsets += counts.1;
        let loaded = shard.loaded();
        snapshots += usize::from(loaded.snapshot_end > 0);
        from_snapshots += loaded.snapshot.records;
        from_logs += loaded.tail.records;
    }
    if from_snapshots + from_logs > 0 {
        info!(
            "{} read in {} ms: {from_snapshots} records from {snapshots} snapshots, {from_logs} from the log",
            M::report(groups, offsets),
            begun.elapsed().as_millis()
        );
    }
}

/// What is still to be read.
struct Queue<T>(Mutex<Vec<T>>);

impl<M: Machine> Queue<Arc<Shard<M>>> {
    fn work(&self) {
        while let Some(shard) = self.next(|shard| shard.is_wanted()) {
            shard.load();
        }
    }
}

impl<T> Queue<T> {
    /// One that is wanted now, or any.
    fn next(&self, is_wanted: impl Fn(&T) -> bool) -> Option<T> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match left.iter().position(is_wanted) {
            Some(wanted) => Some(left.swap_remove(wanted)),
            None => left.pop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_comes_first_and_the_rest_after_it() {
        let queue = Queue(Mutex::new(vec![1, 2, 3, 4]));
        assert_eq!(queue.next(|n| *n == 2), Some(2));
        let mut rest: Vec<i32> = std::iter::from_fn(|| queue.next(|_| false)).collect();
        rest.sort_unstable();
        assert_eq!(rest, [1, 3, 4]);
    }
}
