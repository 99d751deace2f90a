//! The engine `local`: Kafka's own directory layout and file formats on this machine's disk.
//!
//! The way of an append: `append` (offsets, one vectored write) → `sync` (who waits) → `committer`, which has the choice
//! between `journal` (one write for all that wait) and `pool` (threads that sync files). The way of a read: `read` → `segment` → `index`. A start: `engine` (names) → `load` (on first use) → `recover`
//! (after a crash). Housekeeping: `maintain` → `retention`; compaction: `cleaner` → `clean` → `compacted`, at the pace of `pace`. Every change to the disk goes through `disk`.

mod append;
mod check;
mod check_index;
mod check_segment;
mod check_txn;
mod checkpoint;
mod clean;
mod cleaner;
mod committer;
mod compacted;
mod disk;
mod engine;
mod format;
mod index;
mod journal;
mod load;
mod log;
mod maintain;
mod names;
mod pace;
mod pool;
mod read;
mod recover;
mod repair;
mod retention;
mod segment;
mod side_file;
mod stopped;
mod sync;
mod tidy;
mod time;
mod txn_index;
mod walk;

pub use check::{CheckSummary, Finding, Severity, check_dir};
pub use disk::{DiskHook, DiskOperation};
pub use engine::{LocalEngine, LocalOptions, PolicyOfTopic};
pub use repair::{Mend, RepairOptions, repair_dir};
pub use stopped::{
    Checkpoint, StoppedDir, StoppedPartition, bytes_of_records, oldest_message_format,
    read_batch_file, read_stopped_log,
};
