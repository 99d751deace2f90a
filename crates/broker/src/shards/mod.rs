//! Drives the state machines of coordinators: one shard for each partition of the topic in which they keep their state.
//!
//! Here asynchrony and storage meet the pure machines of `catchword-coordinator`; groups and transactions are driven alike.
//! What a driver needs of a machine is in [`machine`], how a call comes to an answer in [`shard`] and [`settle`], what is
//! asked of the log before in [`admit`], how a shard is read back in [`load`] and in which order in [`loading`], and who
//! keeps snapshots, so that little has to be read, in [`keeper`].

mod admit;
mod keeper;
mod load;
mod loading;
mod machine;
mod settle;
mod shard;
mod snapshot;
mod write;

pub(crate) use admit::InTransaction;
pub(crate) use keeper::Keeper;
pub(crate) use loading::load_all;
pub(crate) use machine::{Machine, Outside, Task};
pub(crate) use shard::Shard;
pub(crate) use snapshot::Part;
pub(crate) use write::of_log;
