//! Requests of every kind of group to groups of every kind, with a member and without: a table of each.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use catchword_wire::{ErrorCode, Str};

use super::ground::Ground;
use super::{Answers, asked_wrongly, groups, share_groups, streams_groups};
use crate::harness::Cluster;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Classic,
    Consumer,
    Share,
    Streams,
}

/// The columns of the tables.
const KINDS: [Kind; 4] = [Kind::Classic, Kind::Consumer, Kind::Share, Kind::Streams];

type Row = (&'static str, [ErrorCode; 4]);

/// Everybody who asks something of the same group.
struct Askers {
    any: groups::Asker,
    share: share_groups::Asker,
    streams: streams_groups::Asker,
    about: asked_wrongly::Asker,
    kind: Kind,
    member: Str,
}

const MEMBER: &str = "m";
const OTHER: &str = "n";

impl Askers {
    /// Of a new group of this kind, with a member.
    fn new(cluster: &Cluster, ground: &Ground, kind: Kind) -> Askers {
        let group = Str::from(cluster.name(&format!("{kind:?}")));
        let client = || ground.of_group(cluster, &group);
        let mut askers = Askers {
            any: groups::Asker(client()),
            share: share_groups::Asker(client()),
            streams: streams_groups::Asker(client()),
            about: asked_wrongly::Asker(client()),
            kind,
            member: MEMBER.into(),
        };
        let joined = match kind {
            Kind::Classic => {
                askers.member = askers.any.join(&Str::EMPTY, "consumer").1;
                let (_, _, generation) = askers.any.join(&askers.member, "consumer");
                askers.any.sync(&askers.member, generation)
            }
            _ => askers.beat(0),
        };
        assert_eq!(joined, ErrorCode::None, "{kind:?}");
        askers
    }

    /// The member's heartbeat, or what it says when it leaves.
    fn beat(&mut self, epoch: i32) -> ErrorCode {
        match self.kind {
            Kind::Classic => self.any.leave(&self.member),
            Kind::Consumer => self.any.heartbeat(&self.member, epoch).0,
            Kind::Share => self.share.beat(MEMBER, epoch),
            Kind::Streams => self.streams.beat(MEMBER, epoch),
        }
    }

    fn ask(&mut self) -> Answers {
        let (nobody, other) = (Str::EMPTY, Str::from(OTHER));
        vec![
            ("describe as classic", self.about.describe(6)),
            ("describe as consumers", self.about.describe_consumers()),
            ("describe as a share group", self.share.describe()),
            ("describe as streams", self.streams.describe()),
            ("places", self.any.fetch(None, -1)),
            ("places, as a member", self.any.fetch(Some(&other), 1)),
            ("commit", self.any.commit(9, &nobody, -1)),
            ("commit as a member", self.any.commit(9, &other, 1)),
            ("forget places", self.any.delete_offsets()),
            ("a classic heartbeat", self.any.beat(&other, 1)),
            ("a later one of a consumer", self.any.heartbeat(&other, 1).0),
            ("a later one of a sharer", self.share.beat(OTHER, 1)),
            ("a later one of a stream", self.streams.beat(OTHER, 1)),
            ("a sharer joins", self.share.beat(OTHER, 0)),
            ("a stream joins", self.streams.beat(OTHER, 0)),
            (
                "a classic member joins",
                self.any.join(&nobody, "consumer").0,
            ),
            ("a consumer joins", self.any.heartbeat(&other, 0).0),
            ("delete", self.any.0.delete()),
        ]
    }
}

/// The table of what is answered; all that differs, at once.
#[track_caller]
fn answers_are(mut groups: [Askers; 4], wanted: &[Row]) {
    let mut differ = Vec::new();
    for (column, group) in groups.iter_mut().enumerate() {
        let answers = group.ask();
        assert_eq!(answers.len(), wanted.len());
        for ((what, found), (named, row)) in answers.iter().zip(wanted) {
            assert_eq!(what, named);
            if *found != row[column] {
                differ.push((*what, group.kind, *found));
            }
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
}

const FINE: ErrorCode = ErrorCode::None;
const NO_GROUP: ErrorCode = ErrorCode::GroupIdNotFound;
const NOT_EMPTY: ErrorCode = ErrorCode::NonEmptyGroup;
const STRANGER: ErrorCode = ErrorCode::UnknownMemberId;
const MISFIT: ErrorCode = ErrorCode::InconsistentGroupProtocol;
/// It may join, and is given its id.
const WELCOME: ErrorCode = ErrorCode::MemberIdRequired;

#[test]
fn groups_with_a_member_answer_other_kinds_as_kafka_s_do() {
    let cluster = Cluster::any("kinds");
    let ground = Ground::new(&cluster, 6);
    #[rustfmt::skip]
    let wanted = [
        //                             classic    consumer   share      streams
        ("describe as classic",       [FINE,      NO_GROUP,  NO_GROUP,  NO_GROUP]),
        ("describe as consumers",     [NO_GROUP,  FINE,      NO_GROUP,  NO_GROUP]),
        ("describe as a share group", [NO_GROUP,  NO_GROUP,  FINE,      NO_GROUP]),
        ("describe as streams",       [NO_GROUP,  NO_GROUP,  NO_GROUP,  FINE]),
        ("places",                    [FINE,      FINE,      FINE,      FINE]),
        ("places, as a member",       [FINE,      STRANGER,  FINE,      STRANGER]),
        ("commit",                    [STRANGER,  STRANGER,  NO_GROUP,  STRANGER]),
        ("commit as a member",        [STRANGER,  STRANGER,  NO_GROUP,  STRANGER]),
        ("forget places",             [FINE,      FINE,      NO_GROUP,  FINE]),
        ("a classic heartbeat",       [STRANGER,  STRANGER,  STRANGER,  STRANGER]),
        ("a later one of a consumer", [NO_GROUP,  STRANGER,  NO_GROUP,  NO_GROUP]),
        ("a later one of a sharer",   [NO_GROUP,  NO_GROUP,  STRANGER,  NO_GROUP]),
        ("a later one of a stream",   [NO_GROUP,  NO_GROUP,  NO_GROUP,  STRANGER]),
        ("a sharer joins",            [NO_GROUP,  NO_GROUP,  FINE,      NO_GROUP]),
        ("a stream joins",            [NO_GROUP,  NO_GROUP,  NO_GROUP,  FINE]),
        ("a classic member joins",    [WELCOME,   WELCOME,   MISFIT,    MISFIT]),
        ("a consumer joins",          [NO_GROUP,  FINE,      NO_GROUP,  NO_GROUP]),
        ("delete",                    [NOT_EMPTY, NOT_EMPTY, NOT_EMPTY, NOT_EMPTY]),
    ];
    answers_are(
        KINDS.map(|kind| Askers::new(&cluster, &ground, kind)),
        &wanted,
    );
}

#[test]
fn empty_groups_answer_other_kinds_as_kafka_s_do() {
    let cluster = Cluster::any("kinds-empty");
    let ground = Ground::new(&cluster, 6);
    let emptied = |kind| {
        let mut group = Askers::new(&cluster, &ground, kind);
        assert_eq!(group.beat(-1), ErrorCode::None, "{kind:?}");
        group
    };
    // The empty classic group becomes one of the streams that join it.
    #[rustfmt::skip]
    let wanted = [
        //                             classic    consumer   share      streams
        ("describe as classic",       [FINE,      NO_GROUP,  NO_GROUP,  NO_GROUP]),
        ("describe as consumers",     [NO_GROUP,  FINE,      NO_GROUP,  NO_GROUP]),
        ("describe as a share group", [NO_GROUP,  NO_GROUP,  FINE,      NO_GROUP]),
        ("describe as streams",       [NO_GROUP,  NO_GROUP,  NO_GROUP,  FINE]),
        ("places",                    [FINE,      FINE,      FINE,      FINE]),
        ("places, as a member",       [FINE,      STRANGER,  FINE,      STRANGER]),
        ("commit",                    [FINE,      FINE,      NO_GROUP,  FINE]),
        ("commit as a member",        [STRANGER,  STRANGER,  NO_GROUP,  STRANGER]),
        ("forget places",             [FINE,      FINE,      NO_GROUP,  FINE]),
        ("a classic heartbeat",       [STRANGER,  STRANGER,  STRANGER,  STRANGER]),
        ("a later one of a consumer", [NO_GROUP,  STRANGER,  NO_GROUP,  NO_GROUP]),
        ("a later one of a sharer",   [NO_GROUP,  NO_GROUP,  STRANGER,  NO_GROUP]),
        ("a later one of a stream",   [NO_GROUP,  NO_GROUP,  NO_GROUP,  STRANGER]),
        ("a sharer joins",            [NO_GROUP,  NO_GROUP,  FINE,      NO_GROUP]),
        ("a stream joins",            [FINE,      NO_GROUP,  NO_GROUP,  FINE]),
        ("a classic member joins",    [MISFIT,    WELCOME,   MISFIT,    MISFIT]),
        ("a consumer joins",          [NO_GROUP,  FINE,      NO_GROUP,  NO_GROUP]),
        ("delete",                    [NOT_EMPTY, NOT_EMPTY, NOT_EMPTY, NOT_EMPTY]),
    ];
    answers_are(KINDS.map(emptied), &wanted);
}
