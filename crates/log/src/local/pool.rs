//! The threads that sync logs' own files: each takes a log that wants it, syncs what was written, and answers who waits.
//!
//! Invariant: a log is in the queue at most once, and one thread at a time syncs it. Whatever is appended while a sync
//! runs is covered by the next: that is the group commit. Threads come when there is work for them and leave when there
//! is none.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::log::LocalLog;
use super::segment::lock;

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(10);

/// Threads that sync files.
#[derive(Clone)]
pub(crate) struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    work: Condvar,
    /// Told when the last log is done.
    idle: Condvar,
    max_threads: usize,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<LocalLog>>,
    threads: usize,
    idle: usize,
    /// Logs that are being synced.
    busy: usize,
    stopped: bool,
}

impl Pool {
    /// A pool of up to `max_threads` threads, none of which is started yet.
    pub(crate) fn new(max_threads: usize) -> Pool {
        let inner = Inner {
            state: Mutex::default(),
            work: Condvar::new(),
            idle: Condvar::new(),
            max_threads: max_threads.max(1),
        };
        Pool {
            inner: Arc::new(inner),
        }
    }

    /// Has the log synced. The caller sees to it that it is not in the queue.
    pub(crate) fn enqueue(&self, log: Arc<LocalLog>) {
        let mut state = lock(&self.inner.state);
        state.queue.push_back(log);
        if state.idle >= state.queue.len() || state.threads >= self.inner.max_threads {
            drop(state);
            self.inner.work.notify_one();
            return;
        }
        state.threads += 1;
        let first = state.threads == 1;
        drop(state);
        let inner = self.inner.clone();
        let started = thread::Builder::new()
            .name("log-commit".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || inner.run());
        if let Err(error) = started {
            lock(&self.inner.state).threads -= 1;
            tracing::warn!(%error, "a commit thread could not be started");
            if first {
                // There is nobody else to do it.
                self.inner.drain();
            }
        }
    }

    /// Waits until nothing is being synced, and nothing waits to be.
    pub(crate) fn wait_until_idle(&self) {
        let state = lock(&self.inner.state);
        let busy = |state: &mut State| state.busy > 0 || !state.queue.is_empty();
        drop(self.inner.idle.wait_while(state, busy));
    }

    /// Lets the threads go once there is nothing more to do.
    pub(crate) fn stop(&self) {
        lock(&self.inner.state).stopped = true;
        self.inner.work.notify_all();
    }
}

impl Inner {
    fn run(&self) {
        loop {
            self.drain();
            let mut state = lock(&self.state);
            if !state.queue.is_empty() {
                continue;
            }
            if !state.stopped {
                state.idle += 1;
                state = self
                    .work
                    .wait_timeout_while(state, IDLE, |state| {
                        state.queue.is_empty() && !state.stopped
                    })
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
                state.idle -= 1;
            }
            if state.queue.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }

    fn drain(&self) {
        loop {
            let log = {
                let mut state = lock(&self.state);
                let Some(log) = state.queue.pop_front() else {
                    return;
                };
                state.busy += 1;
                log
            };
            let more = log.sync_once();
            // Before the state says that nobody is at work: whoever waits for that may count on it.
            let again = more.then(|| log.clone());
            drop(log);
            let mut state = lock(&self.state);
            state.busy -= 1;
            state.queue.extend(again);
            if state.busy == 0 && state.queue.is_empty() {
                self.idle.notify_all();
            }
        }
    }
}
