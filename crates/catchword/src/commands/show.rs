//! `catchword show`: one group, its members, and its place in every partition.

mod words;

use std::collections::{BTreeMap, BTreeSet};

use catchword_client::{Client, GroupMemberInfo, TopicPartition};
use serde::Serialize;

use crate::args::Cluster;
use crate::commands::awaited::Awaited;
use crate::commands::distance::{self, PartitionLag};
use crate::commands::kept::Kept;
use crate::failure::Failure;
use crate::ui::Ui;

pub(super) use words::partition_lines;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
COMMITTED is the offset of the next record the group will read. BEHIND counts what it can still
read (records, where the broker counts them as Catchword does: no markers of transactions, nothing
that was aborted or compacted away; offsets elsewhere); LOST what retention took before it did.
FETCHED is how far records were handed to the member that has the partition, known by its client id
and host: blank where several readers could be meant. What it has not committed of that would come
again after a crash; whether it has dealt with it, only it knows.
While a rebalance waits for members, they are named, with what they are to do and until when.

JSON: {group, state, kind, protocol_type, protocol, lag, lost,
  members: [{member_id, instance_id, client_id, host, partitions: [{topic, partition}]}],
  partitions: [{topic, partition, committed, log_start, end, lag, age_ms, lost, held_bytes,
    fetched, uncommitted, metadata, member_id}],
  awaited: [{member_id, client_id, host, what: rejoin|assign|sync|give-up, partitions: [{topic,
    partition}], since_ms, until_ms}],
  expires_at_ms, expires_soon, holds_retention, pins, protection: null|forward-only|frozen}.

Examples:
  catchword show billing
  catchword show billing --json | jq .lag")]
pub(crate) struct Args {
    /// The group.
    group: String,
    #[command(flatten)]
    cluster: Cluster,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
}

/// A group as shown. The field names are for scripts and stay as they are.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    group: String,
    pub(super) state: String,
    kind: Option<String>,
    protocol_type: Option<String>,
    protocol: Option<String>,
    pub(super) lag: i64,
    pub(super) lost: i64,
    members: Vec<Member>,
    pub(super) partitions: Vec<PartitionLag>,
    awaited: Vec<Awaited>,
    #[serde(flatten)]
    kept: Kept,
}

#[derive(Debug, Serialize)]
struct Member {
    member_id: String,
    instance_id: Option<String>,
    client_id: String,
    host: String,
    partitions: Vec<Place>,
}

#[derive(Debug, Serialize)]
struct Place {
    topic: String,
    partition: i32,
}

impl From<&GroupMemberInfo> for Member {
    fn from(member: &GroupMemberInfo) -> Self {
        let place = |p: &TopicPartition| Place {
            topic: p.topic.clone(),
            partition: p.partition,
        };
        Self {
            member_id: member.member_id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            host: member.host.clone(),
            partitions: member.assignment.iter().map(place).collect(),
        }
    }
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let mut client = args.cluster.connect()?;
    let shown = look(&mut client, &args.group)?;
    if args.json {
        ui.json(&shown)
    } else {
        words::print(&shown, ui)
    }
}

/// Gathers what there is to know about a group.
pub(super) fn look(client: &mut Client, group: &str) -> Result<Shown, Failure> {
    let described = client.describe_group(group)?;
    let committed = client.committed(group, None)?;
    let listed = client
        .list_groups()?
        .into_iter()
        .find(|listed| listed.group == group);
    if described.is_none() && committed.is_empty() && listed.is_none() {
        return Err(Failure::failed(format!(
            "there is no group {group:?}; `catchword groups` lists the groups there are"
        )));
    }
    let members = described
        .as_ref()
        .map(|group| group.members.as_slice())
        .unwrap_or_default();
    let owners: BTreeMap<&TopicPartition, &str> = members
        .iter()
        .flat_map(|member| {
            member
                .assignment
                .iter()
                .map(|p| (p, member.member_id.as_str()))
        })
        .collect();
    let partitions: BTreeSet<&TopicPartition> =
        committed.keys().chain(owners.keys().copied()).collect();
    let partitions: Vec<TopicPartition> = partitions.into_iter().cloned().collect();
    let bounds = distance::bounds(client, &partitions)?;
    let partitions = partitions.iter().map(|p| {
        let mut lag = PartitionLag::new(p, committed.get(p), bounds.get(p).copied());
        lag.member_id = owners.get(p).map(|id| (*id).to_owned());
        lag
    });
    let mut partitions: Vec<PartitionLag> = partitions.collect();
    let told = distance::count_records(client, group, &mut partitions);
    let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let state = described.as_ref().map(|group| group.state.clone());
    Ok(Shown {
        group: group.to_owned(),
        state: state
            .or(listed.as_ref().map(|group| group.state.clone()))
            .unwrap_or_default(),
        kind: listed.as_ref().and_then(|group| said(&group.kind)),
        protocol_type: listed.as_ref().and_then(|group| said(&group.protocol_type)),
        protocol: described.as_ref().and_then(|group| said(&group.protocol)),
        lag: partitions.iter().filter_map(|lag| lag.lag).sum(),
        lost: partitions.iter().map(|lag| lag.lost).sum(),
        members: members.iter().map(Member::from).collect(),
        partitions,
        awaited: told.awaited,
        kept: told.kept,
    })
}
