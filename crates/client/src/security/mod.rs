//! How a connection is secured, in the words of Kafka's own tools (`client.properties`).
//!
//! [`Security::from_properties`] reads them; the rest of the client hands a fresh socket to TLS and a fresh connection to SASL
//! and knows nothing else. Invariant: what was asked for is done or refused, never passed over; no password is ever shown.

mod jaas;
mod sasl;
mod scram;
mod tls;

use std::collections::BTreeMap;
use std::path::PathBuf;

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use sasl::Mechanism;
pub(crate) use sasl::Sasl;
use tls::Pem;
pub(crate) use tls::{Tls, TlsStream};

/// How connections are secured; by default not at all.
#[derive(Debug, Clone, Default)]
pub struct Security {
    pub(crate) tls: Option<Tls>,
    pub(crate) sasl: Option<Sasl>,
}

/// A setting that cannot be followed, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityError {
    /// The value does not do, or there is none.
    #[error("{key}: {why}")]
    Setting {
        /// Kafka's key.
        key: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A setting that is not followed here.
    #[error("{key} is not followed here, so it is refused; there are {known}")]
    Unknown {
        /// Kafka's key, if it is one.
        key: String,
        /// What there is.
        known: String,
    },
    /// A file that a setting names cannot be read.
    #[error("{key}: {}: {source}", path.display())]
    File {
        /// Kafka's key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

/// What is followed of Kafka's settings for TLS, and what means nothing for PEM that is not encrypted.
const KNOWN_TLS: [&str; 13] = [
    "ssl.truststore.type",
    "ssl.truststore.location",
    "ssl.truststore.certificates",
    "ssl.keystore.type",
    "ssl.keystore.location",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.endpoint.identification.algorithm",
    "ssl.protocol",
    "ssl.enabled.protocols",
    "ssl.truststore.password",
    "ssl.keystore.password",
    "ssl.key.password",
];
const KNOWN_SASL: [&str; 2] = [MECHANISM, JAAS];
const MECHANISM: &str = "sasl.mechanism";
const JAAS: &str = "sasl.jaas.config";

/// What a client's properties ask for.
type Properties = BTreeMap<String, String>;

impl Security {
    /// Follows `security.protocol`, `sasl.*` and `ssl.*` as Kafka's clients do, from PEM files alone. Files are read now.
    ///
    /// # Errors
    /// If a setting is missing, is not known here (other SASL mechanisms, Java's keystores, encrypted keys), or names a file that
    /// cannot be read.
    pub fn from_properties(properties: &Properties) -> Result<Security, SecurityError> {
        let protocol = properties.get("security.protocol");
        let protocol = protocol.map_or("PLAINTEXT".into(), |text| text.trim().to_uppercase());
        let (with_tls, with_sasl) = match protocol.as_str() {
            "PLAINTEXT" => (false, false),
            "SSL" => (true, false),
            "SASL_PLAINTEXT" => (false, true),
            "SASL_SSL" => (true, true),
            other => {
                return Err(SecurityError::Setting {
                    key: "security.protocol",
                    why: format!(
                        "{other} is none; there are PLAINTEXT, SSL, SASL_PLAINTEXT and SASL_SSL"
                    ),
                });
            }
        };
        Ok(Security {
            tls: with_tls.then(|| tls(properties)).transpose()?,
            sasl: with_sasl.then(|| sasl(properties)).transpose()?,
        })
    }

    /// The name by which it is told apart there, where that is known beforehand: of SASL. A certificate's is the broker's to make.
    pub fn user(&self) -> Option<&str> {
        self.sasl.as_ref().map(|sasl| sasl.user.as_str())
    }
}

/// Refuses what would change how it is secured, and is not followed here.
fn refuse_others(
    properties: &Properties,
    prefix: &str,
    known: &[&str],
) -> Result<(), SecurityError> {
    let is_other = |key: &&String| key.starts_with(prefix) && !known.contains(&key.as_str());
    match properties.keys().find(is_other) {
        None => Ok(()),
        Some(key) => Err(SecurityError::Unknown {
            key: key.clone(),
            known: known.join(", "),
        }),
    }
}

fn tls(properties: &Properties) -> Result<Tls, SecurityError> {
    refuse_others(properties, "ssl.", &KNOWN_TLS)?;
    let trusted = pem(
        properties,
        "ssl.truststore.location",
        "ssl.truststore.certificates",
    )?;
    let chain = pem(
        properties,
        "ssl.keystore.location",
        "ssl.keystore.certificate.chain",
    )?;
    let key = pem(properties, "ssl.keystore.location", "ssl.keystore.key")?;
    let own = match (&chain, &key) {
        (Some(chain), Some(key)) => Some((chain, key)),
        (None, None) => None,
        (Some(_), None) => return Err(missing("ssl.keystore.key", "a certificate needs its key")),
        (None, Some(_)) => {
            return Err(missing(
                "ssl.keystore.certificate.chain",
                "a key needs its certificate",
            ));
        }
    };
    let names = properties.get("ssl.endpoint.identification.algorithm");
    let names_count = match names.map(|text| text.trim().to_lowercase()).as_deref() {
        None | Some("https") => true,
        Some("") => false,
        Some(other) => {
            return Err(SecurityError::Setting {
                key: "ssl.endpoint.identification.algorithm",
                why: format!(
                    "{other:?} is not known; there are https and, to take any name, nothing"
                ),
            });
        }
    };
    let versions = protocols(properties)?;
    Tls::new(trusted.as_ref(), own, names_count, &versions)
}

/// `ssl.enabled.protocols`, or where that is not said the one that `ssl.protocol` names.
fn protocols(
    properties: &Properties,
) -> Result<Vec<&'static SupportedProtocolVersion>, SecurityError> {
    const KEYS: [&str; 2] = ["ssl.enabled.protocols", "ssl.protocol"];
    let said = KEYS
        .into_iter()
        .find_map(|key| Some((key, properties.get(key)?)));
    let Some((key, list)) = said else {
        return Ok(vec![&TLS13, &TLS12]);
    };
    let one = |name: &str| match name.trim() {
        "TLSv1.3" => Ok(&TLS13),
        "TLSv1.2" => Ok(&TLS12),
        other => Err(SecurityError::Setting {
            key,
            why: format!("{other:?} is not spoken here; there are TLSv1.3 and TLSv1.2"),
        }),
    };
    list.split(',').map(one).collect()
}

/// PEM text out of a file or out of the properties themselves.
fn pem(
    properties: &Properties,
    location: &'static str,
    inline: &'static str,
) -> Result<Option<Pem>, SecurityError> {
    if let Some(text) = properties.get(inline) {
        return Ok(Some(Pem {
            key: inline,
            file: None,
            text: text.clone(),
        }));
    }
    let Some(path) = properties.get(location).filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let path = PathBuf::from(path);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(Pem {
            key: location,
            // Not UTF-8: some keystore of Java's, in which no PEM is found then.
            text: String::from_utf8(bytes).unwrap_or_default(),
            file: Some(path),
        })),
        Err(source) => Err(SecurityError::File {
            key: location,
            path,
            source,
        }),
    }
}

