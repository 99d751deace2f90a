//! Records, replies and timers as a story shows them: one line each.

use std::collections::BTreeMap;

use bytes::Bytes;
use catchword_coordinator::{Effect, RecordRef, Reply, ReplyTo, TimerKind};
use catchword_wire::messages::describe_groups_response::DescribedGroup;
use catchword_wire::records::{
    GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue,
};
use catchword_wire::{Decoder, ErrorCode, Message, Str};

use crate::driver::error_of;

type Shown = BTreeMap<Str, String>;

fn member(id: &Str, shown: &Shown) -> String {
    match shown.get(id) {
        Some(name) => name.clone(),
        None if id.is_empty() => "nobody".to_owned(),
        None => id.to_string(),
    }
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn error(code: i16) -> String {
    match ErrorCode::from_code(code) {
        ErrorCode::None => "ok".to_owned(),
        error => error.name().to_owned(),
    }
}

pub(super) fn show_record(record: RecordRef<'_>, shown: &Shown) -> String {
    let mut key = Decoder::new(Bytes::copy_from_slice(record.key));
    let value = record.value.map(|value| {
        let mut fields = Decoder::new(Bytes::copy_from_slice(value));
        let version = fields.i16().unwrap();
        (fields, version)
    });
    let mut line = match key.i16().unwrap() {
        1 => {
            let key = OffsetCommitKey::decode(&mut key, 0).unwrap();
            let place = format!(
                "record offset {} {}:{}",
                key.group, key.topic, key.partition
            );
            match value {
                None => format!("{place} deleted"),
                Some((mut fields, version)) => {
                    let value = OffsetCommitValue::decode(&mut fields, version).unwrap();
                    format!(
                        "{place} = {} v{version} {:?}",
                        value.offset, &*value.metadata
                    )
                }
            }
        }
        2 => {
            let group = GroupMetadataKey::decode(&mut key, 0).unwrap().group;
            match value {
                None => format!("record group {group} deleted"),
                Some((mut fields, version)) => {
                    let value = GroupMetadataValue::decode(&mut fields, version).unwrap();
                    format!("record group {group} {}", show_group(&value, shown))
                }
            }
        }
        other => format!("record of type {other}"),
    };
    for (name, value) in record.headers.iter() {
        let (name, value) = (
            text(name),
            Str::from(value.as_ref().map_or_else(String::new, text)),
        );
        if name != "cw.host" {
            line.push_str(&format!(" {}={}", &name[3..], member(&value, shown)));
        }
    }
    line
}

fn show_group(value: &GroupMetadataValue, shown: &Shown) -> String {
    let leader = value.leader.clone().unwrap_or_default();
    let members: Vec<String> = value
        .members
        .iter()
        .map(|m| format!("{}={:?}", member(&m.member_id, shown), text(&m.assignment)))
        .collect();
    format!(
        "generation {} {:?} {:?} led by {} [{}]",
        value.generation,
        &*value.protocol_type,
        &*value.protocol.clone().unwrap_or_default(),
        member(&leader, shown),
        members.join(" ")
    )
}

pub(super) fn show_effect(
    effect: &Effect,
    now_ms: i64,
    asked: &BTreeMap<ReplyTo, String>,
    shown: &Shown,
) -> String {
    match effect {
        Effect::Reply { to, reply } => {
            let name = &asked[to];
            let dash = if name.is_empty() { "" } else { ": " };
            format!("{name}{dash}{}", show_reply(reply, shown))
        }
        Effect::SetTimer { key, at_ms } => {
            let wait = (at_ms - now_ms) as f64 / 1000.0;
            format!(
                "timer {} {} in {wait}s",
                key.group_id,
                show_kind(&key.kind, shown)
            )
        }
        Effect::CancelTimer { key } => {
            format!("no timer {} {}", key.group_id, show_kind(&key.kind, shown))
        }
        Effect::Notice(notice) => format!("notice {}", notice.what.name()),
    }
}

fn show_kind(kind: &TimerKind, shown: &Shown) -> String {
    match kind {
        TimerKind::Session(id) => format!("session {}", member(id, shown)),
        TimerKind::Join => "join".to_owned(),
        TimerKind::Sync => "sync".to_owned(),
        TimerKind::Revocation(id) => format!("revocation {}", member(id, shown)),
        TimerKind::MemberJoin(id) => format!("join {}", member(id, shown)),
        TimerKind::MemberSync(id) => format!("sync {}", member(id, shown)),
    }
}

fn show_reply(reply: &Reply, shown: &Shown) -> String {
    let failed = error_of(reply) != ErrorCode::None;
    match reply {
        Reply::MoveOffsets(moved) => format!("{moved:?}"),
        Reply::Tag(error) | Reply::Kick(error) => format!("{error:?}"),
        Reply::Roster(roster) => format!("{roster:?}"),
        Reply::Survey(survey) => format!("{survey:?}"),
        Reply::JoinGroup(r) if failed => {
            format!("{} as {}", error(r.error_code), member(&r.member_id, shown))
        }
        Reply::JoinGroup(r) => {
            let others: Vec<String> = r
                .members
                .iter()
                .map(|m| member(&m.member_id, shown))
                .collect();
            format!(
                "joined as {} generation {} {:?} led by {} [{}]{}",
                member(&r.member_id, shown),
                r.generation_id,
                &*r.protocol_name.clone().unwrap_or_default(),
                member(&r.leader, shown),
                others.join(" "),
                if r.skip_assignment {
                    " skip assignment"
                } else {
                    ""
                }
            )
        }
        Reply::SyncGroup(r) if failed => error(r.error_code),
        Reply::SyncGroup(r) => format!("assigned {:?}", text(&r.assignment)),
        Reply::TxnOffsetCommit(_) | Reply::EndTransaction(_) => error(error_of(reply).code()),
        Reply::Heartbeat(r) => error(r.error_code),
        Reply::LeaveGroup(r) => {
            let all: Vec<String> = r.members.iter().map(|m| error(m.error_code)).collect();
            format!("left {}", all.join(" "))
        }
        Reply::OffsetCommit(r) => {
            let all = r
                .topics
                .iter()
                .flat_map(|t| t.partitions.iter().map(move |p| (t, p)));
            let all: Vec<String> = all
                .map(|(t, p)| format!("{}:{} {}", t.name, p.partition_index, error(p.error_code)))
                .collect();
            format!("committed {}", all.join(", "))
        }
        Reply::OffsetFetch(r) => {
            let all = r
                .topics
                .iter()
                .flat_map(|t| t.partitions.iter().map(move |p| (t, p)));
            let all: Vec<String> = all
                .map(|(t, p)| format!("{}:{}={}", t.name, p.partition_index, p.committed_offset))
                .collect();
            format!("offsets [{}]", all.join(" "))
        }
        Reply::OffsetDelete(_) => {
            format!("offset delete {}", error(error_of(reply).code()))
        }
        Reply::DescribeGroup(group) => show_described(group, shown),
        Reply::ListGroups(groups) => {
            let all: Vec<String> = groups
                .iter()
                .map(|g| {
                    format!(
                        "{} {} {:?} {}",
                        g.group_id, g.group_state, &*g.protocol_type, g.group_type
                    )
                })
                .collect();
            format!("groups [{}]", all.join(", "))
        }
        Reply::DeleteGroup(r) => format!("delete {} {}", r.group_id, error(r.error_code)),
        Reply::ConsumerGroupHeartbeat(r) => format!("{r:?}"),
        Reply::ConsumerGroupDescribe(r) => format!("{r:?}"),
        Reply::ShareGroupHeartbeat(r) => format!("{r:?}"),
        Reply::ShareGroupDescribe(r) => format!("{r:?}"),
        Reply::EmptyShareGroup(r) => format!("{r:?}"),
        Reply::StreamsGroupHeartbeat { response, .. } => format!("{response:?}"),
        Reply::StreamsGroupDescribe(r) => format!("{r:?}"),
    }
}

fn show_described(group: &DescribedGroup, shown: &Shown) -> String {
    let members: Vec<String> = group
        .members
        .iter()
        .map(|m| {
            format!(
                "{}={:?}",
                member(&m.member_id, shown),
                text(&m.member_assignment)
            )
        })
        .collect();
    format!(
        "{} {} {:?} {:?} [{}] {}",
        group.group_id,
        group.group_state,
        &*group.protocol_type,
        &*group.protocol_data,
        members.join(" "),
        error(group.error_code)
    )
}
