//! What the JSON API shows of groups as they are now. The names of fields are for scripts and stay as they are; times are
//! milliseconds since 1970.

use catchword_coordinator::{Awaited, Awaits, RosterMember};
use catchword_log::Unread;
use catchword_wire::Str;
use serde::{Serialize, Serializer};

/// All groups, by their ids.
#[derive(Debug, Serialize)]
pub(crate) struct GroupList {
    pub(crate) groups: Vec<GroupView>,
}

/// A group as it is now.
#[derive(Debug, Serialize)]
pub(crate) struct GroupView {
    pub(crate) group: String,
    pub(crate) state: String,
    pub(crate) kind: String,
    pub(crate) members: Vec<MemberView>,
    /// Whom a rebalance waits for; empty where it does not, or nobody can say.
    pub(crate) awaited: Vec<AwaitedView>,
    /// The sum of the partitions' lags, in records.
    pub(crate) lag: i64,
    /// How long the oldest record that the group has not read has waited for it, ms; null if there is none.
    pub(crate) age_ms: Option<i64>,
    /// The sum of what the partitions lost, in offsets.
    pub(crate) lost: i64,
    /// The sum of what was handed to members and not committed; null where it is known of no partition.
    pub(crate) uncommitted: Option<i64>,
    pub(crate) partitions: Vec<PartitionLag>,
    #[serde(flatten)]
    pub(crate) kept: KeptView,
}

/// The sum of what is known; `None` if nothing is.
fn sum(values: impl Iterator<Item = Option<i64>>) -> Option<i64> {
    values.flatten().reduce(|sum, value| sum + value)
}

/// What becomes of a group's committed offsets, and what is not to become of them.
#[derive(Debug, Default, Serialize)]
pub(crate) struct KeptView {
    /// When the first of them expires if nobody reads, ms since 1970; null: not as things are.
    pub(crate) expires_at_ms: Option<i64>,
    /// Whether that is soon: within `offsets.expiry.warning.ms`.
    pub(crate) expires_soon: bool,
    /// Whether retention waits for it.
    pub(crate) holds_retention: bool,
    /// What is pinned: `*`, topics, or `TOPIC:PARTITION`.
    pub(crate) pins: Vec<String>,
    /// What nobody but members may do to them: `forward-only` or `frozen`; null: nothing of the kind.
    pub(crate) protection: Option<&'static str>,
}

impl MemberView {
    pub(crate) fn on_roster(member: &RosterMember) -> MemberView {
        MemberView {
            member_id: member.id.to_string(),
            instance_id: member.instance_id.as_ref().map(Str::to_string),
            client_id: member.client_id.to_string(),
            host: member.client_host.trim_start_matches('/').to_owned(),
        }
    }
}

impl GroupView {
    pub(crate) fn of(
        group: &str,
        state: &str,
        kind: &str,
        members: Vec<MemberView>,
        partitions: Vec<PartitionLag>,
    ) -> GroupView {
        GroupView {
            group: group.to_owned(),
            state: state.to_owned(),
            kind: kind.to_owned(),
            members,
            awaited: Vec::new(),
            lag: partitions.iter().filter_map(|p| p.lag).sum(),
            age_ms: partitions.iter().filter_map(|p| p.age_ms).max(),
            lost: partitions.iter().map(|p| p.lost).sum(),
            uncommitted: sum(partitions.iter().map(|p| p.uncommitted)),
            partitions,
            kept: KeptView::default(),
        }
    }

    /// With whom it waits for.
    pub(crate) fn awaiting(self, awaited: &[Awaited]) -> GroupView {
        GroupView {
            awaited: awaited.iter().map(AwaitedView::of).collect(),
            ..self
        }
    }

    /// With how long its offsets are there.
    pub(crate) fn kept(self, kept: KeptView) -> GroupView {
        GroupView { kept, ..self }
    }
}

/// Somebody whose turn it is in a rebalance.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AwaitedView {
    pub(crate) member_id: String,
    /// Empty of a client that was given a member id and has not joined yet.
    pub(crate) client_id: String,
    pub(crate) host: String,
    /// `rejoin`, `assign` (the leader), `sync` or `give-up`.
    pub(crate) what: &'static str,
    /// What it is to give up; of a streams group by subtopology.
    pub(crate) partitions: Vec<PlaceView>,
    /// Null: not known.
    pub(crate) since_ms: Option<i64>,
    /// When the group goes on without it; null: it is held to no time yet.
    pub(crate) until_ms: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PlaceView {
    pub(crate) topic: String,
    pub(crate) partition: i32,
}

