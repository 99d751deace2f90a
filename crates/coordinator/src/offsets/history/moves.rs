//! What a record did to a bookmark, and whether somebody meant it.
//!
//! Our own records say why in their headers. Others are judged by what they do: a tombstone, or a step backwards, is
//! not what reading on does.

use std::hash::{DefaultHasher, Hash, Hasher};

use catchword_wire::batch::Record;

use crate::record::headers::{CAUSE, CLIENT, Cause, FROM};
use crate::record::is_offset_key;

/// What is remembered of a record until the next one of its key comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(super) timestamp_ms: i64,
    pub(super) what: What,
    cause: Why,
    /// Where the bookmark was, as the record says itself; `None` if it does not say so, or there was none.
    from: Option<i64>,
    /// Who: a hash of the client id, 0 if it is not known.
    client: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The bookmark was set to this offset.
    Set(i64),
    Removed,
    /// Not understood, or not about a bookmark.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// A member went on reading, or nobody says.
    ReadingOn,
    /// By somebody who is no member: an administrator, or a consumer that assigns itself its partitions.
    Standalone,
    /// Anything else that was given as a cause.
    Meant,
}

impl Seen {
    pub(crate) fn of(record: &Record) -> Seen {
        let is_bookmark = record.key.as_deref().is_some_and(is_offset_key);
        let what = match record.value.as_deref() {
            None => What::Removed,
            // Every version of the value begins with its version and the offset.
            Some(value) => match value.get(2..10).and_then(|bytes| bytes.try_into().ok()) {
                Some(bytes) if is_bookmark => What::Set(i64::from_be_bytes(bytes)),
                _ => What::Other,
            },
        };
        let header = |name: &str| {
            let found = record.headers.iter().find(|(key, _)| key == name);
            found.and_then(|(_, value)| value.as_deref())
        };
        let cause = match header(CAUSE) {
            None => Why::ReadingOn,
            Some(cause) if cause == Cause::Commit.name().as_bytes() => Why::ReadingOn,
            Some(cause) if cause == Cause::Transaction.name().as_bytes() => Why::ReadingOn,
            // A consumer that commits there.
            Some(cause) if cause == Cause::Zookeeper.name().as_bytes() => Why::ReadingOn,
            Some(cause) if cause == Cause::Standalone.name().as_bytes() => Why::Standalone,
            Some(cause) if cause == Cause::Assigned.name().as_bytes() => Why::Standalone,
            Some(_) => Why::Meant,
        };
        let client = header(CLIENT).map_or(0, |client| {
            let mut hasher = DefaultHasher::new();
            client.hash(&mut hasher);
            hasher.finish()
        });
        // The offset is what it begins with.
        let from = header(FROM).and_then(|from| {
            let digits = from.split(|byte| *byte == b' ').next()?;
            std::str::from_utf8(digits).ok()?.parse().ok()
        });
        Seen {
            timestamp_ms: record.timestamp,
            what,
            cause,
            from,
            client,
        }
    }

    /// Whether it is more than reading on, given the move of the same bookmark before it.
    pub(crate) fn is_administrative(&self, before: Option<&Seen>) -> bool {
        let goes_back = match (before.map(|before| before.what), self.what) {
            (Some(What::Set(before)), What::Set(offset)) => offset < before,
            (_, What::Removed) => true,
            _ => false,
        };
        goes_back
            || match self.cause {
                Why::ReadingOn => false,
                // A consumer without a group commits again and again; somebody else who sets its bookmark means it.
                // After a member's commit it is always somebody else, by whatever name: the group is empty.
                // Where the move before is gone, the record's own word must do: it has one only if somebody else came.
                Why::Standalone => match before {
                    Some(before) => before.client != self.client || before.cause == Why::ReadingOn,
                    None => self.from.is_some(),
                },
                Why::Meant => true,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn record(offset: Option<i64>, headers: &[(&'static str, &'static str)]) -> Seen {
        let value = offset.map(|offset| {
            let bytes = [&4i16.to_be_bytes()[..], &offset.to_be_bytes(), &[0; 14]].concat();
            Bytes::from(bytes)
        });
        let header = |(name, value): &(&'static str, &'static str)| {
            (
                Bytes::from_static(name.as_bytes()),
                Some(Bytes::from(*value)),
            )
        };
        Seen::of(&Record {
            offset: 0,
            timestamp: 1,
            key: Some(Bytes::from_static(&[
                0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 0,
            ])),
            value,
            headers: headers.iter().map(header).collect(),
        })
    }

    #[test]
    fn a_members_commits_are_reading_on_unless_they_go_back() {
        let by_member = |offset| record(Some(offset), &[("cw.client", "c"), ("cw.member", "m")]);
        assert!(!by_member(7).is_administrative(None));
        assert!(!by_member(7).is_administrative(Some(&by_member(7))));
        assert!(by_member(6).is_administrative(Some(&by_member(7))));
    }

    #[test]
    fn a_record_without_headers_is_judged_by_what_it_does() {
        let set = |offset| record(Some(offset), &[]);
        assert!(!set(8).is_administrative(Some(&set(7))));
        assert!(set(6).is_administrative(Some(&set(7))));
        assert!(record(None, &[]).is_administrative(Some(&set(7))));
        assert!(!set(1).is_administrative(Some(&record(None, &[]))));
    }

    #[test]
    fn whoever_sets_the_bookmark_of_a_consumer_that_is_no_member_means_it() {
        let by = |client| {
            record(
                Some(7),
                &[("cw.cause", "standalone"), ("cw.client", client)],
            )
        };
        assert!(!by("reader").is_administrative(None));
        assert!(!by("reader").is_administrative(Some(&by("reader"))));
        assert!(by("adminclient-1").is_administrative(Some(&by("reader"))));
        let member = record(Some(7), &[("cw.client", "c"), ("cw.member", "m")]);
        assert!(by("adminclient-1").is_administrative(Some(&member)));
    }

    #[test]
    fn every_other_cause_is_meant_known_or_not() {
        for cause in [
            "offset-delete",
            "group-delete",
            "expire",
            "topic-delete",
            "undo",
        ] {
            let set = record(Some(7), &[("cw.cause", cause)]);
            assert!(set.is_administrative(Some(&set)), "{cause}");
        }
        let commit = record(Some(7), &[("cw.cause", "commit")]);
        assert!(!commit.is_administrative(Some(&commit)));
    }
}
