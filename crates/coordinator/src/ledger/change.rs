//! A change: all that one request, or one decision of the broker, did to a group's bookmarks.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use catchword_wire::Str;

use super::{Key, Kind, Place};

/// Names a change: the partition of `__consumer_offsets` and the offset of the change's first record. Written `17-4811`.
///
/// It stays what it is: records keep their offsets through compaction, and what was meant is kept for as long as
/// history reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId {
    /// The partition.
    pub shard: i32,
    /// The offset in it.
    pub offset: i64,
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.shard, self.offset)
    }
}

impl FromStr for ChangeId {
    type Err = String;

    fn from_str(text: &str) -> Result<ChangeId, String> {
        let parts = text.split_once('-');
        let read = parts.and_then(|(shard, offset)| {
            let id = ChangeId {
                shard: shard.parse().ok()?,
                offset: offset.parse().ok()?,
            };
            (id.shard >= 0 && id.offset >= 0).then_some(id)
        });
        read.ok_or_else(|| format!("{text:?} is no change's id, which looks like 17-4811"))
    }
}

/// Who made a change, as far as the record says. Empty is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Who {
    /// The client id.
    pub client: Str,
    /// Where from, such as `/127.0.0.1`.
    pub host: Str,
    /// The member id.
    pub member: Str,
    /// The authenticated principal.
    pub principal: Str,
}

/// One bookmark's part of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The topic.
    pub topic: Str,
    /// The partition.
    pub partition: i32,
    /// Where the bookmark was; `None` if it was nowhere, or if nobody knows.
    pub from: Option<Place>,
    /// Whether that is known: the record says it itself, or the move before is still there.
    pub knows_from: bool,
    /// Whether records that told it are known to have been lost.
    pub lost_from: bool,
    /// Where it was put; `None` if it was removed.
    pub to: Option<Place>,
}

impl Move {
    pub(super) fn is_of(&self, key: &Key) -> bool {
        self.partition == key.1 && self.topic == key.0
    }
}

/// See the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub id: ChangeId,
    /// When, ms since 1970.
    pub at_ms: i64,
    /// Why.
    pub kind: Kind,
    /// Who.
    pub who: Arc<Who>,
    /// The change that this one undid.
    pub of: Option<ChangeId>,
    /// The moves, in the order of the log.
    pub moves: Vec<Move>,
    /// Whether the group itself went with it.
    pub removes_group: bool,
}
