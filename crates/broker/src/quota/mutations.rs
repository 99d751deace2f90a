//! One request's share of its client's `controller_mutation_rate` (KIP-599): partitions created and deleted.

use catchword_wire::ErrorCode;

use super::Kind;
use crate::catalog::TopicError;
use crate::clock;
use crate::dispatch::Call;

/// Counts what one request creates and deletes, topic by topic.
pub(crate) struct Mutations {
    call: Call,
    /// Whether its client understands a refusal; older ones are held up instead.
    strict: bool,
    throttle_ms: i32,
}

impl Mutations {
    /// `strict_since`: the version of the API from which on what is over the quota is refused; `None`: never.
    pub(crate) fn of(call: &Call, strict_since: Option<i16>) -> Mutations {
        Mutations {
            call: call.clone(),
            strict: strict_since.is_some_and(|since| call.version >= since),
            throttle_ms: 0,
        }
    }

    /// Counts partitions that are about to be created or deleted.
    ///
    /// # Errors
    /// THROTTLING_QUOTA_EXCEEDED while the client still owes for earlier ones.
    pub(crate) fn charge(&mut self, partitions: i32) -> Result<(), TopicError> {
        let quotas = &self.call.broker.quotas;
        if !quotas.limits(Kind::Mutation) {
            return Ok(());
        }
        let id = &self.call.client_id;
        let now = clock::now_ms();
        let owed_ms = quotas.owed_ms(id, now);
        if self.strict && owed_ms > 0 {
            self.throttle_ms = self.throttle_ms.max(owed_ms);
            return Err(TopicError::new(
                ErrorCode::ThrottlingQuotaExceeded,
                format!(
                    "The throttling quota has been exceeded. Try again in {owed_ms} ms: the quota controller_mutation_rate bounds how many partitions a client creates and deletes."
                ),
            ));
        }
        let owed_ms = quotas.take(id, f64::from(partitions), now);
        if !self.strict {
            self.throttle_ms = self.throttle_ms.max(owed_ms);
        }
        Ok(())
    }

    /// For how many milliseconds the client is held up. Nothing more of its connection is read meanwhile.
    pub(crate) fn hold_up(self) -> i32 {
        if self.throttle_ms > 0 {
            self.call.client.mute(self.throttle_ms);
        }
        self.throttle_ms
    }
}
