//! Whether what clients saw of some registers is linearizable: for tests alone.
//!
//! Clients write and read registers (a group's bookmark in a partition is one) at the same time, and a [`History`] notes
//! when each operation was asked for and when it was answered. The history is linearizable if every operation can be
//! given one moment between the two, so that every read finds what was last written. What nobody heard of when the
//! server was killed may have happened before that, or never. It is all judged from outside; nothing is known of the
//! server.
//!
//! Registers are independent of each other, so each is searched alone (Herlihy and Wing showed that this is enough).

mod history;
mod search;
#[cfg(test)]
mod tests;

pub use history::{Broken, History, Ticket};
