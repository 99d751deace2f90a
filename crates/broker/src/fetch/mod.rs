//! Fetching: which partitions a request asks for, what they have now, and waiting until that is enough.

mod read;
mod session;
mod wait;

pub(crate) use read::{Limits, read_all};
pub(crate) use session::{Opened, Sessions, TopicKey};
pub(crate) use wait::{Watching, is_enough, wait_for_records};
