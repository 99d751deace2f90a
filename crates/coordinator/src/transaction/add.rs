//! Partitions that a transaction writes to: added by the client, by the broker for it, or only looked up (KIP-890).

use catchword_wire::ErrorCode;

use super::call::PartitionsCall;
use super::state::{Status, Transaction};
use super::{TransactionOutput, TransactionShard};

impl TransactionShard {
    pub(super) fn add_partitions(
        &mut self,
        now_ms: i64,
        call: PartitionsCall,
        out: &mut TransactionOutput,
    ) -> Vec<ErrorCode> {
        let count = call.partitions.len();
        let error = match self.validate(&call) {
            Err(error) => error,
            Ok(now) => {
                let has_all =
                    |now: &Transaction| call.partitions.iter().all(|p| now.partitions.contains(p));
                if now.status != Status::Ongoing || !has_all(now) {
                    let next = now.with_partitions(call.partitions, call.version, now_ms);
                    self.put(call.transactional_id.detached(), next, out);
                }
                ErrorCode::None
            }
        };
        vec![error; count]
    }

    pub(super) fn verify_partitions(&self, call: &PartitionsCall) -> Vec<ErrorCode> {
        let now = match self.validate(call) {
            Err(error) => return vec![error; call.partitions.len()],
            Ok(now) => now,
        };
        let verify = |partition| match now.partitions.contains(partition) {
            true => ErrorCode::None,
            false => ErrorCode::TransactionAbortable,
        };
        call.partitions.iter().map(verify).collect()
    }

    /// The transaction of a producer that may write.
    fn validate(&self, call: &PartitionsCall) -> Result<&Transaction, ErrorCode> {
        if call.transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let now = self
            .transactions
            .get(&call.transactional_id)
            .ok_or(ErrorCode::InvalidProducerIdMapping)?;
        if now.producer_id != call.producer.id {
            Err(ErrorCode::InvalidProducerIdMapping)
        } else if now.epoch != call.producer.epoch {
            Err(ErrorCode::ProducerFenced)
        } else if now.status.is_prepared() {
            Err(ErrorCode::ConcurrentTransactions)
        } else {
            Ok(now)
        }
    }
}
