//! One connection to one broker: frames out and in, versions agreed upon.
//!
//! Invariant: answers are taken in the order of the requests; after an error that leaves the order in doubt the
//! connection must be dropped (`ClientError::breaks_connection`). It must not know leaders or retries.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use bytes::Bytes;
use catchword_wire::api::Request;
use catchword_wire::messages::{ApiVersionsRequest, ApiVersionsResponse};
use catchword_wire::{Decoder, ErrorCode, Message, frame};

use crate::client::ClientOptions;
use crate::error::{ClientError, Had};
use crate::security::Tls;
use crate::stream::Stream;

/// Largest answer that is read, in bytes: beyond it the broker is not to be trusted.
const MAX_RESPONSE_BYTES: usize = 256 << 20;

pub(crate) struct Connection {
    address: String,
    stream: Stream,
    client_id: String,
    correlation_id: i32,
    timeout: Duration,
    /// Lowest and highest version the broker has of each API.
    versions: HashMap<i16, (i16, i16)>,
    had: Had,
    /// Until when the broker believes who we are.
    believed_until: Option<Instant>,
}

/// A request that was sent and whose answer is still to be read.
#[must_use = "the answer must be read before the next request's"]
pub(crate) struct Pending {
    correlation_id: i32,
    version: i16,
    timeout: Duration,
}

impl Connection {
    /// Connects, agrees on keys where there is to be TLS, on versions, and says who we are where that is asked.
    pub(crate) fn open(address: &str, options: &ClientOptions) -> Result<Self, ClientError> {
        let socket = connect(address, options.connect_timeout)?;
        // Small requests wait for nobody; a failure costs a little latency only.
        let _ = socket.set_nodelay(true);
        let stream = match &options.security.tls {
            None => Stream::Plain(socket),
            Some(tls) => {
                let secured = tls.connect(address, socket, options.connect_timeout)?;
                Stream::Tls(Box::new(secured))
            }
        };
        let mut connection = Self {
            address: address.to_owned(),
            stream,
            client_id: options.client_id.clone(),
            correlation_id: 0,
            timeout: options.request_timeout,
            versions: HashMap::new(),
            had: Had::Nothing,
            believed_until: None,
        };
        connection.agree()?;
        if let Some(sasl) = &options.security.sasl {
            connection.believed_until = sasl.authenticate(&mut connection)?;
        }
        Ok(connection)
    }

    /// Whether the broker is about to stop believing who we are.
    pub(crate) fn is_over(&self) -> bool {
        self.believed_until
            .is_some_and(|until| until <= Instant::now())
    }

    fn agree(&mut self) -> Result<(), ClientError> {
        let request = ApiVersionsRequest {
            client_software_name: "catchword".into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
        };
        let mut response = self.api_versions(&request, 3)?;
        if response.error_code == ErrorCode::UnsupportedVersion.code() {
            // KIP-511: an older broker answers in version 0 and is asked again in it.
            response = self.api_versions(&request, 0)?;
        }
        crate::error::check(response.error_code, None, || {
            format!("greet {}", self.address)
        })?;
        let versions = response
            .api_keys
            .iter()
            .map(|api| (api.api_key, (api.min_version, api.max_version)));
        self.versions = versions.collect();
        self.had = Had::Greeting;
        Ok(())
    }

