//! SCRAM (RFC 5802, RFC 7677) as far as a client needs it: who asks proves that it knows the password, and so does who answers.
//!
//! Pure: bytes in, bytes out. Channel binding is not offered; neither does Kafka.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, hmac, pbkdf2};

/// Fewer rounds would make a stolen exchange cheap to guess from; Kafka's clients refuse as well.
const FEWEST_ROUNDS: u32 = 4096;
/// More would be somebody keeping us busy.
const MOST_ROUNDS: u32 = 10_000_000;
/// `n,,`: no channel binding, nobody else's name.
const GS2_HEADER: &str = "n,,";

/// The hash that a mechanism is built on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

/// Why the exchange does not go on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ScramError {
    #[error("the answer {0:?} is not SCRAM's")]
    Malformed(String),
    #[error("the answer is to somebody else's question: the nonce is not ours")]
    Nonce,
    #[error("it asks for {0} rounds; from {FEWEST_ROUNDS} to {MOST_ROUNDS} are made")]
    Rounds(u32),
    #[error("it says {0}")]
    Refused(String),
    #[error("it does not know the password itself: somebody pretends to be the broker")]
    Impostor,
}

/// One exchange.
pub(super) struct Exchange<'a> {
    hash: Hash,
    password: &'a str,
    nonce: &'a str,
    /// The first message without its header.
    first_bare: String,
}

/// What the last answer must be.
pub(super) struct Awaited {
    key: hmac::Key,
    auth_message: String,
}

impl Hash {
    fn len(self) -> usize {
        match self {
            Hash::Sha256 => digest::SHA256_OUTPUT_LEN,
            Hash::Sha512 => digest::SHA512_OUTPUT_LEN,
        }
    }

    fn digest(self, bytes: &[u8]) -> digest::Digest {
        let algorithm = match self {
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes)
    }

    fn key(self, bytes: &[u8]) -> hmac::Key {
        let algorithm = match self {
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::Key::new(algorithm, bytes)
    }

    fn salted(self, password: &str, salt: &[u8], rounds: std::num::NonZeroU32) -> Vec<u8> {
        let algorithm = match self {
            Hash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Hash::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        };
        let mut salted = vec![0; self.len()];
        pbkdf2::derive(algorithm, rounds, salt, password.as_bytes(), &mut salted);
        salted
    }
}

impl<'a> Exchange<'a> {
    /// Begins with a nonce that was never used before, without commas. Names and passwords are taken as they are, as Kafka does.
    pub(super) fn new(hash: Hash, user: &str, password: &'a str, nonce: &'a str) -> Exchange<'a> {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Exchange {
            hash,
            password,
            nonce,
            first_bare: format!("n={user},r={nonce}"),
        }
    }

    /// The first message.
    pub(super) fn first(&self) -> String {
        format!("{GS2_HEADER}{}", self.first_bare)
    }

    /// The second message, with the proof, and what has to be answered to it.
    pub(super) fn answer(&self, server_first: &[u8]) -> Result<(String, Awaited), ScramError> {
        let malformed = || ScramError::Malformed(String::from_utf8_lossy(server_first).into());
        let text = std::str::from_utf8(server_first).map_err(|_| malformed())?;
        let mut parts = text.splitn(4, ',');
        let mut part = |name| parts.next().and_then(|part| part.strip_prefix(name));
        let (nonce, salt, rounds) = (part("r="), part("s="), part("i="));
        let (Some(nonce), Some(salt), Some(rounds)) = (nonce, salt, rounds) else {
            return Err(malformed());
        };
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(self.nonce) {
            return Err(ScramError::Nonce);
        }
        let salt = BASE64.decode(salt).map_err(|_| malformed())?;
        let rounds: std::num::NonZeroU32 = rounds.parse().map_err(|_| malformed())?;
        if !(FEWEST_ROUNDS..=MOST_ROUNDS).contains(&rounds.get()) {
            return Err(ScramError::Rounds(rounds.get()));
        }
        let salted = self
            .hash
            .key(&self.hash.salted(self.password, &salt, rounds));
        let bare = format!("c={},r={nonce}", BASE64.encode(GS2_HEADER));
        let auth_message = format!("{},{text},{bare}", self.first_bare);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored = self
            .hash
            .key(self.hash.digest(client_key.as_ref()).as_ref());
        let signature = hmac::sign(&stored, auth_message.as_bytes());
        let both = client_key.as_ref().iter().zip(signature.as_ref());
        let proof: Vec<u8> = both.map(|(a, b)| a ^ b).collect();
        let server_key = hmac::sign(&salted, b"Server Key");
        let awaited = Awaited {
            key: self.hash.key(server_key.as_ref()),
            auth_message,
        };
        Ok((format!("{bare},p={}", BASE64.encode(proof)), awaited))
    }
}

