//! Saying who one is: SASL by Kafka's own requests (KIP-43, KIP-152), after the versions are agreed upon.

use std::fmt;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use bytes::Bytes;
use catchword_wire::ErrorCode;
use catchword_wire::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use ring::rand::{SecureRandom, SystemRandom};

use super::scram::{Exchange, Hash};
use crate::connection::Connection;
use crate::error::ClientError;

/// Any version: from 1 on, the exchange goes by SaslAuthenticate, and no broker that is asked here has only 0.
const NEWEST: i16 = i16::MAX;

/// How somebody proves who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mechanism {
    Plain,
    Scram(Hash),
}

/// A name and its password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sasl {
    pub(super) mechanism: Mechanism,
    pub(super) user: String,
    pub(super) password: String,
}

/// Passwords do not belong in logs.
impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {:?}", self.mechanism.name(), self.user)
    }
}

impl Mechanism {
    pub(super) fn of(name: &str) -> Option<Mechanism> {
        match name {
            "PLAIN" => Some(Mechanism::Plain),
            "SCRAM-SHA-256" => Some(Mechanism::Scram(Hash::Sha256)),
            "SCRAM-SHA-512" => Some(Mechanism::Scram(Hash::Sha512)),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Scram(Hash::Sha256) => "SCRAM-SHA-256",
            Mechanism::Scram(Hash::Sha512) => "SCRAM-SHA-512",
        }
    }
}

impl Sasl {
    /// Authenticates a fresh connection. Returns until when that holds, if the broker bounds it (KIP-368).
    pub(crate) fn authenticate(
        &self,
        connection: &mut Connection,
    ) -> Result<Option<Instant>, ClientError> {
        self.agree(connection)?;
        match self.mechanism {
            Mechanism::Plain => {
                let words = format!("\0{}\0{}", self.user, self.password);
                let (_, holds) = self.step(connection, words)?;
                Ok(holds)
            }
            Mechanism::Scram(hash) => {
                let nonce = nonce().map_err(|why| self.failed(connection, why))?;
                let exchange = Exchange::new(hash, &self.user, &self.password, &nonce);
                let (first, _) = self.step(connection, exchange.first())?;
                let answered = exchange.answer(&first);
                let (proof, awaited) = answered.map_err(|e| self.failed(connection, e))?;
                let (last, holds) = self.step(connection, proof)?;
                awaited
                    .check(&last)
                    .map_err(|e| self.failed(connection, e))?;
                Ok(holds)
            }
        }
    }

    fn agree(&self, connection: &mut Connection) -> Result<(), ClientError> {
        let request = SaslHandshakeRequest {
            mechanism: self.mechanism.name().into(),
        };
        let response = connection.call(&request, NEWEST, Duration::ZERO)?;
        let offered: Vec<&str> = response.mechanisms.iter().map(|m| m.as_str()).collect();
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => Ok(()),
            ErrorCode::UnsupportedSaslMechanism => Err(self.failed(
                connection,
                format_args!(
                    "it does not offer {}, but {}; set sasl.mechanism",
                    self.mechanism.name(),
                    offered.join(", ")
                ),
            )),
            ErrorCode::IllegalSaslState => Err(self.failed(
                connection,
                "this listener knows no SASL; name another one, or set security.protocol to PLAINTEXT or SSL",
            )),
            other => Err(self.failed(connection, other.name())),
        }
    }

    /// One message there, one back.
    fn step(
        &self,
        connection: &mut Connection,
        words: String,
    ) -> Result<(Bytes, Option<Instant>), ClientError> {
        let request = SaslAuthenticateRequest {
            auth_bytes: Bytes::from(words),
        };
        let response = connection.call(&request, NEWEST, Duration::ZERO)?;
        if response.error_code != 0 {
            let code = ErrorCode::from_code(response.error_code);
            let words = response.error_message.filter(|words| !words.is_empty());
            let words = words.as_deref().unwrap_or_else(|| code.name());
            let why = format!(
                "{}; look at username and password in sasl.jaas.config, and whether the user exists for {}",
                words.trim_end_matches('.'),
                self.mechanism.name()
            );
            return Err(self.failed(connection, why));
        }
        let lifetime = u64::try_from(response.session_lifetime_ms).unwrap_or(0);
        // Somewhat before, so that no request is under way when it is over.
        let holds = Duration::from_millis(lifetime / 100 * 85);
        let until = (lifetime > 0).then(|| Instant::now() + holds);
        Ok((response.auth_bytes, until))
    }

    fn failed(&self, connection: &Connection, why: impl fmt::Display) -> ClientError {
        ClientError::NotAuthenticated {
            address: connection.address().to_owned(),
            user: self.user.clone(),
            why: why.to_string(),
        }
    }
}

fn nonce() -> Result<String, &'static str> {
    let mut bytes = [0; 24];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| "the system has no random numbers")?;
    Ok(BASE64.encode(bytes))
}
