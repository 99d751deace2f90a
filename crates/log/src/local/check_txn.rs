//! The indexes of aborted transactions held against the log's markers: part of the check of a stopped directory.

use std::collections::BTreeSet;
use std::path::Path;

use catchword_wire::batch::{Batch, ControlRecord, records};

use super::check::{Check, Severity};
use super::repair::Mend;
use super::{names, txn_index};
use crate::producer_state::{Entering, Producers};
use crate::{AbortedTransaction, LogError};

/// The transactions of a partition, as its batches pass by.
#[derive(Debug, Default)]
pub(super) struct Walked {
    producers: Producers,
    /// Those that were aborted and have batches still.
    pub(super) aborted: Vec<AbortedTransaction>,
    /// The offsets of all markers of an abort.
    markers: BTreeSet<i64>,
}

impl Walked {
    pub(super) fn pass(&mut self, batch: &Batch) {
        let header = &batch.header;
        if !header.has_producer_id() {
            return;
        }
        let mut marker = None;
        if header.is_control() {
            let first = records(batch).ok().and_then(|mut found| found.next()?.ok());
            marker = first.as_ref().and_then(ControlRecord::parse);
            if let Some(ControlRecord::Abort { .. }) = marker {
                self.markers.insert(header.base_offset);
            }
        }
        self.aborted.extend(self.producers.replay(&Entering {
            header,
            base_offset: header.base_offset,
            marker,
        }));
    }
}

impl Check<'_> {
    /// Compares the indexes with what passed by. Nothing is said of what the next start finds by itself, from
    /// `known_below` on.
    pub(super) fn txn_indexes(
        &mut self,
        dir: &Path,
        bases: &[i64],
        known_below: i64,
        walked: &Walked,
    ) -> Result<(), LogError> {
        for (at, base) in bases.iter().enumerate().filter(|(_, b)| **b < known_below) {
            let next = bases.get(at + 1).copied().unwrap_or(i64::MAX);
            let (entries, wrong) = txn_index::read(dir, *base, next)?;
            let path = dir.join(names::file_name(*base, names::TXN_INDEX));
            if let Some(wrong) = wrong {
                let what = format!("the index of aborted transactions is damaged: {wrong}");
                let advice = "the next start builds it from the log";
                let mend = Some(Mend::RebuildTxnIndexes);
                self.find(Severity::Mends, &path, what, advice, mend);
                continue;
            }
            let known = |aborted: &AbortedTransaction| {
                let same = |entry: &&AbortedTransaction| {
                    entry.last_offset == aborted.last_offset
                        && entry.producer_id == aborted.producer_id
                        && entry.first_offset <= aborted.first_offset
                };
                entries.iter().any(|entry| same(&entry))
            };
            let end = next.min(known_below);
            let mut here = walked.aborted.iter();
            let missing = here.find(|one| (*base..end).contains(&one.last_offset) && !known(one));
            let mut there = entries.iter();
            let unfounded = there.find(|one| !walked.markers.contains(&one.last_offset));
            let what = match (missing, unfounded) {
                (Some(one), _) => format!(
                    "the transaction of producer {} that was aborted at offset {} is missing: readers of committed records see its records",
                    one.producer_id, one.last_offset
                ),
                (None, Some(one)) => format!(
                    "there is no marker at offset {} that aborts a transaction: readers of committed records may miss some",
                    one.last_offset
                ),
                (None, None) => continue,
            };
            let advice = "`--repair` builds the index from the log";
            let mend = Some(Mend::RebuildTxnIndexes);
            self.find(Severity::Damage, &path, what, advice, mend);
        }
        Ok(())
    }
}
