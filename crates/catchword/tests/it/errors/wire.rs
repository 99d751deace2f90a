//! A client that sends whatever it is told, right or wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use catchword_wire::ErrorCode;
use catchword_wire::api::Request;
use catchword_wire::frame::{decode_response, encode_request};
use catchword_wire::messages::metadata_request::MetadataRequestTopic;
use catchword_wire::messages::{FindCoordinatorRequest, MetadataRequest};
use catchword_wire::{Str, Uuid};

use crate::harness::{Cluster, PATIENCE, wait_until};

/// Kinds of coordinators.
pub(super) const GROUP: i8 = 0;
pub(super) const TRANSACTION: i8 = 1;

pub(super) struct Wire(TcpStream);

impl Wire {
    /// A connection to the only broker, once it serves the coordinator of this group or transactional id.
    pub(super) fn to(cluster: &Cluster, kind: i8, key: &str) -> Wire {
        let stream = TcpStream::connect(&cluster.bootstrap).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut wire = Wire(stream);
        let request = FindCoordinatorRequest {
            key_type: kind,
            coordinator_keys: vec![Str::copy(key)],
            ..FindCoordinatorRequest::default()
        };
        let find = |wire: &mut Wire| wire.call(&request, 4).coordinators[0].error_code;
        wire.patiently(find);
        wire
    }

    pub(super) fn call<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        for segment in encode_request(request, version, 1, "errors").unwrap() {
            self.0.write_all(&segment.read().unwrap()).unwrap();
        }
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut frame = vec![0; i32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut frame).unwrap();
        decode_response::<R>(Bytes::from(frame), version).unwrap().1
    }

    /// The id of a topic that is there.
    pub(super) fn topic_id(&mut self, name: &str) -> Uuid {
        let request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic {
                name: Some(Str::copy(name)),
                ..MetadataRequestTopic::default()
            }]),
            ..MetadataRequest::default()
        };
        let mut topic_id = Uuid::default();
        wait_until("the topic is known", || {
            let topic = &self.call(&request, 12).topics[0];
            topic_id = topic.topic_id;
            topic.error_code == 0
        });
        topic_id
    }

    /// Asks until the coordinator serves and has ended what goes on.
    pub(super) fn patiently(&mut self, mut ask: impl FnMut(&mut Wire) -> i16) -> ErrorCode {
        let until = Instant::now() + PATIENCE;
        loop {
            let code = ErrorCode::from_code(ask(self));
            let is_busy = matches!(
                code,
                ErrorCode::CoordinatorNotAvailable
                    | ErrorCode::CoordinatorLoadInProgress
                    | ErrorCode::NotCoordinator
                    | ErrorCode::ConcurrentTransactions
            );
            if !is_busy || Instant::now() > until {
                return code;
            }
            thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}