    fn api_versions(
        &mut self,
        request: &ApiVersionsRequest,
        version: i16,
    ) -> Result<ApiVersionsResponse, ClientError> {
        const WHAT: &str = "ApiVersions";
        let pending = self.send_at(request, version, self.timeout, WHAT)?;
        let frame = self.read_frame(&pending, WHAT)?;
        let mut d = Decoder::new(frame.clone());
        let decoded = d.i32().and_then(|_| {
            let unsupported = Decoder::new(d.rest()).i16()? == ErrorCode::UnsupportedVersion.code();
            let version = if unsupported { 0 } else { version };
            ApiVersionsResponse::decode(&mut d, version)
        });
        decoded.map_err(|error| ClientError::malformed(&self.address, WHAT, &error))
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The version both sides have, at most `cap`.
    fn version<R: Request>(&self, cap: i16) -> Result<i16, ClientError> {
        let ours = R::KEY.info();
        let offered = self.versions.get(&R::KEY.code()).copied();
        let agreed = offered.and_then(|(low, high)| {
            let version = high.min(ours.versions.1).min(cap);
            (version >= low.max(ours.versions.0)).then_some(version)
        });
        agreed.ok_or_else(|| ClientError::NoCommonVersion {
            address: self.address.clone(),
            what: ours.name,
            offered: offered.map_or("none".into(), |(low, high)| format!("{low} to {high}")),
        })
    }

    /// Sends a request in the newest common version that is at most `cap`.
    pub(crate) fn send<R: Request>(
        &mut self,
        request: &R,
        cap: i16,
        extra_wait: Duration,
    ) -> Result<Pending, ClientError> {
        let version = self.version::<R>(cap)?;
        self.send_at(
            request,
            version,
            self.timeout + extra_wait,
            R::KEY.info().name,
        )
    }

    fn send_at<R: Request>(
        &mut self,
        request: &R,
        version: i16,
        timeout: Duration,
        what: &'static str,
    ) -> Result<Pending, ClientError> {
        self.correlation_id = self.correlation_id.wrapping_add(1);
        let correlation_id = self.correlation_id;
        let segments = frame::encode_request(request, version, correlation_id, &self.client_id)?;
        let stream = &mut self.stream;
        let write = || {
            stream.socket().set_write_timeout(Some(timeout))?;
            for segment in segments {
                stream.write_all(&segment.read()?)?;
            }
            stream.flush()
        };
        write().map_err(|error| self.io_error(error, what, timeout))?;
        Ok(Pending {
            correlation_id,
            version,
            timeout,
        })
    }

    /// Reads the answer to a request.
    pub(crate) fn receive<R: Request>(
        &mut self,
        pending: Pending,
    ) -> Result<R::Response, ClientError> {
        let what = R::KEY.info().name;
        let frame = self.read_frame(&pending, what)?;
        let malformed = |why: String| ClientError::Malformed {
            address: self.address.clone(),
            what,
            why,
        };
        let (correlation_id, response) = frame::decode_response::<R>(frame, pending.version)
            .map_err(|error| malformed(error.to_string()))?;
        if correlation_id != pending.correlation_id {
            return Err(malformed(format!(
                "it is the answer to request {correlation_id}, not {}",
                pending.correlation_id
            )));
        }
        self.had = Had::Answers;
        Ok(response)
    }

    /// Sends a request and reads its answer.
    pub(crate) fn call<R: Request>(
        &mut self,
        request: &R,
        cap: i16,
        extra_wait: Duration,
    ) -> Result<R::Response, ClientError> {
        let pending = self.send(request, cap, extra_wait)?;
        self.receive::<R>(pending)
    }

    fn read_frame(&mut self, pending: &Pending, what: &'static str) -> Result<Bytes, ClientError> {
        let length = self.read_length(pending.timeout);
        let length = length.map_err(|error| self.io_error(error, what, pending.timeout))?;
        let length = usize::try_from(length).ok();
        let Some(length) = length.filter(|length| (4..=MAX_RESPONSE_BYTES).contains(length)) else {
            return Err(ClientError::Malformed {
                address: self.address.clone(),
                what,
                why: "the length of the answer cannot be right; is this a Kafka broker? One that wants TLS is told by --command-config FILE".into(),
            });
        };
        let mut body = Vec::new();
        // The length is not trusted with memory: what has not arrived takes none.
        let read = (&mut self.stream)
            .take(length as u64)
            .read_to_end(&mut body)
            .and_then(|read| match read < length {
                true => Err(ErrorKind::UnexpectedEof.into()),
                false => Ok(()),
            });
        read.map_err(|error| self.io_error(error, what, pending.timeout))?;
        Ok(body.into())
    }

    fn read_length(&mut self, timeout: Duration) -> std::io::Result<i32> {
        self.stream.socket().set_read_timeout(Some(timeout))?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        Ok(i32::from_be_bytes(length))
    }

    fn io_error(&self, error: std::io::Error, what: &'static str, after: Duration) -> ClientError {
        let address = self.address.clone();
        if let Some(why) = Tls::refusal(&error) {
            return ClientError::NotSecured { address, why };
        }
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => ClientError::TimedOut {
                address,
                what,
                after,
            },
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                ClientError::Closed {
                    address,
                    what,
                    had: self.had,
                }
            }
            _ => ClientError::Io {
                address,
                what,
                source: error,
            },
        }
    }
}

fn connect(address: &str, timeout: Duration) -> Result<TcpStream, ClientError> {
    let unreachable = |why: String| ClientError::Unreachable {
        address: address.into(),
        why,
    };
    let resolved = address
        .to_socket_addrs()
        .map_err(|error| match error.kind() {
            ErrorKind::InvalidInput => ClientError::BadAddress {
                text: address.into(),
            },
            _ => unreachable(error.to_string()),
        })?;
    let mut last = unreachable("the name has no address".into());
    for socket_address in resolved {
        match TcpStream::connect_timeout(&socket_address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                last = unreachable("connection refused".into());
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                last = unreachable(format!("no answer within {} s", timeout.as_secs()));
            }
            Err(error) => last = unreachable(error.to_string()),
        }
    }
    Err(last)
}
