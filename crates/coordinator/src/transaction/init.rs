//! InitProducerId with a transactional id: a new life of its producer, which fences the one before.

use catchword_wire::ErrorCode;
use catchword_wire::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::call::{InitCall, refused_init};
use super::state::{Status, Transaction};
use super::{TransactionOutput, TransactionShard};
use crate::effect::ProducerEpoch;
use crate::group::fits_record;

impl TransactionShard {
    pub(super) fn init_producer_id(
        &mut self,
        now_ms: i64,
        call: InitCall,
        out: &mut TransactionOutput,
    ) -> InitProducerIdResponse {
        match self.try_init(now_ms, call, out) {
            Ok(producer) => InitProducerIdResponse {
                producer_id: producer.id,
                producer_epoch: producer.epoch,
                ..InitProducerIdResponse::default()
            },
            Err(error) => refused_init(error),
        }
    }

    fn try_init(
        &mut self,
        now_ms: i64,
        InitCall { request, spare_id }: InitCall,
        out: &mut TransactionOutput,
    ) -> Result<ProducerEpoch, ErrorCode> {
        let expected = self.validate_init(&request)?;
        let transactional_id = request.transactional_id.unwrap_or_default().detached();
        let timeout_ms = request.transaction_timeout_ms;
        let known = self.transactions.get(&transactional_id);
        let made = known.is_none();
        let now = known
            .cloned()
            .unwrap_or_else(|| Transaction::new(spare_id, timeout_ms));
        if expected.is_some_and(|expected| !now.knows(expected)) {
            return Err(ErrorCode::ProducerFenced);
        }
        let may_rotate = expected.is_none_or(|expected| expected.epoch == now.epoch);
        let next = match now.status {
            Status::PrepareCommit | Status::PrepareAbort => {
                return Err(ErrorCode::ConcurrentTransactions);
            }
            Status::Ongoing => {
                // The epoch that fences is never told: the client comes again and gets the one after it.
                self.give_producer_id(spare_id);
                self.fence(&transactional_id, now_ms, out)?;
                return Err(ErrorCode::ConcurrentTransactions);
            }
            _ if now.is_exhausted() && may_rotate => {
                now.with_new_id(spare_id, timeout_ms, expected.is_some(), now_ms)
            }
            _ => {
                let next = now.with_next_epoch(
                    timeout_ms,
                    expected.map(|expected| expected.epoch),
                    now_ms,
                )?;
                if !made {
                    self.give_producer_id(spare_id);
                }
                next
            }
        };
        let producer = next.producer();
        self.put(transactional_id, next, out);
        Ok(producer)
    }

    /// What can be checked without the transaction; gives the producer that is said to go on, if one is.
    fn validate_init(
        &self,
        request: &InitProducerIdRequest,
    ) -> Result<Option<ProducerEpoch>, ErrorCode> {
        let expected = match (request.producer_id, request.producer_epoch) {
            (-1, -1) => None,
            (-1, _) | (_, -1) => return Err(ErrorCode::InvalidRequest),
            (id, epoch) => Some(ProducerEpoch { id, epoch }),
        };
        let transactional_id = request.transactional_id.as_deref().unwrap_or_default();
        if transactional_id.is_empty() || !fits_record(transactional_id) {
            return Err(ErrorCode::InvalidRequest);
        }
        if request.enable2_pc {
            // As Kafka answers where two-phase commit is not switched on.
            return Err(ErrorCode::TransactionalIdAuthorizationFailed);
        }
        if request.keep_prepared_txn {
            return Err(ErrorCode::UnsupportedVersion);
        }
        if !(1..=self.config.transaction_max_timeout_ms).contains(&request.transaction_timeout_ms) {
            return Err(ErrorCode::InvalidTransactionTimeout);
        }
        Ok(expected)
    }
}
