//! The headers of a record: who moved the bookmark, and why.
//!
//! Kafka's own tools don't look at them; Catchword's history is made of them. Values are UTF-8 text. A header is left
//! out where there is nothing to say, which is what keeps a commit small.
//!
//! Persisted: never reuse a name, never change what a value means.

use bytes::Bytes;
use catchword_wire::Str;
use catchword_wire::batch::Header;

use crate::call::Client;
use crate::effect::Headers;

/// Why the bookmark moved: a [`Cause`]'s name. Left out for [`Cause::Commit`].
pub const CAUSE: &str = "cw.cause";
/// The client id that the request gave.
pub const CLIENT: &str = "cw.client";
/// Where the client connected from, such as `/127.0.0.1`.
pub const HOST: &str = "cw.host";
/// The member id that the request gave.
pub const MEMBER: &str = "cw.member";
/// The authenticated principal, such as `User:alice`. Left out for an anonymous client.
pub const PRINCIPAL: &str = "cw.principal";

/// Where the bookmark was before, on every record that is more than reading on; see `record/origin.rs`.
pub const FROM: &str = "cw.from";
/// In snapshots alone: a [`Reader`] in hexadecimal digits.
pub const READER: &str = "cw.reader";
/// On every record of a move that was made while the group was read: until when, ms since 1970, nobody commits to the group
/// who is no member of it.
pub const BARRED_UNTIL: &str = "cw.barred.until";

/// The change that was undone, as a [`ChangeId`](crate::ledger::ChangeId) is written.
pub const OF: &str = "cw.of";

/// Why a bookmark moved or a group's record was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// A member of the group committed.
    Commit,
    /// Someone committed who is not a member, while the group was empty: an administrator's reset, or a consumer that
    /// assigns itself its partitions. The protocol does not tell the two apart; the client id often does.
    Standalone,
    /// A consumer that assigns itself its partitions read on: the same client as before, and not backwards.
    Assigned,
    /// A commit that was part of a transaction, which was committed (TxnOffsetCommit).
    Transaction,
    /// An administrator deleted offsets of the group (OffsetDelete).
    OffsetDelete,
    /// An administrator deleted the group.
    GroupDelete,
    /// Nobody read or committed for the retention time.
    Expire,
    /// The topic was deleted.
    TopicDelete,
    /// A change was taken back.
    Undo,
    /// What had been deleted or had expired was put back, or all put where it was at some time or tag.
    Restore,
    /// A tag was made or removed.
    Tag,
    /// Somebody put the bookmarks elsewhere through our own API, with the group's members reading or without.
    Reset,
    /// Somebody wrote it into ZooKeeper, and it was taken over from there.
    Zookeeper,
    /// The group changed: its members, its generation, or that it is empty.
    Rebalance,
}

impl Cause {
    /// The name in the header.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Commit => "commit",
            Cause::Standalone => "standalone",
            Cause::Assigned => "assigned",
            Cause::Transaction => "transaction",
            Cause::OffsetDelete => "offset-delete",
            Cause::GroupDelete => "group-delete",
            Cause::Expire => "expire",
            Cause::TopicDelete => "topic-delete",
            Cause::Undo => "undo",
            Cause::Restore => "restore",
            Cause::Tag => "tag",
            Cause::Reset => "reset",
            Cause::Zookeeper => "zookeeper",
            Cause::Rebalance => "rebalance",
        }
    }
}

/// The consumer without a group that a bookmark is read by, as far as that is known: 32 bits of a hash of its client id.
///
/// It tells whether who commits next is the same one, and with it whether that is reading on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reader(u32);

impl Reader {
    /// Nobody, a member of a group, or somebody of whom the record does not tell.
    pub const UNKNOWN: Reader = Reader(0);

    /// By a client id. Persisted in snapshots: FNV-1a, and never 0.
    pub fn of(client_id: &[u8]) -> Reader {
        let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        Reader(client_id.iter().fold(0x811c_9dc5, step).max(1))
    }

