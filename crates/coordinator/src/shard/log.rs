//! The shard and its log: state out of records, on load and when it ends.

use bytes::Bytes;
use catchword_wire::batch::HeadersView;
use catchword_wire::{ErrorCode, Str, Uuid};

use super::GroupShard;
use crate::effect::{Headers, Output, ProducerEpoch};
use crate::group::{
    ClassicGroup, ConsumerGroup, Group, GroupKind, Scope, ShareGroup, StreamsGroup,
};
use crate::offsets::Bookmark;
use crate::record::consumer::Writer;
use crate::record::headers::Told;
use crate::record::writer::RecordWriter;
use crate::record::{self, Record, ReplayError, quick};
use crate::records::{RecordRef, Records};

impl GroupShard {
    /// Applies a record of the log, on load.
    ///
    /// # Errors
    /// When the record is not understood. [`ReplayError::UnknownKeyType`] is to be logged and skipped, as Kafka does;
    /// the other errors mean a damaged log. The state is as before.
    pub fn replay(
        &mut self,
        _record_timestamp_ms: i64,
        key: &[u8],
        value: Option<&[u8]>,
        headers: &[catchword_wire::batch::Header],
    ) -> Result<(), ReplayError> {
        let told = Told::by(|name| HeadersView::Taken(headers).get(name));
        self.replay_told(key, value, told)
    }

    /// As [`replay`](GroupShard::replay), for whoever has looked up what is state in the headers.
    ///
    /// # Errors
    /// The same.
    pub fn replay_told(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        told: Told,
    ) -> Result<(), ReplayError> {
        let Told {
            reader,
            barred_until_ms,
        } = told;
        if let Some(until_ms) = barred_until_ms
            && let Some(key) = quick::offset_key(key)
        {
            self.bar(key.group_id, until_ms);
        }
        if let Some(key) = quick::offset_key(key)
            && let Some(bookmark) = value.and_then(quick::bookmark)
        {
            let group = self.group_or_new(key.group_id);
            let bookmark = bookmark.read_by(reader);
            group.offsets.put(key.topic, key.partition, bookmark);
            if !self.pending.is_empty() {
                let key = (Str::copy(key.group_id), Str::copy(key.topic), key.partition);
                self.pending.overtake(&key);
            }
            return Ok(());
        }
        match record::decode(key, value)? {
            Record::Offset {
                group_id,
                topic,
                partition,
                value: Some(value),
            } => {
                // The group of a consumer that only commits has no record of its own.
                let group = self.group_or_new(&group_id);
                group.offsets.put(
                    &topic,
                    partition,
                    Bookmark::from_record(value).read_by(reader),
                );
                self.pending.overtake(&(group_id, topic, partition));
            }
            Record::Offset {
                group_id,
                topic,
                partition,
                value: None,
            } => {
                if let Some(group) = self.groups.get_mut(&group_id) {
                    group.offsets.remove(&topic, partition);
                }
                self.pending.forget(&(group_id, topic, partition));
            }
            Record::Group {
                group_id,
                value: Some(metadata),
            } => {
                let recorded = Bytes::copy_from_slice(value.unwrap_or_default());
                let classic = ClassicGroup::load(group_id.detached(), metadata, recorded)?;
                let group = self.group_or_new(&group_id);
                group.kind = GroupKind::Classic(Box::new(classic));
            }
            Record::Group {
                group_id,
                value: None,
            } => {
                // A group that has changed its kind is not meant any more.
                let kind = self.groups.get(&group_id).map(|group| &group.kind);
                if matches!(kind, Some(GroupKind::Simple | GroupKind::Classic(_))) {
                    self.unmake(&group_id);
                }
            }
            Record::Consumer(record) => {
                self.replay_kept::<ConsumerGroup>(&record.group_id, record.change);
            }
            Record::Share(record) => {
                self.replay_kept::<ShareGroup>(&record.group_id, record.change);
            }
            Record::Streams(record) => {
                self.replay_kept::<StreamsGroup>(&record.group_id, record.change);
            }
            Record::Tag => {}
        }
        Ok(())
    }

