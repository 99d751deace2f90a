//! Takes over what others wrote into ZooKeeper: moves of bookmarks by the groups' coordinators, with who and why.

use std::sync::Arc;

use catchword_coordinator::ledger::Place as Bookmark;
use catchword_coordinator::record::headers::Cause;
use catchword_coordinator::{
    BookmarkMove, Call as GroupCall, Client, MoveOffsets, Moved, OffsetFetchCall, Reply,
};
use catchword_wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use catchword_wire::{ErrorCode, Str};
use catchword_zookeeper::Place;
use tracing::{info, warn};

use crate::broker::Broker;

/// What became of one node's offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// The bookmark is there now.
    Moved,
    /// It was there already.
    Same,
    /// The rule is `max`, and ours is further.
    Ahead(i64),
    /// Not now: the group has members, the topic does not exist, or the coordinator is not ready.
    Refused,
}

/// The client id that such a move is recorded under.
const CLIENT_ID: &str = "zookeeper";

/// Moves a group's bookmarks to where the nodes are: all of them or none.
pub(super) async fn take(
    broker: &Arc<Broker>,
    group: &str,
    nodes: Vec<(Place, i64)>,
) -> Vec<(Place, Taken)> {
    let config = broker.catalog.config();
    let client = Client {
        client_id: CLIENT_ID.into(),
        client_host: format!("/{}", config.zookeeper_connect).into(),
        principal: Str::EMPTY,
    };
    let group = Str::from(group.to_owned());
    let Some(now) = committed(broker, &client, &group).await else {
        return nodes
            .into_iter()
            .map(|(p, _)| (p, Taken::Refused))
            .collect();
    };
    let mut out = Vec::new();
    let mut moving = Vec::new();
    let mut moves = Vec::new();
    for (place, offset) in nodes {
        let topic = broker.catalog.topic(&Str::from(place.topic.clone()));
        let topic = topic.filter(|topic| topic.partition(place.partition).is_some());
        let at = |(topic, partition, _): &&(Str, i32, i64)| {
            **topic == *place.topic && *partition == place.partition
        };
        let expected = now.iter().find(at).map(|(.., offset)| *offset);
        let is_ahead = config.zookeeper_conflict == "max" && expected.is_some_and(|e| e > offset);
        match (topic, expected) {
            (None, _) => out.push((place, Taken::Refused)),
            (_, Some(now)) if now == offset => out.push((place, Taken::Same)),
            (_, Some(now)) if is_ahead => out.push((place, Taken::Ahead(now))),
            (Some(topic), expected) => {
                moves.push(BookmarkMove {
                    topic: topic.name.clone(),
                    partition: place.partition,
                    expected,
                    then: Some(Bookmark {
                        offset,
                        leader_epoch: -1,
                        metadata: Str::EMPTY,
                        topic_id: topic.id,
                    }),
                });
                moving.push(place);
            }
        }
    }
    if moves.is_empty() {
        return out;
    }
    let count = moves.len();
    let request = GroupCall::MoveOffsets(MoveOffsets {
        group_id: group.clone(),
        cause: Cause::Zookeeper,
        of: None,
        live: false,
        moves,
    });
    let asked = broker.groups.ask(broker, &client, 9, request);
    let taken = match asked.get().await.flatten() {
        Some(Reply::MoveOffsets(Moved::Done)) => {
            info!("{count} committed offsets of group {group:?} were taken over from ZooKeeper");
            Taken::Moved
        }
        // It moved meanwhile; or it has members, who commit for themselves.
        Some(Reply::MoveOffsets(
            Moved::Elsewhere(_) | Moved::Refused(ErrorCode::NonEmptyGroup),
        )) => Taken::Refused,
        other => {
            warn!("group {group:?} takes nothing over from ZooKeeper for now: {other:?}");
            Taken::Refused
        }
    };
    out.extend(moving.into_iter().map(|place| (place, taken)));
    out
}

/// Where the group is; `None` if its coordinator does not say.
async fn committed(
    broker: &Arc<Broker>,
    client: &Client,
    group: &Str,
) -> Option<Vec<(Str, i32, i64)>> {
    let ask = OffsetFetchCall {
        group: OffsetFetchRequestGroup {
            group_id: group.clone(),
            topics: None,
            member_epoch: -1,
            ..OffsetFetchRequestGroup::default()
        },
        require_stable: false,
    };
    let asked = broker
        .groups
        .ask(broker, client, 9, GroupCall::OffsetFetch(ask));
    match asked.get().await.flatten() {
        Some(Reply::OffsetFetch(found)) if found.error_code == 0 => {
            let topic = |topic: catchword_wire::messages::offset_fetch_response::OffsetFetchResponseTopics| {
                let name = topic.name;
                topic
                    .partitions
                    .into_iter()
                    .map(move |p| (name.clone(), p.partition_index, p.committed_offset))
            };
            Some(found.topics.into_iter().flat_map(topic).collect())
        }
        _ => None,
    }
}
