//! Random messages of every kind and version.

mod generated;
mod names;

use crate::dice::Dice;

pub(crate) use names::{all_messages, all_records};

/// A message, or a part of one, that can be made up.
pub(crate) trait Random {
    /// One that has only what `version` can say, so that it must come back from the wire equal.
    fn random(dice: &mut Dice, version: i16) -> Self;
}
