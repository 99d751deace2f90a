//! SaslHandshake (17): there is nobody to authenticate on a listener without SASL, and Kafka says so by this very error.

use catchword_wire::ErrorCode;
use catchword_wire::messages::{SaslHandshakeRequest, SaslHandshakeResponse};

use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(_: &Call, _: SaslHandshakeRequest) -> Outcome<SaslHandshakeResponse> {
    Outcome::Now(SaslHandshakeResponse {
        error_code: ErrorCode::IllegalSaslState.code(),
        ..SaslHandshakeResponse::default()
    })
}
