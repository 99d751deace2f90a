//! What stands in front of requests and responses, against the `kafka-protocol` crate's idea of it.

use bytes::{Buf, Bytes, BytesMut};
use catchword_wire::api::{ApiKey, Request};
use catchword_wire::frame::{
    RequestHead, decode_response, encode_request, encode_response, flexible_header,
};
use catchword_wire::{Decoder, Records, messages};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use crate::dice::Dice;
use crate::encode;
use crate::random::Random;

/// APIs that the other crate does not know.
const MISSING_THERE: [ApiKey; 2] = [ApiKey::StreamsGroupHeartbeat, ApiKey::StreamsGroupDescribe];

fn their_key(api: ApiKey) -> theirs::ApiKey {
    theirs::ApiKey::try_from(api.code()).unwrap()
}

/// The APIs of both.
fn both() -> impl Iterator<Item = (ApiKey, theirs::ApiKey)> {
    let known = ApiKey::ALL.iter().copied();
    let known = known.filter(|api| !MISSING_THERE.contains(api));
    known.map(|api| (api, their_key(api)))
}

#[test]
fn header_versions_are_kafkas() {
    for (api, their_key) in both() {
        let info = api.info();
        for version in info.versions.0..=info.versions.1 {
            let flexible = version >= info.flexible_from;
            let request = if flexible { 2 } else { 1 };
            assert_eq!(
                their_key.request_header_version(version),
                request,
                "{api:?} v{version}"
            );
            let response = i16::from(flexible_header(api, version));
            assert_eq!(
                their_key.response_header_version(version),
                response,
                "{api:?} v{version}"
            );
        }
    }
}

#[test]
fn request_headers_of_others_are_read() {
    for (api, their_key) in both() {
        let info = api.info();
        for version in info.versions.0..=info.versions.1 {
            for client_id in [None, Some("ß-client"), Some("")] {
                let mut header = theirs::RequestHeader::default();
                header.request_api_key = api.code();
                header.request_api_version = version;
                header.correlation_id = -7;
                header.client_id = client_id.map(StrBytes::from_static_str);
                let header_version = their_key.request_header_version(version);
                if header_version >= 2 {
                    // Fields of clients newer than we know.
                    header
                        .unknown_tagged_fields
                        .insert(900, Bytes::from_static(b"new"));
                }
                let mut bytes = BytesMut::new();
                header.encode(&mut bytes, header_version).unwrap();
                bytes.extend_from_slice(b"body");
                let mut decoder = Decoder::new(bytes.freeze());
                let head = RequestHead::decode(&mut decoder).unwrap();
                assert_eq!((head.api_key, head.api_version), (api.code(), version));
                assert_eq!(head.correlation_id, -7);
                assert_eq!(head.client_id.as_deref(), client_id);
                assert_eq!(decoder.rest(), &b"body"[..], "{api:?} v{version}");
            }
        }
    }
}

/// Frames of `R` at every version: a request read by the other crate, a response read back here.
fn frames_of<R: Request + Random>()
where
    R::Response: Random + PartialEq + std::fmt::Debug,
{
    let info = R::KEY.info();
    let mut dice = Dice::new(crate::seed());
    for version in info.versions.0..=info.versions.1 {
        let request = R::random(&mut dice, version);
        let frame = encode_request(&request, version, 77, "me").unwrap();
        let mut frame = Records::from_segments(frame).read().unwrap();
        assert_eq!(frame.get_i32() as usize, frame.len());
        let header_version = their_key(R::KEY).request_header_version(version);
        let header = theirs::RequestHeader::decode(&mut frame, header_version).unwrap();
        assert_eq!(
            (header.request_api_key, header.request_api_version),
            (R::KEY.code(), version)
        );
        assert_eq!(
            (header.correlation_id, header.client_id.as_deref()),
            (77, Some("me"))
        );
        assert_eq!(frame, encode(&request, version), "{} v{version}", R::NAME);

        let response = R::Response::random(&mut dice, version);
        let flexible = flexible_header(R::KEY, version);
        let frame = encode_response(&response, version, -1, flexible).unwrap();
        let mut frame = Records::from_segments(frame).read().unwrap();
        assert_eq!(frame.get_i32() as usize, frame.len());
        let header_version = their_key(R::KEY).response_header_version(version);
        let header = theirs::ResponseHeader::decode(&mut frame.clone(), header_version).unwrap();
        assert_eq!(header.correlation_id, -1);
        let read = decode_response::<R>(frame, version).unwrap();
        assert_eq!(read, (-1, response), "{} v{version}", R::NAME);
    }
}

#[test]
fn whole_frames_are_read_by_others_and_here() {
    macro_rules! frames { ($($name:ident),*) => { $(frames_of::<messages::$name>();)* } }
    frames!(
        ProduceRequest,
        FetchRequest,
        ListOffsetsRequest,
        MetadataRequest,
        OffsetCommitRequest,
        OffsetFetchRequest,
        FindCoordinatorRequest,
        JoinGroupRequest,
        SyncGroupRequest,
        HeartbeatRequest,
        LeaveGroupRequest,
        ApiVersionsRequest,
        CreateTopicsRequest,
        InitProducerIdRequest,
        DescribeClusterRequest
    );
}

#[test]
fn the_header_of_an_unknown_api_is_read_far_enough_to_answer_it() {
    let bytes = Bytes::from_static(&[0x7f, 0xff, 0, 3, 0, 0, 0, 9, 0xff]);
    let head = RequestHead::decode(&mut Decoder::new(bytes)).unwrap();
    assert_eq!(
        (head.api_key, head.api_version, head.correlation_id),
        (0x7fff, 3, 9)
    );
}