    /// Applies a record that is part of a producer's transaction, on load: it counts when the transaction is committed.
    ///
    /// # Errors
    /// As [`replay`](GroupShard::replay) has.
    pub fn replay_in_transaction(
        &mut self,
        producer: ProducerEpoch,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ReplayError> {
        // Nothing but offsets is written in transactions.
        if let Record::Offset {
            group_id,
            topic,
            partition,
            value: Some(value),
        } = record::decode(key, value)?
        {
            let key = (group_id.detached(), topic.detached(), partition);
            self.put_pending(producer, key, Bookmark::from_record(value));
        }
        Ok(())
    }

    /// A group's own record is gone. Tombstones of its offsets, if it had any, stand before or after that one.
    pub(super) fn unmake(&mut self, group_id: &Str) {
        let waits = self.pending.has_group(group_id);
        let keeps = |group: &Group| waits || !group.offsets.is_empty();
        match self.groups.get_mut(group_id) {
            Some(group) if keeps(group) => group.kind = GroupKind::Simple,
            _ => drop(self.groups.remove(group_id)),
        }
    }

    /// The log has been read to its end: members found in it are given a session from now on.
    pub fn loaded(&mut self, now_ms: i64, out: &mut Output) {
        for group in self.groups.values_mut().filter_map(Group::classic_mut) {
            group.loaded(&mut Scope {
                now_ms,
                config: &self.config,
                out,
            });
        }
        self.kept_loaded::<ConsumerGroup>(now_ms, out);
        self.kept_loaded::<ShareGroup>(now_ms, out);
        self.kept_loaded::<StreamsGroup>(now_ms, out);
    }

    /// Answers everyone who waits with `error`, because this shard moves away, stops, or could not store its records.
    /// The shard is to be dropped afterwards.
    pub fn unload(&mut self, error: ErrorCode, out: &mut Output) {
        for group in self.groups.values_mut().filter_map(Group::classic_mut) {
            group.refuse_everyone(error, out);
        }
    }

    /// The records that make this state, and nothing that they replace: replayed into a new shard they give the same.
    /// Of the headers they have only what is [`Told`]; the others are history and not state.
    pub fn dump_records(&self) -> Records {
        let mut out = Output::default();
        let headers = Headers::default();
        for group in self.groups.values() {
            if let Some(recorded) = group.recorded() {
                out.records.push(RecordRef {
                    key: &record::group_metadata_key(&group.id),
                    value: Some(recorded),
                    headers: &headers,
                });
            }
            if let Some(consumer) = group.consumer() {
                consumer.write(&mut Writer(RecordWriter {
                    group_id: &group.id,
                    headers: headers.clone(),
                    out: &mut out,
                }));
            }
            if let Some(share) = group.share() {
                share.write(headers.clone(), &mut out);
            }
            if let Some(streams) = group.streams() {
                streams.write(headers.clone(), &mut out);
            }
            let barred_until_ms = self.reseated.get(&group.id).copied();
            for (topic, bookmarks) in group.offsets.topics() {
                for (partition, bookmark) in bookmarks {
                    let id = &group.id;
                    let told = Told {
                        reader: bookmark.reader,
                        barred_until_ms,
                    };
                    let headers = told.headers();
                    record::offset_commit(id, topic, *partition, bookmark, &headers, &mut out);
                }
            }
        }
        out.records
    }

    /// As [`dump_records`](GroupShard::dump_records), with what a replay leaves besides: a group without a record of its
    /// own that has lost all its bookmarks is there until the next [`expire_offsets`](GroupShard::expire_offsets). It is
    /// made by a bookmark that is set and taken away again.
    pub fn snapshot_records(&self) -> Records {
        let mut out = Output::default();
        let headers = Headers::default();
        let nowhere = Bookmark::new(0, -1, 0, Uuid::ZERO, Str::EMPTY, None);
        for group in self.groups.values() {
            if !group.is_recorded() && group.offsets.is_empty() {
                record::offset_commit(&group.id, "", 0, &nowhere, &headers, &mut out);
                record::offset_tombstone(&group.id, "", 0, &headers, &mut out);
            }
        }
        let mut records = self.dump_records();
        records.append(&mut out.records);
        records
    }
}
