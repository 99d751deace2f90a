//! The engines through their public surface: the contract, restarts, crashes, faults, compaction.

#![allow(clippy::unwrap_used)]

mod check;
mod compaction;
mod concurrent;
mod contract;
mod crash;
mod dump_log;
mod faults;
mod journal;
mod kill;
mod power;
mod repair;
mod restart;
mod retention;
mod side_files;
mod support;
mod transactions;
mod unread;
