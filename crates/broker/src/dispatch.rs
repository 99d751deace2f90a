//! From a frame to the handler of its API, and from what the handler says back to a frame.
//!
//! This is the list of what is spoken here. A handler sees a decoded request and never its bytes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use catchword_wire::api::{ApiKey, Request};
use catchword_wire::frame::{self, RequestHead};
use catchword_wire::messages::OffsetFetchRequest;
use catchword_wire::old;
use catchword_wire::{DecodeError, Decoder, EncodeError, Message, Segment, Str, Uuid};

use crate::api;
use crate::broker::Broker;
use crate::clock;
use crate::outcome::{BoxFuture, Outcome};
use crate::quota::Kind;
use crate::readings::{Reading, Seat};
use crate::zookeeper;

/// Who is at the other end of a connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// `/127.0.0.1` as Kafka shows it.
    pub(crate) host: Str,
    pub(crate) port: u16,
    /// Which of the broker's listeners it came in by.
    pub(crate) listener: usize,
    /// Name and version of the client's software, if it said (KIP-511).
    pub(crate) software: OnceLock<(Str, Str)>,
    /// A request of it has woken readers, who should not wait for this one's disk.
    pub(crate) has_woken: AtomicBool,
    /// Until when nothing more is read of it (KIP-219), in milliseconds of [`clock::steady_ms`].
    muted_until: AtomicU64,
    /// The id under which it pushes metrics.
    instance: Mutex<Option<Uuid>>,
    /// What it was handed, if it is a member's.
    pub(crate) seat: Seat,
}

impl Client {
    pub(crate) fn new(peer: SocketAddr, listener: usize) -> Client {
        Client {
            host: format!("/{}", peer.ip()).into(),
            port: peer.port(),
            listener,
            software: OnceLock::new(),
            has_woken: AtomicBool::new(false),
            muted_until: AtomicU64::new(0),
            instance: Mutex::default(),
            seat: Seat::default(),
        }
    }

    /// Notes the id under which it pushes metrics.
    pub(crate) fn remember_instance(&self, id: Uuid) {
        *self.instance.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    }

    /// The id under which it pushes metrics, if it does.
    pub(crate) fn instance(&self) -> Option<Uuid> {
        *self.instance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads nothing more of it for some milliseconds.
    pub(crate) fn mute(&self, ms: i32) {
        let until = clock::steady_ms().saturating_add(u64::try_from(ms).unwrap_or(0));
        self.muted_until.fetch_max(until, Ordering::Relaxed);
    }

    /// For how long nothing is read of it yet.
    pub(crate) fn muted_for(&self) -> Option<Duration> {
        let until = self.muted_until.load(Ordering::Relaxed);
        if until == 0 {
            return None;
        }
        let left = until.saturating_sub(clock::steady_ms());
        (left > 0).then(|| Duration::from_millis(left))
    }
}

/// A request's surroundings.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) broker: Arc<Broker>,
    pub(crate) client: Arc<Client>,
    pub(crate) client_id: Str,
    pub(crate) version: i16,
    /// Bytes of the whole request.
    pub(crate) size: usize,
}

impl Call {
    /// Takes note that a member of a group sent it.
    pub(crate) fn is_members(&self) {
        let Client { seat, host, .. } = &*self.client;
        let readings = &self.broker.readings;
        readings.beats(seat, &self.client_id, host, clock::steady_ms());
    }

    /// Where it is to be noted what the client is handed; `None` if it is no member of a group.
    pub(crate) fn reading(&self) -> Option<Arc<Reading>> {
        let Client { seat, host, .. } = &*self.client;
        self.broker.readings.of(seat, &self.client_id, host)
    }

    /// Counts bytes against the client's quota, and holds it up if it has moved too many. Says for how many milliseconds.
    pub(crate) fn charge_bytes(&self, kind: Kind, bytes: usize) -> i32 {
        let quotas = &self.broker.quotas;
        if !quotas.limits(kind) {
            return 0;
        }
        let ms = quotas.record(kind, &self.client_id, bytes as f64, clock::now_ms());
        if ms > 0 {
            self.client.mute(ms);
        }
        ms
    }

    fn charge_time(&self, took: Duration) -> i32 {
        let percent = took.as_secs_f64() * 100.0;
        let quotas = &self.broker.quotas;
        let ms = quotas.record(Kind::Request, &self.client_id, percent, clock::now_ms());
        if ms > 0 {
            self.client.mute(ms);
        }
        ms
    }
}

/// The frame that answers, if there is to be one.
pub(crate) enum Answer {
    Ready(Vec<Segment>),
    Later(BoxFuture<Result<Vec<Segment>, Refused>>),
    Silent,
}