impl AwaitedView {
    fn of(awaited: &Awaited) -> AwaitedView {
        let partitions = match &awaited.what {
            Awaits::GiveUp(partitions) => &partitions[..],
            _ => &[],
        };
        let place = |(topic, partition): &(Str, i32)| PlaceView {
            topic: topic.to_string(),
            partition: *partition,
        };
        AwaitedView {
            member_id: awaited.member_id.to_string(),
            client_id: awaited.client_id.to_string(),
            host: awaited.client_host.trim_start_matches('/').to_owned(),
            what: awaited.what.name(),
            partitions: partitions.iter().map(place).collect(),
            since_ms: awaited.since_ms,
            until_ms: awaited.until_ms,
        }
    }
}

/// Who is in a group.
#[derive(Debug, Serialize)]
pub(crate) struct MemberView {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) host: String,
}

impl MemberView {
    /// Whether this is its member id or its group instance id.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.member_id == name || self.instance_id.as_deref() == Some(name)
    }
}

/// A group's bookmark in a partition, and what is before it.
#[derive(Debug, Serialize)]
pub(crate) struct PartitionLag {
    #[serde(serialize_with = "text")]
    pub(crate) topic: Str,
    pub(crate) partition: i32,
    pub(crate) committed: i64,
    /// When that was committed, ms since 1970; `None` where another Kafka knows.
    #[serde(skip)]
    pub(crate) committed_ms: Option<i64>,
    /// Null where the topic is gone.
    pub(crate) start: Option<i64>,
    pub(crate) end: Option<i64>,
    /// Records that the group will still be given, null where the topic is gone. Markers of transactions, aborted records and
    /// what was compacted away are none.
    pub(crate) lag: Option<i64>,
    /// Of these, offsets that were not counted: their transactions have not ended, or the count has not come so far. All of
    /// them where the logs are somebody else's.
    pub(crate) unsure: i64,
    /// How long the oldest of them has waited, ms; null if there is none, or it is not known.
    pub(crate) age_ms: Option<i64>,
    /// Bytes, as they are stored, of the batches that hold what was counted; null where nothing is counted.
    pub(crate) bytes: Option<i64>,
    /// Offsets that the log lost before the group read them.
    pub(crate) lost: i64,
    /// Bytes that the log keeps past their time because this group, of all furthest behind, has still to read them.
    pub(crate) held_bytes: u64,
    /// The offset behind the last record that was handed to the member that has the partition, known by its client id and
    /// host; null where nobody has it, several could be meant, or nothing was handed out.
    pub(crate) fetched: Option<i64>,
    /// How many records were handed out and are not committed, at most: what would come again if the member were gone now.
    /// Null where `fetched` is.
    pub(crate) uncommitted: Option<i64>,
}

impl PartitionLag {
    /// With what was counted in place of the distance between offsets.
    pub(crate) fn counted(self, unread: Unread, now_ms: i64) -> PartitionLag {
        PartitionLag {
            lag: Some(unread.records),
            unsure: unread.unsure,
            age_ms: unread.oldest_ms.map(|at_ms| (now_ms - at_ms).max(0)),
            bytes: Some(unread.bytes),
            ..self
        }
    }

    /// By offsets alone. `start` and `end` of the log; `None` where there is none.
    pub(crate) fn of(
        topic: &Str,
        partition: i32,
        committed: i64,
        start: Option<i64>,
        end: Option<i64>,
    ) -> PartitionLag {
        let ends = start.zip(end);
        let lag = ends.map(|(start, end)| (end - committed.max(start)).max(0));
        PartitionLag {
            topic: topic.clone(),
            partition,
            committed,
            committed_ms: None,
            start,
            end,
            lag,
            unsure: lag.unwrap_or(0),
            age_ms: None,
            bytes: None,
            lost: start.map_or(0, |start| (start - committed).max(0)),
            held_bytes: 0,
            fetched: None,
            uncommitted: None,
        }
    }

    /// With how far its reader was handed records. Markers of transactions are no records: there are never more to come
    /// again than there are to read.
    pub(crate) fn fetched(self, fetched: Option<i64>) -> PartitionLag {
        let from = self
            .start
            .map_or(self.committed, |start| start.max(self.committed));
        let between = fetched.map(|fetched| (fetched - from).max(0));
        PartitionLag {
            fetched,
            uncommitted: between.map(|between| self.lag.map_or(between, |lag| lag.min(between))),
            ..self
        }
    }
}

fn text<S: Serializer>(text: &Str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}