fn sasl(properties: &Properties) -> Result<Sasl, SecurityError> {
    refuse_others(properties, "sasl.", &KNOWN_SASL)?;
    let name = properties
        .get(MECHANISM)
        .map_or("GSSAPI", |name| name.trim());
    let mechanism = Mechanism::of(name).ok_or_else(|| SecurityError::Setting {
        key: MECHANISM,
        why: format!("{name} is not spoken here; there are PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512"),
    })?;
    let config = properties.get(JAAS).ok_or_else(|| {
        missing(
            JAAS,
            "it has the name and the password: org.apache.kafka.common.security.scram.ScramLoginModule required username=\"NAME\" password=\"PASSWORD\";",
        )
    })?;
    let option = |wanted| {
        let found = jaas::option(config, wanted);
        let found = found.map_err(|why| missing(JAAS, why))?;
        found.ok_or_else(|| SecurityError::Setting {
            key: JAAS,
            why: format!("it has no {wanted}"),
        })
    };
    Ok(Sasl {
        mechanism,
        user: option("username")?,
        password: option("password")?,
    })
}

fn missing(key: &'static str, why: &str) -> SecurityError {
    let why = why.to_owned();
    SecurityError::Setting { key, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Security, SecurityError> {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Security::from_properties(&pairs.iter().map(pair).collect())
    }

    fn refused(pairs: &[(&str, &str)]) -> String {
        read(pairs).unwrap_err().to_string()
    }

    const JAAS: (&str, &str) = (
        "sasl.jaas.config",
        "x.ScramLoginModule required username=\"ann\" password=\"secret\";",
    );

    #[test]
    fn who_says_nothing_speaks_in_the_clear() {
        let security = read(&[("client.id", "x")]).unwrap();
        assert!(security.tls.is_none() && security.sasl.is_none());
    }

    #[test]
    fn a_name_and_a_password_are_read_and_the_password_is_never_shown() {
        let security = read(&[
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            JAAS,
        ]);
        let shown = format!("{:?}", security.unwrap());
        assert!(shown.contains("SCRAM-SHA-512 as \"ann\""), "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_its_key() {
        let sasl = ("security.protocol", "SASL_PLAINTEXT");
        for (pairs, words) in [
            (
                &[("security.protocol", "TLS")][..],
                "security.protocol: TLS is none",
            ),
            (&[sasl], "sasl.mechanism: GSSAPI is not spoken here"),
            (
                &[sasl, ("sasl.mechanism", "PLAIN")],
                "sasl.jaas.config: it has the name",
            ),
            (
                &[
                    sasl,
                    ("sasl.mechanism", "PLAIN"),
                    ("sasl.jaas.config", "M required username=a;"),
                ],
                "sasl.jaas.config: it has no password",
            ),
            (
                &[
                    ("security.protocol", "SSL"),
                    ("ssl.truststore.location", "/nowhere/ca.pem"),
                ],
                "ssl.truststore.location: /nowhere/ca.pem: No such file",
            ),
            (
                &[
                    ("security.protocol", "SSL"),
                    ("ssl.truststore.certificates", "\u{1}JKS"),
                ],
                "ssl.truststore.certificates: there is no certificate in it in PEM",
            ),
        ] {
            let said = refused(pairs);
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn a_setting_that_is_not_followed_is_refused_where_it_would_count() {
        let ciphers = ("ssl.cipher.suites", "X");
        read(&[ciphers]).unwrap();
        let said = refused(&[("security.protocol", "SSL"), ciphers]);
        assert!(
            said.contains("ssl.cipher.suites is not followed here"),
            "{said}"
        );
        let old = ("ssl.enabled.protocols", "TLSv1.3,TLSv1.1");
        let said = refused(&[("security.protocol", "SSL"), old]);
        assert!(said.contains("\"TLSv1.1\" is not spoken"), "{said}");
        let one = read(&[("security.protocol", "SSL"), ("ssl.protocol", "TLSv1.3")]);
        assert!(one.unwrap().tls.is_some());
    }
}
