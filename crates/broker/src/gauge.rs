//! What runs beside the connections says here how it is doing, for the metrics.

use std::sync::atomic::{AtomicI64, Ordering};

/// A number that somebody sets and others look at. Of a state, 1 is yes.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicI64);

/// A gauge as the metrics show it: its name, its explanation, its value.
pub(crate) type Shown = (&'static str, &'static str, i64);

impl Gauge {
    pub(crate) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn is_set(&self) -> bool {
        self.get() != 0
    }

    /// Sets it to a number, or to whether something is so.
    pub(crate) fn set(&self, value: impl Into<i64>) {
        self.0.store(value.into(), Ordering::Relaxed);
    }

    /// Sets it to how many there are.
    pub(crate) fn set_count(&self, count: usize) {
        self.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// So many more.
    pub(crate) fn add(&self, more: i64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }
}
