//! SaslAuthenticate (36): out of place on a listener without SASL, as in Kafka.

use catchword_wire::ErrorCode;
use catchword_wire::messages::{SaslAuthenticateRequest, SaslAuthenticateResponse};

use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(_: &Call, _: SaslAuthenticateRequest) -> Outcome<SaslAuthenticateResponse> {
    Outcome::Now(SaslAuthenticateResponse {
        error_code: ErrorCode::IllegalSaslState.code(),
        error_message: Some("this listener knows no SASL".into()),
        ..SaslAuthenticateResponse::default()
    })
}
