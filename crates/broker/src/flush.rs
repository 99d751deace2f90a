//! Waiting until what was appended to several logs is durable.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::partition::Partition;

/// Partitions whose flush failed, and why.
pub(crate) type FlushFailures = Vec<(Arc<Partition>, String)>;

/// Logs and how far each must be durable.
#[derive(Default)]
pub(crate) struct FlushAll {
    wanted: Vec<(Arc<Partition>, i64)>,
}

struct Waiting {
    left: usize,
    failures: FlushFailures,
    done: Option<oneshot::Sender<FlushFailures>>,
}

impl FlushAll {
    /// Adds a partition: everything below `end_offset` must be durable.
    pub(crate) fn add(&mut self, partition: Arc<Partition>, end_offset: i64) {
        self.wanted.push((partition, end_offset));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Starts all flushes at once; the future waits for all and gives the ones that failed, with the reason.
    pub(crate) fn start(self) -> impl Future<Output = FlushFailures> + Send {
        let (tx, rx) = oneshot::channel();
        let all: Vec<Arc<Partition>> = self
            .wanted
            .iter()
            .map(|(partition, _)| partition.clone())
            .collect();
        let waiting = Waiting {
            left: self.wanted.len(),
            failures: Vec::new(),
            done: Some(tx),
        };
        let waiting = Arc::new(Mutex::new(waiting));
        for (partition, end_offset) in self.wanted {
            let (log, waiting) = (partition.log.clone(), waiting.clone());
            log.flush_to(
                end_offset,
                Box::new(move |result| {
                    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Err(error) = result {
                        waiting.failures.push((partition, error.to_string()));
                    }
                    waiting.left -= 1;
                    if waiting.left == 0 {
                        let failures = std::mem::take(&mut waiting.failures);
                        if let Some(done) = waiting.done.take() {
                            let _ = done.send(failures);
                        }
                    }
                }),
            );
        }
        async move {
            // A flush that was dropped unanswered made nothing durable.
            let dropped = |_| {
                all.into_iter()
                    .map(|p| (p, "the log was closed before its flush".to_owned()))
                    .collect()
            };
            rx.await.unwrap_or_else(dropped)
        }
    }
}
