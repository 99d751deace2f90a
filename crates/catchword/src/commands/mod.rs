//! The commands, a file each: its arguments, its help, what it does.

pub(crate) mod adopt;
pub(crate) mod at;
pub(crate) mod completions;
pub(crate) mod consume;
pub(crate) mod copy;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod groups;
pub(crate) mod import;
pub(crate) mod keep;
mod lag;
pub(crate) mod log;
mod moves;
mod offsets_file;
mod partitioner;
pub(crate) mod produce;
pub(crate) mod protect;
pub(crate) mod rewind;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod skip;
mod text;
pub(crate) mod topics;
pub(crate) mod tour;
pub(crate) mod trash;
pub(crate) mod undo;
pub(crate) mod zk;
