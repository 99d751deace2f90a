//! Runs the broker until it is told to stop.

use catchword_config::BrokerConfig;

use crate::failure::Failure;

/// Runs the broker in this process until SIGTERM or Ctrl-C.
pub(crate) fn run(_config: BrokerConfig) -> Result<(), Failure> {
    Err(Failure::failed("this build has no broker"))
}
