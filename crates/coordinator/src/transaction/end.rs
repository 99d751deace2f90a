//! EndTxn, and how a transaction is ended from outside. From the decision on there is no way back.
//!
//! What an old client may repeat and what a new one may are different things: the epoch of the first stays as it is, so
//! that only the state tells whether its request came before; that of the second rises, and tells.

use catchword_wire::messages::{EndTxnRequest, EndTxnResponse};
use catchword_wire::{ErrorCode, Str};

use super::call::{EndOfTransaction, TransactionEffect, refused_end};
use super::state::{CLIENT_MANAGED, EPOCH_BUMP, NO_ID, Status, Transaction};
use super::{TransactionOutput, TransactionShard};
use crate::effect::ProducerEpoch;

/// What is to be done with a request that may be answered without an error.
enum Verdict {
    /// It came before, and was done.
    Done,
    Decide,
}

impl TransactionShard {
    pub(super) fn end_txn(
        &mut self,
        now_ms: i64,
        version: i16,
        request: &EndTxnRequest,
        out: &mut TransactionOutput,
    ) -> EndTxnResponse {
        match self.try_end(now_ms, version, request, out) {
            Ok(Some(producer)) => EndTxnResponse {
                producer_id: producer.id,
                producer_epoch: producer.epoch,
                ..EndTxnResponse::default()
            },
            Ok(None) => refused_end(ErrorCode::None),
            Err(error) => refused_end(error),
        }
    }

    /// The producer from now on, for a client whose epoch rises.
    fn try_end(
        &mut self,
        now_ms: i64,
        version: i16,
        request: &EndTxnRequest,
        out: &mut TransactionOutput,
    ) -> Result<Option<ProducerEpoch>, ErrorCode> {
        if request.transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let now = self
            .transactions
            .get(&request.transactional_id)
            .ok_or(ErrorCode::InvalidProducerIdMapping)?;
        let producer = ProducerEpoch {
            id: request.producer_id,
            epoch: request.producer_epoch,
        };
        let bumps = version >= EPOCH_BUMP;
        let verdict = if bumps {
            judge(now, producer, request.committed)?
        } else {
            judge_unbumped(now, producer, request.committed)?
        };
        let after = match verdict {
            Verdict::Done => now.producer(),
            Verdict::Decide => {
                let id = &request.transactional_id.detached();
                self.decide(id, request.committed, version, now_ms, out)?
            }
        };
        Ok(bumps.then_some(after))
    }

    /// Ends a transaction from outside: its producer is gone, or too slow. Its next request finds a larger epoch.
    pub(super) fn fence(
        &mut self,
        transactional_id: &Str,
        now_ms: i64,
        out: &mut TransactionOutput,
    ) -> Result<ProducerEpoch, ErrorCode> {
        self.decide(transactional_id, false, EPOCH_BUMP, now_ms, out)
    }

    /// Writes down how the transaction ends. Its markers follow.
    fn decide(
        &mut self,
        transactional_id: &Str,
        commit: bool,
        version: i16,
        now_ms: i64,
        out: &mut TransactionOutput,
    ) -> Result<ProducerEpoch, ErrorCode> {
        let now = self
            .transactions
            .get(transactional_id)
            .cloned()
            .ok_or(ErrorCode::InvalidProducerIdMapping)?;
        let needs_id = version > CLIENT_MANAGED && now.is_exhausted();
        let next_id = match needs_id {
            true => self.take_producer_id(out)?,
            false => NO_ID,
        };
        let next = now.decided(commit, version, next_id, now_ms);
        let (after, end) = (next.after_end(), next.end(transactional_id));
        self.put(transactional_id.clone(), next, out);
        out.effects.push(TransactionEffect::WriteMarkers(end));
        Ok(after)
    }

    /// What has to be written before the transactional id can go on.
    pub fn wanted_end(&self, transactional_id: &Str) -> Option<EndOfTransaction> {
        let now = self.transactions.get(transactional_id)?;
        let is_prepared = now.status.is_prepared();
        is_prepared.then(|| now.end(transactional_id))
    }

    /// The markers of the transaction that this producer had are durable in every partition.
    pub fn markers_written(
        &mut self,
        now_ms: i64,
        transactional_id: &Str,
        producer: ProducerEpoch,
        out: &mut TransactionOutput,
    ) {
        if let Some(now) = self.transactions.get(transactional_id)
            && now.status.is_prepared()
            && now.producer() == producer
        {
            let next = now.completed(now_ms);
            self.put(transactional_id.clone(), next, out);
        }
    }
}

fn judge_unbumped(
    now: &Transaction,
    producer: ProducerEpoch,
    commit: bool,
) -> Result<Verdict, ErrorCode> {
    if now.producer_id != producer.id {
        return Err(ErrorCode::InvalidProducerIdMapping);
    }
    if now.epoch != producer.epoch {
        return Err(ErrorCode::ProducerFenced);
    }
    match (now.status, commit) {
        (Status::Ongoing, _) => Ok(Verdict::Decide),
        (Status::CompleteCommit, true) | (Status::CompleteAbort, false) => Ok(Verdict::Done),
        (Status::PrepareCommit, true) | (Status::PrepareAbort, false) => {
            Err(ErrorCode::ConcurrentTransactions)
        }
        _ => Err(ErrorCode::InvalidTxnState),
    }
}

fn judge(now: &Transaction, producer: ProducerEpoch, commit: bool) -> Result<Verdict, ErrorCode> {
    let got_new_id =
        now.previous_producer_id == producer.id && producer.epoch == i16::MAX - 1 && now.epoch == 0;
    let got_next_epoch = producer.epoch.checked_add(1) == Some(now.epoch);
    let is_retry = got_next_epoch || got_new_id;
    if now.producer_id != producer.id && !got_new_id {
        return Err(ErrorCode::InvalidProducerIdMapping);
    }
    let is_current = producer.epoch == now.epoch;
    let is_valid = match now.status {
        Status::Ongoing | Status::Empty => is_current,
        Status::PrepareCommit | Status::PrepareAbort => got_next_epoch,
        Status::CompleteCommit | Status::CompleteAbort => is_retry || is_current,
    };
    if !is_valid {
        return Err(ErrorCode::ProducerFenced);
    }
    match (now.status, commit) {
        (Status::Ongoing, _) | (Status::Empty, false) => Ok(Verdict::Decide),
        (Status::CompleteCommit, true) | (Status::CompleteAbort, false) if is_retry => {
            Ok(Verdict::Done)
        }
        // A client that does not know whether anything was written may abort all the same.
        (Status::CompleteCommit | Status::CompleteAbort, false) if !is_retry => Ok(Verdict::Decide),
        (Status::PrepareCommit, true) | (Status::PrepareAbort, false) => {
            Err(ErrorCode::ConcurrentTransactions)
        }
        _ => Err(ErrorCode::InvalidTxnState),
    }
}
