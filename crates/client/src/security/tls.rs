//! TLS with rustls: whom to trust, who we are, and whether the name in the certificate counts.

use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, StreamOwned, SupportedProtocolVersion,
};

use super::SecurityError;
use crate::error::ClientError;

/// A connection under TLS.
pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// How TLS is spoken.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
}

/// PEM text, and the key by which it was given.
pub(super) struct Pem {
    pub(super) key: &'static str,
    pub(super) file: Option<PathBuf>,
    pub(super) text: String,
}

impl Pem {
    fn error(&self, why: impl Into<String>) -> SecurityError {
        let why = match &self.file {
            Some(file) => format!("{}: {}", file.display(), why.into()),
            None => why.into(),
        };
        SecurityError::Setting { key: self.key, why }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, SecurityError> {
        let read: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(self.text.as_bytes()).collect();
        let found = read.map_err(|error| self.error(format!("it is damaged: {error}")))?;
        if found.is_empty() {
            return Err(self.error(
                "there is no certificate in it in PEM, which is the one form that is read; \
                 `keytool -list -rfc -keystore FILE` prints a Java keystore's certificates so, `openssl pkcs12 -in FILE` those of a .p12",
            ));
        }
        Ok(found)
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, SecurityError> {
        if self.text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
            return Err(self.error(
                "the private key is encrypted, and only keys that are not are read; `openssl pkey -in FILE` writes it so, into a file that only you may read",
            ));
        }
        PrivateKeyDer::from_pem_slice(self.text.as_bytes())
            .map_err(|_| self.error("there is no private key in it in PEM"))
    }
}

impl Tls {
    /// TLS that trusts what `trusted` has (the system's authorities if nothing was named), and shows the certificate and key of
    /// `own`, in this order, to who asks.
    pub(super) fn new(
        trusted: Option<&Pem>,
        own: Option<(&Pem, &Pem)>,
        names_count: bool,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Result<Tls, SecurityError> {
        let provider = Arc::new(ring::default_provider());
        let setting = |key, why: String| SecurityError::Setting { key, why };
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots(trusted)?),
            provider.clone(),
        );
        let verifier = verifier
            .build()
            .map_err(|error| setting("ssl.truststore.location", error.to_string()))?;
        let verifier: Arc<dyn ServerCertVerifier> = match names_count {
            true => verifier,
            false => Arc::new(AnyName(verifier)),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| setting("ssl.enabled.protocols", error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.certificates()?, key.private_key()?)
                .map_err(|error| key.error(error.to_string()))?,
        };
        Ok(Tls {
            config: Arc::new(config),
        })
    }

    /// Agrees with the broker on keys, within `timeout` for each step.
    pub(crate) fn connect(
        &self,
        address: &str,
        mut socket: TcpStream,
        timeout: Duration,
    ) -> Result<TlsStream, ClientError> {
        let failed = |why: String| ClientError::NotSecured {
            address: address.to_owned(),
            why,
        };
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| failed(format!("{host:?} is no name that a certificate could have")))?;
        let mut connection = ClientConnection::new(self.config.clone(), name)
            .map_err(|error| failed(error.to_string()))?;
        let timeouts = socket
            .set_read_timeout(Some(timeout))
            .and_then(|()| socket.set_write_timeout(Some(timeout)));
        timeouts.map_err(|error| failed(error.to_string()))?;
        while connection.is_handshaking() {
            if let Err(error) = connection.complete_io(&mut socket) {
                return Err(match Tls::refusal(&error) {
                    Some(why) => failed(why),
                    // Perhaps it is only starting: worth another try.
                    None => ClientError::Unreachable {
                        address: address.to_owned(),
                        why: format!("no TLS was agreed upon ({error})"),
                    },
                });
            }
        }
        Ok(StreamOwned::new(connection, socket))
    }

    /// Why one side does not go on, if it is TLS that failed: also of a connection that had been agreed upon, since a broker
    /// looks at our certificate only afterwards (TLS 1.3).
    pub(crate) fn refusal(error: &std::io::Error) -> Option<String> {
        let inner = error.get_ref()?;
        inner.downcast_ref::<Error>().map(words)
    }
}

fn roots(trusted: Option<&Pem>) -> Result<RootCertStore, SecurityError> {
    let mut roots = RootCertStore::empty();
    let Some(pem) = trusted else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(SecurityError::Setting {
                key: "ssl.truststore.location",
                why: "the system knows no certificate authorities; name a PEM file that has those of the broker"
                    .into(),
            });
        }
        return Ok(roots);
    };
    for certificate in pem.certificates()? {
        let added = roots.add(certificate);
        added.map_err(|error| pem.error(error.to_string()))?;
    }
    Ok(roots)
}

/// What went wrong, and what to do.
fn words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate is signed by nobody who is trusted; ssl.truststore.location names a PEM file with the certificate of who signs the brokers'".into()
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!(
            "{error}; use a name that the certificate has, or set ssl.endpoint.identification.algorithm to nothing if anyone who has a trusted certificate may be the broker"
        ),
        Error::AlertReceived(alert) => format!(
            "it ended the talk with the alert {alert:?}; if it asks for certificates, ssl.keystore.location names a PEM file with yours and its key"
        ),
        Error::InvalidMessage(_) => format!("{error}; does this listener speak TLS (security.protocol)?"),
        other => other.to_string(),
    }
}

/// Trusts a chain whatever name it is for: `ssl.endpoint.identification.algorithm=`.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The name is looked at last: who fails by it alone has a chain that is trusted.
        let verified =
            self.0
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
