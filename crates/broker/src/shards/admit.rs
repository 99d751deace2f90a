//! Asks the log about a transaction before the machine decides, so that a refusal concerns the caller alone.
//!
//! Invariant: what is admitted here is what the log takes. All that was decided before is appended first, and everything that a
//! producer writes into the partition passes through its shard.

use catchword_coordinator::{Marker, ProducerEpoch};
use catchword_log::{AppendError, Verification, VerificationGuard};
use catchword_wire::ErrorCode;

use super::machine::Machine;
use super::settle::Then;
use super::shard::{Active, Shard};
use super::write;
use crate::clock;
use crate::transactions::verify::Ability;

/// What a call does in a transaction.
pub(crate) enum InTransaction {
    /// It writes records as part of the producer's transaction.
    Write(ProducerEpoch),
    /// It ends it.
    End(Marker),
}

impl<M: Machine> Shard<M> {
    /// Whether the log takes what the call is about to write. A marker is appended here: the machine hears of it when it stands.
    ///
    /// # Errors
    /// What the caller is told, and what else has to happen.
    pub(super) fn admit(
        &self,
        active: &mut Active<M>,
        call: &InTransaction,
        api_version: i16,
        guard: Option<VerificationGuard>,
    ) -> Result<(), (ErrorCode, Then)> {
        self.append_gathered(active)
            .map_err(|then| (ErrorCode::NotCoordinator, then))?;
        let refused = match call {
            InTransaction::Write(producer) => {
                let bumps = Ability::of_offset_commit(api_version).bumps_epoch();
                let log = &self.partition.log;
                match log.verify(producer.id, producer.epoch, -1, bumps) {
                    Ok(Verification::Ongoing) => return Ok(()),
                    Ok(Verification::Ask(open)) if guard == Some(open) => return Ok(()),
                    // The transaction that the coordinator was asked about has ended meanwhile.
                    Ok(Verification::Ask(_)) => {
                        return Err((ErrorCode::InvalidTxnState, Then::Nothing));
                    }
                    Err(why) => why,
                }
            }
            InTransaction::End(marker) => {
                let marker = write::of_log(marker, clock::now_ms());
                match self.partition.append_marker(&marker) {
                    Ok(appended) => {
                        active.appended = Some(appended.last_offset + 1);
                        return Ok(());
                    }
                    Err(why) => why,
                }
            }
        };
        Err(match refused {
            AppendError::InvalidProducerEpoch { .. } => {
                (ErrorCode::InvalidProducerEpoch, Then::Nothing)
            }
            AppendError::InvalidTxnState { .. } => (ErrorCode::InvalidTxnState, Then::Nothing),
            AppendError::TransactionCoordinatorFenced { .. } => {
                (ErrorCode::TransactionCoordinatorFenced, Then::Nothing)
            }
            why => (ErrorCode::NotCoordinator, self.not_stored(active, &why)),
        })
    }
}
