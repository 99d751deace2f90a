//! What time does: transactions that take too long are aborted, transactional ids that nobody uses are forgotten.

use catchword_wire::Str;

use super::state::Transaction;
use super::{TransactionOutput, TransactionShard, record};

impl TransactionShard {
    /// Aborts transactions that have gone on for longer than their producers said. To be called every
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`.
    pub fn abort_timed_out(&mut self, now_ms: i64, out: &mut TransactionOutput) {
        for transactional_id in self.ids(|transaction| transaction.is_overdue(now_ms)) {
            // One for which there is no producer id just now is found again the next time.
            let _ = self.fence(&transactional_id, now_ms, out);
        }
    }

    /// Forgets transactional ids that were not used for long. To be called every
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`.
    pub fn expire(&mut self, now_ms: i64, out: &mut TransactionOutput) {
        let before_ms = now_ms.saturating_sub(self.config.transactional_id_expiration_ms);
        let is_due = |transaction: &Transaction| {
            transaction.status.is_at_rest() && transaction.last_update_ms <= before_ms
        };
        for transactional_id in self.ids(is_due) {
            self.transactions.remove(&transactional_id);
            out.records
                .push(record::tombstone(&transactional_id).as_ref());
        }
    }

    fn ids(&self, wanted: impl Fn(&Transaction) -> bool) -> Vec<Str> {
        let wanted = self.transactions.iter().filter(|(_, t)| wanted(t));
        wanted.map(|(id, _)| id.clone()).collect()
    }
}
