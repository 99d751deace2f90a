//! The history of bookmarks, which is the log itself: which moves stay in it, and for how long.
//!
//! Every move stays for a while, then one a minute, then one an hour. What an administrator, an expiry or a deletion did
//! stays to the end, exactly, and so does the place that it took away: that is what an undo needs. `moves` says what a
//! record did, `thin` whether it stays, `pass` asks that of a whole log within bounds of memory and of bytes.
//!
//! Invariant: whoever replays what stays gets the state of the whole log. This folder must not know how a log is stored
//! or rewritten.

mod marks;
mod moves;
mod pass;
mod thin;

pub(crate) use moves::Seen;
pub use pass::HistoryPass;
pub use thin::History;