    /// As a record's headers tell, given how to look one up.
    fn told<'a>(header: impl Fn(&str) -> Option<&'a [u8]>) -> Reader {
        let Some(cause) = header(CAUSE) else {
            return Reader::UNKNOWN;
        };
        let is = |one: Cause| cause == one.name().as_bytes();
        if !is(Cause::Standalone) && !is(Cause::Assigned) {
            return Reader::UNKNOWN;
        }
        match header(READER).map(std::str::from_utf8) {
            Some(Ok(digits)) => Reader(u32::from_str_radix(digits, 16).unwrap_or_default()),
            _ => Reader::of(header(CLIENT).unwrap_or_default()),
        }
    }

    /// Headers from which [`told`](Reader::told) makes it again; none of [`UNKNOWN`](Reader::UNKNOWN).
    fn headers(self) -> Headers {
        if self == Reader::UNKNOWN {
            return Headers::default();
        }
        with(&because(Cause::Assigned), READER, format!("{:x}", self.0))
    }
}

/// What of a record's headers is state; the rest is history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Who reads here without a group.
    pub reader: Reader,
    /// Until when the group is barred to whoever is no member, ms since 1970; see [`BARRED_UNTIL`].
    pub barred_until_ms: Option<i64>,
}

impl Told {
    /// As a record's headers tell, given how to look one up.
    pub fn by<'a>(header: impl Fn(&str) -> Option<&'a [u8]>) -> Told {
        // What most commits carry says nothing of either.
        if header(CAUSE).is_none() {
            return Told::default();
        }
        let until = header(BARRED_UNTIL).and_then(|text| std::str::from_utf8(text).ok());
        Told {
            barred_until_ms: until.and_then(|text| text.parse().ok()),
            reader: Reader::told(header),
        }
    }

    /// Headers from which [`by`](Told::by) makes it again; none where there is nothing to tell.
    pub(crate) fn headers(self) -> Headers {
        let reader = self.reader.headers();
        let Some(until_ms) = self.barred_until_ms else {
            return reader;
        };
        let reader = match reader.is_empty() {
            true => because(Cause::Reset),
            false => reader,
        };
        with(&reader, BARRED_UNTIL, until_ms.to_string())
    }
}

/// Headers that say only why.
pub fn because(cause: Cause) -> Headers {
    Headers::from([(bytes(CAUSE), Some(bytes(cause.name())))])
}

/// Headers that say why and who; made once for all records of a request.
pub fn by(cause: Cause, client: &Client, member_id: &Str) -> Headers {
    let mut headers = Vec::with_capacity(5);
    if cause != Cause::Commit {
        headers.push((bytes(CAUSE), Some(bytes(cause.name()))));
    }
    let said = [
        (CLIENT, &client.client_id),
        (HOST, &client.client_host),
        (MEMBER, member_id),
        (PRINCIPAL, &client.principal),
    ];
    for (name, text) in said {
        if !text.is_empty() {
            headers.push((bytes(name), Some(text.clone().into_bytes())));
        }
    }
    Headers::from(headers)
}

/// Whether two records' headers say the same of who and why, wherever the bookmarks came from: then they are of one request
/// if they stand side by side.
pub fn are_of_one_request(a: &[Header], b: &[Header]) -> bool {
    let said = |headers: &'_ [Header]| headers.iter().filter(|(name, _)| name != FROM).count();
    let has = |header: &Header| header.0 == FROM || b.contains(header);
    said(a) == said(b) && a.iter().all(has)
}

/// The same headers and one more.
pub fn with(headers: &Headers, name: &'static str, text: String) -> Headers {
    let more = (bytes(name), Some(Bytes::from(text)));
    headers.iter().cloned().chain([more]).collect()
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(headers: &Headers) -> Vec<String> {
        headers
            .iter()
            .map(|(k, v)| {
                format!(
                    "{}={}",
                    lossy(k),
                    v.as_ref().map_or_else(String::new, lossy)
                )
            })
            .collect()
    }

    fn lossy(bytes: &Bytes) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn a_members_commit_says_who_and_leaves_out_what_goes_without_saying() {
        let client = Client {
            client_id: "c1".into(),
            client_host: "/10.0.0.7".into(),
            principal: Str::EMPTY,
        };
        let headers = by(Cause::Commit, &client, &"m1".into());
        assert_eq!(
            text(&headers),
            ["cw.client=c1", "cw.host=/10.0.0.7", "cw.member=m1"]
        );
        let headers = by(Cause::Standalone, &client, &Str::EMPTY);
        assert_eq!(
            text(&headers),
            ["cw.cause=standalone", "cw.client=c1", "cw.host=/10.0.0.7"]
        );
        assert_eq!(text(&because(Cause::Expire)), ["cw.cause=expire"]);
    }
}
