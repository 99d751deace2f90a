//! Committed offsets as they stood in Apache ZooKeeper before Kafka had a topic for them, and the way between the two.
//!
//! [`path`], [`book`] and [`batch`] are pure: where a bookmark stands, what has to be written or taken over so that both sides
//! say the same, and how much of it at once. [`store`] is the only part that speaks to a server. This crate must not know Kafka's protocol, logs or groups.

pub mod batch;
pub mod book;
pub mod path;
mod progress;
pub mod store;

pub use book::{Book, Bookmark, Node, Rule, Step};
pub use path::Place;
pub use progress::{Groups, Progress};
pub use store::{Store, StoreError};
