//! Requests and responses as frames: a length, a header, a message.

use bytes::Bytes;

use crate::api::{ApiKey, Request};
use crate::codec::{DecodeError, Decoder, EncodeError, Encoder, Message};
use crate::segment::Segment;
use crate::str::Str;

/// What stands before every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead {
    /// The API's key, whether it is known here or not.
    pub api_key: i16,
    /// The version that the request's body has.
    pub api_version: i16,
    /// Comes back in the response.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<Str>,
}

impl RequestHead {
    /// Reads a request's header. Only a known API says whether its header has tagged fields; of others just the fixed
    /// part is read, which is enough to answer them.
    ///
    /// # Errors
    /// When the bytes end too early or are malformed.
    pub fn decode(d: &mut Decoder) -> Result<RequestHead, DecodeError> {
        let (api_key, api_version, correlation_id) = (d.i16()?, d.i16()?, d.i32()?);
        let mut head = RequestHead {
            api_key,
            api_version,
            correlation_id,
            client_id: None,
        };
        let Some(api) = ApiKey::from_code(api_key) else {
            return Ok(head);
        };
        head.client_id = d.nullable_string(false)?;
        if api_version >= api.info().flexible_from {
            d.tagged_fields(|_, _| Ok(false))?;
        }
        Ok(head)
    }
}

/// A request frame, length included.
///
/// # Errors
/// When the request cannot be encoded at that version.
pub fn encode_request<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: &str,
) -> Result<Vec<Segment>, EncodeError> {
    let mut e = Encoder::with_capacity(256);
    e.i32(0);
    e.i16(R::KEY.code());
    e.i16(version);
    e.i32(correlation_id);
    e.string(client_id, false)?;
    if version >= R::KEY.info().flexible_from {
        e.uvarint(0);
    }
    request.encode(&mut e, version)?;
    finish(e)
}

/// A response frame, length included. `flexible` tells whether its header has tagged fields: see [`flexible_header`].
///
/// # Errors
/// When the response cannot be encoded at that version.
pub fn encode_response<M: Message>(
    response: &M,
    version: i16,
    correlation_id: i32,
    flexible: bool,
) -> Result<Vec<Segment>, EncodeError> {
    let mut e = Encoder::with_capacity(256);
    e.i32(0);
    e.i32(correlation_id);
    if flexible {
        e.uvarint(0);
    }
    response.encode(&mut e, version)?;
    finish(e)
}

fn finish(mut e: Encoder) -> Result<Vec<Segment>, EncodeError> {
    let length = e.len() - 4;
    e.patch_i32(
        0,
        i32::try_from(length).map_err(|_| EncodeError::TooLong { length })?,
    );
    Ok(e.into_segments())
}

/// Whether a response's header has tagged fields. ApiVersions' never has, so that a client which does not yet know the
/// broker can read it (KIP-511).
pub fn flexible_header(api: ApiKey, version: i16) -> bool {
    api != ApiKey::ApiVersions && version >= api.info().flexible_from
}

/// Reads a response's frame (without its length) of request `R`: its correlation id and itself.
///
/// # Errors
/// When the bytes are not such a response.
pub fn decode_response<R: Request>(
    frame: Bytes,
    version: i16,
) -> Result<(i32, R::Response), DecodeError> {
    let mut d = Decoder::new(frame);
    let correlation_id = d.i32()?;
    if flexible_header(R::KEY, version) {
        d.tagged_fields(|_, _| Ok(false))?;
    }
    Ok((correlation_id, R::Response::decode(&mut d, version)?))
}