/// Why a connection is closed instead of answered: Kafka has no answer to these either.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(
        "a frame of {size} bytes was announced; socket.request.max.bytes allows {max} (is this a Kafka client?)"
    )]
    FrameSize { size: i32, max: usize },
    #[error("the request's header cannot be read: {0}")]
    Header(DecodeError),
    #[error("API key {0} is not spoken here")]
    UnknownApi(i16),
    #[error("{api} version {version} is not spoken here, versions {} to {} are", versions.0, versions.1)]
    UnknownVersion {
        api: &'static str,
        version: i16,
        versions: (i16, i16),
    },
    #[error("{api} version {version} cannot be read: {error}")]
    Body {
        api: &'static str,
        version: i16,
        error: DecodeError,
    },
    #[error("the answer to {api} version {version} cannot be written: {error}")]
    Answer {
        api: &'static str,
        version: i16,
        error: EncodeError,
    },
    #[error("{0}")]
    Handler(&'static str),
}

/// Decodes a request and runs the first stage of its handler.
pub(crate) fn request(
    broker: &Arc<Broker>,
    client: &Arc<Client>,
    frame: Bytes,
) -> Result<Answer, Refused> {
    let size = frame.len();
    let mut d = Decoder::new(frame);
    let head = RequestHead::decode(&mut d).map_err(Refused::Header)?;
    let Some(key) = ApiKey::from_code(head.api_key) else {
        return Err(Refused::UnknownApi(head.api_key));
    };
    let version = head.api_version;
    let versions = key.info().versions;
    let call = Call {
        broker: broker.clone(),
        client: client.clone(),
        client_id: head.client_id.unwrap_or_default(),
        version,
        size,
    };
    if let Some(form) = old::form_of(key, version)
        && zookeeper::serves_old_requests(broker)
    {
        let body = d;
        let run = Run {
            call,
            correlation_id: head.correlation_id,
            body,
        };
        return run.old(key, form);
    }
    if !(versions.0..=versions.1).contains(&version) {
        if key == ApiKey::ApiVersions {
            return api::api_versions::unsupported(broker, head.correlation_id);
        }
        return Err(Refused::UnknownVersion {
            api: key.info().name,
            version,
            versions,
        });
    }
    route(
        key,
        Run {
            call,
            correlation_id: head.correlation_id,
            body: d,
        },
    )
}

/// A request whose API is known and whose body is still to be decoded.
struct Run {
    call: Call,
    correlation_id: i32,
    body: Decoder,
}

#[rustfmt::skip]
fn route(key: ApiKey, run: Run) -> Result<Answer, Refused> {
    match key {
        ApiKey::Produce                 => run.with(api::produce::handle),
        ApiKey::Fetch                   => run.with(api::fetch::handle),
        ApiKey::ListOffsets             => run.with(api::list_offsets::handle),
        ApiKey::Metadata                => run.with(api::metadata::handle),
        ApiKey::OffsetCommit            => run.with(api::offset_commit::handle),
        ApiKey::OffsetFetch             => run.with(api::offset_fetch::handle),
        ApiKey::FindCoordinator         => run.with(api::find_coordinator::handle),
        ApiKey::JoinGroup               => run.with(api::join_group::handle),
        ApiKey::Heartbeat               => run.with(api::heartbeat::handle),
        ApiKey::LeaveGroup              => run.with(api::leave_group::handle),
        ApiKey::SyncGroup               => run.with(api::sync_group::handle),
        ApiKey::DescribeGroups          => run.with(api::describe_groups::handle),
        ApiKey::ListGroups              => run.with(api::list_groups::handle),
        ApiKey::SaslHandshake           => run.with(api::sasl_handshake::handle),
        ApiKey::ApiVersions             => run.with(api::api_versions::handle),
        ApiKey::CreateTopics            => run.with(api::create_topics::handle),
        ApiKey::DeleteTopics            => run.with(api::delete_topics::handle),
        ApiKey::DeleteRecords           => run.with(api::delete_records::handle),
        ApiKey::InitProducerId          => run.with(api::init_producer_id::handle),
        ApiKey::OffsetForLeaderEpoch    => run.with(api::offset_for_leader_epoch::handle),
        ApiKey::DescribeConfigs         => run.with(api::describe_configs::handle),
        ApiKey::AlterConfigs            => run.with(api::alter_configs::handle),
        ApiKey::DescribeLogDirs         => run.with(api::describe_log_dirs::handle),
        ApiKey::SaslAuthenticate        => run.with(api::sasl_authenticate::handle),
        ApiKey::CreatePartitions        => run.with(api::create_partitions::handle),
        ApiKey::DeleteGroups            => run.with(api::delete_groups::handle),
        ApiKey::IncrementalAlterConfigs => run.with(api::incremental_alter_configs::handle),
        ApiKey::OffsetDelete            => run.with(api::offset_delete::handle),
        ApiKey::DescribeCluster         => run.with(api::describe_cluster::handle),
        ApiKey::DescribeQuorum          => run.with(api::describe_quorum::handle),
        ApiKey::DescribeProducers       => run.with(api::describe_producers::handle),
        ApiKey::AddPartitionsToTxn      => run.with(api::add_partitions_to_txn::handle),
        ApiKey::AddOffsetsToTxn         => run.with(api::add_offsets_to_txn::handle),
        ApiKey::EndTxn                  => run.with(api::end_txn::handle),
        ApiKey::WriteTxnMarkers         => run.with(api::write_txn_markers::handle),
        ApiKey::TxnOffsetCommit         => run.with(api::txn_offset_commit::handle),
        ApiKey::DescribeTransactions    => run.with(api::describe_transactions::handle),
        ApiKey::ListTransactions        => run.with(api::list_transactions::handle),
        ApiKey::ConsumerGroupHeartbeat  => run.with(api::consumer_group_heartbeat::handle),
        ApiKey::ConsumerGroupDescribe   => run.with(api::consumer_group_describe::handle),
        ApiKey::DescribeTopicPartitions => run.with(api::describe_topic_partitions::handle),
        ApiKey::ElectLeaders => run.with(api::elect_leaders::handle),
        ApiKey::AlterPartitionReassignments => run.with(api::alter_partition_reassignments::handle),
        ApiKey::ListPartitionReassignments => run.with(api::list_partition_reassignments::handle),
        ApiKey::DescribeClientQuotas => run.with(api::describe_client_quotas::handle),
        ApiKey::AlterClientQuotas => run.with(api::alter_client_quotas::handle),
        ApiKey::UpdateFeatures => run.with(api::update_features::handle),
        ApiKey::ListConfigResources => run.with(api::list_config_resources::handle),
        ApiKey::ShareGroupHeartbeat => run.with(api::share_group_heartbeat::handle),
        ApiKey::ShareGroupDescribe => run.with(api::share_group_describe::handle),
        ApiKey::StreamsGroupHeartbeat => run.with(api::streams_group_heartbeat::handle),
        ApiKey::StreamsGroupDescribe => run.with(api::streams_group_describe::handle),
        ApiKey::ShareFetch => run.with(api::share_fetch::handle),
        ApiKey::ShareAcknowledge => run.with(api::share_acknowledge::handle),
        ApiKey::DescribeShareGroupOffsets => run.with(api::describe_share_group_offsets::handle),
        ApiKey::AlterShareGroupOffsets => run.with(api::alter_share_group_offsets::handle),
        ApiKey::DeleteShareGroupOffsets => run.with(api::delete_share_group_offsets::handle),
        ApiKey::GetTelemetrySubscriptions => run.with(api::get_telemetry_subscriptions::handle),
        ApiKey::PushTelemetry => run.with(api::push_telemetry::handle),
    }
}

