//! The shard and its log: state out of records, on load and when it ends.

use catchword_wire::Str;

use super::call::TransactionEffect;
use super::state::Transaction;
use super::{TransactionOutput, TransactionShard, record};
use crate::record::ReplayError;
use crate::records::Records;

impl TransactionShard {
    /// Applies a record of the log, on load.
    ///
    /// # Errors
    /// When the record is not understood. [`ReplayError::UnknownKeyType`] is to be logged and skipped, as Kafka does;
    /// the other errors mean a damaged log. The state is as before.
    pub fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), ReplayError> {
        let (transactional_id, transaction) = record::decode(key, value)?;
        match transaction {
            Some(transaction) => drop(self.transactions.insert(transactional_id, transaction)),
            None => drop(self.transactions.remove(&transactional_id)),
        }
        Ok(())
    }

    /// The log has been read to its end: what was decided is carried out, whether it was before or not.
    pub fn loaded(&mut self, out: &mut TransactionOutput) {
        for (transactional_id, transaction) in &self.transactions {
            if transaction.status.is_prepared() {
                let end = transaction.end(transactional_id);
                out.effects.push(TransactionEffect::WriteMarkers(end));
            }
        }
    }

    /// The records that make this state, and nothing that they replace.
    pub fn dump_records(&self) -> Records {
        let all = self.transactions.iter();
        all.map(|(id, transaction)| record::encode(id, transaction))
            .collect()
    }

    /// Takes a new state of a transactional id, and writes it down.
    pub(super) fn put(
        &mut self,
        transactional_id: Str,
        transaction: Transaction,
        out: &mut TransactionOutput,
    ) {
        out.records
            .push(record::encode(&transactional_id, &transaction).as_ref());
        self.transactions.insert(transactional_id, transaction);
    }
}
