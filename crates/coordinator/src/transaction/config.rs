//! What an operator can set of transactions. Fields are named as Kafka's configuration keys are.

/// Settings of a [`TransactionShard`](super::TransactionShard). The default is Kafka's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionConfig {
    /// `transaction.max.timeout.ms`: the longest timeout that a producer may ask for.
    pub transaction_max_timeout_ms: i32,
    /// `transactional.id.expiration.ms`: how long a transactional id without a transaction is remembered.
    pub transactional_id_expiration_ms: i64,
}

impl Default for TransactionConfig {
    fn default() -> TransactionConfig {
        TransactionConfig {
            transaction_max_timeout_ms: 15 * 60 * 1000,
            transactional_id_expiration_ms: 7 * 24 * 60 * 60 * 1000,
        }
    }
}