impl Run {
    fn with<R: Request>(
        self,
        handler: fn(&Call, R) -> Outcome<R::Response>,
    ) -> Result<Answer, Refused>
    where
        R::Response: Send + 'static,
    {
        let version = self.call.version;
        self.with_form(handler, R::decode, version)
    }

    /// Versions that Kafka 4 gave up; answered in the form of version `form`.
    fn old(self, key: ApiKey, form: i16) -> Result<Answer, Refused> {
        match key {
            ApiKey::OffsetCommit => {
                self.with_form(api::offset_commit::handle, old::offset_commit, form)
            }
            _ => {
                let decode = |d: &mut Decoder, _| OffsetFetchRequest::decode(d, 1);
                self.with_form(api::offset_fetch::handle, decode, form)
            }
        }
    }

    fn with_form<R: Request>(
        mut self,
        handler: fn(&Call, R) -> Outcome<R::Response>,
        decode: fn(&mut Decoder, i16) -> Result<R, DecodeError>,
        form: i16,
    ) -> Result<Answer, Refused>
    where
        R::Response: Send + 'static,
    {
        let version = self.call.version;
        let api = R::KEY.info().name;
        let request = decode(&mut self.body, version).map_err(|error| Refused::Body {
            api,
            version,
            error,
        })?;
        let correlation_id = self.correlation_id;
        let quotas = &self.call.broker.quotas;
        let began = quotas.limits(Kind::Request).then(Instant::now);
        let outcome = handler(&self.call, request);
        let held_up = began.map_or(0, |began| self.call.charge_time(began.elapsed()));
        let encode = move |mut response: R::Response| {
            if held_up > 0 {
                response.throttle_at_least(held_up);
            }
            let flexible = frame::flexible_header(R::KEY, version);
            frame::encode_response(&response, form, correlation_id, flexible).map_err(|error| {
                Refused::Answer {
                    api,
                    version,
                    error,
                }
            })
        };
        match outcome {
            Outcome::Now(response) => encode(response).map(Answer::Ready),
            Outcome::Later(future) => {
                Ok(Answer::Later(Box::pin(async move { encode(future.await) })))
            }
            Outcome::Silent => Ok(Answer::Silent),
            Outcome::Close(why) => Err(Refused::Handler(why)),
        }
    }
}