impl Awaited {
    /// Whether who answered knows the password as well.
    pub(super) fn check(&self, server_final: &[u8]) -> Result<(), ScramError> {
        let malformed = || ScramError::Malformed(String::from_utf8_lossy(server_final).into());
        let text = std::str::from_utf8(server_final).map_err(|_| malformed())?;
        if let Some(why) = text.strip_prefix("e=") {
            return Err(ScramError::Refused(why.to_owned()));
        }
        let signature = text.strip_prefix("v=").and_then(|v| v.split(',').next());
        let signature = signature.and_then(|v| BASE64.decode(v).ok());
        let signature = signature.ok_or_else(malformed)?;
        hmac::verify(&self.key, self.auth_message.as_bytes(), &signature)
            .map_err(|_| ScramError::Impostor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3.
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const PROOF: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn exchange(password: &str) -> Exchange<'_> {
        Exchange::new(Hash::Sha256, "user", password, NONCE)
    }

    #[test]
    fn the_exchange_of_the_rfc_is_made_as_it_stands_there() {
        let exchange = exchange("pencil");
        assert_eq!(exchange.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let (proof, awaited) = exchange.answer(SERVER_FIRST.as_bytes()).unwrap();
        assert_eq!(proof, PROOF);
        awaited.check(SERVER_FINAL.as_bytes()).unwrap();
    }

    #[test]
    fn with_sha_512_it_is_what_another_implementation_computes() {
        // Python's hashlib and hmac, with the names, nonces and salt above.
        let exchange = Exchange::new(Hash::Sha512, "user", "pencil", NONCE);
        let (proof, awaited) = exchange.answer(SERVER_FIRST.as_bytes()).unwrap();
        assert_eq!(proof.split(",p=").nth(1).unwrap(), SHA512_PROOF);
        awaited.check(SHA512_FINAL.as_bytes()).unwrap();
    }
    const SHA512_PROOF: &str =
        "gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==";
    const SHA512_FINAL: &str = "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==";

    #[test]
    fn who_does_not_know_the_password_is_found_out() {
        let (proof, awaited) = exchange("pen").answer(SERVER_FIRST.as_bytes()).unwrap();
        assert_ne!(proof, PROOF);
        let checked = awaited.check(SERVER_FINAL.as_bytes());
        assert_eq!(checked, Err(ScramError::Impostor));
    }

    #[test]
    fn answers_that_are_none_are_refused() {
        let answer = |text: &str| exchange("pencil").answer(text.as_bytes()).err();
        let malformed = |text: &str| Some(ScramError::Malformed(text.into()));
        for text in [
            "",
            "r=",
            "s=abc,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=!,i=4096",
        ] {
            assert_eq!(answer(text), malformed(text));
        }
        assert_eq!(answer("r=other,s=YQ==,i=4096"), Some(ScramError::Nonce));
        let nonce_alone = format!("r={NONCE},s=YQ==,i=4096");
        assert_eq!(answer(&nonce_alone), Some(ScramError::Nonce));
        let few = format!("r={NONCE}x,s=YQ==,i=1");
        assert_eq!(answer(&few), Some(ScramError::Rounds(1)));
    }

    #[test]
    fn names_may_have_what_separates() {
        let exchange = Exchange::new(Hash::Sha256, "a,b=c", "x", "n");
        assert_eq!(exchange.first(), "n,,n=a=2Cb=3Dc,r=n");
    }
}
