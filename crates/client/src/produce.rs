//! Producing: one batch at a time, to one partition.
//!
//! With acks=all the producer is idempotent (KIP-98), so that trying again after a lost answer stores nothing twice.
//! Otherwise a batch is tried again only where the broker said that it did not store it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use catchword_wire::batch::{BatchBuilder, Compression, NewRecord};
use catchword_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use catchword_wire::messages::{InitProducerIdRequest, ProduceRequest};
use catchword_wire::{ErrorCode, Records, Str};

use crate::client::{ANY, Client};
use crate::error::{ClientError, check};
use crate::types::TopicPartition;

/// The last version of Produce that names topics; later ones have ids.
const BY_NAME: i16 = 12;

/// When a produced record counts as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// When it was sent.
    None,
    /// When the leader has it.
    Leader,
    /// When all in-sync replicas have it.
    All,
}

impl Acks {
    fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// Where records were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Produced {
    /// The first record's offset; `None` without acknowledgement.
    pub base_offset: Option<i64>,
}

/// How to produce, and how far it got.
#[derive(Debug)]
pub struct Producer {
    acks: Acks,
    compression: Compression,
    identity: Option<(i64, i16)>,
    sequences: HashMap<TopicPartition, i32>,
}

impl Client {
    /// A producer; with [`Acks::All`] an idempotent one, where the broker lets it.
    ///
    /// # Errors
    /// If no broker answers.
    pub fn producer(
        &mut self,
        acks: Acks,
        compression: Compression,
    ) -> Result<Producer, ClientError> {
        let identity = match acks {
            Acks::All => self.producer_id()?,
            _ => None,
        };
        Ok(Producer {
            acks,
            compression,
            identity,
            sequences: HashMap::new(),
        })
    }

    fn producer_id(&mut self) -> Result<Option<(i64, i16)>, ClientError> {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        let attempt = |client: &mut Self| {
            let response = client.call_any(&request, ANY)?;
            check(response.error_code, None, || "get a producer id".into())?;
            Ok((response.producer_id, response.producer_epoch))
        };
        match self.retrying(attempt) {
            Ok(identity) => Ok(Some(identity)),
            Err(ClientError::NoCommonVersion { .. }) => Ok(None),
            Err(error) if error.code() == Some(ErrorCode::ClusterAuthorizationFailed) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stores records as one batch.
    ///
    /// # Errors
    /// If the broker refuses them. After a fault of the connection, and without an idempotent producer, it is not known
    /// whether they were stored.
    pub fn produce(
        &mut self,
        producer: &mut Producer,
        partition: &TopicPartition,
        records: &[NewRecord<'_>],
    ) -> Result<Produced, ClientError> {
        let sequence = producer.sequences.get(partition).copied().unwrap_or(0);
        let mut builder = BatchBuilder::new(0).compression(producer.compression);
        if let Some((id, epoch)) = producer.identity {
            builder = builder.producer(id, epoch, sequence);
        }
        for record in records {
            builder.push(*record)?;
        }
        let request = ProduceRequest {
            transactional_id: None,
            acks: producer.acks.code(),
            timeout_ms: self.timeout_ms(),
            topic_data: vec![TopicProduceData {
                name: Str::copy(&partition.topic),
                partition_data: vec![PartitionProduceData {
                    index: partition.partition,
                    records: Some(Records::from(builder.build()?)),
                }],
                ..Default::default()
            }],
        };
        let produced = self.send_batch(&request, partition, producer)?;
        // Sequences wrap around at the largest 32-bit number.
        let next = (i64::from(sequence) + records.len() as i64) % (1 << 31);
        producer.sequences.insert(partition.clone(), next as i32);
        Ok(produced)
    }

    fn send_batch(
        &mut self,
        request: &ProduceRequest,
        partition: &TopicPartition,
        producer: &Producer,
    ) -> Result<Produced, ClientError> {
        let deadline = self.deadline();
        loop {
            let error = match self.try_batch(request, partition, producer.acks) {
                Ok(produced) => return Ok(produced),
                Err(error) => error,
            };
            let refused = error.code().is_some();
            let safe = refused
                || producer.identity.is_some()
                || matches!(error, ClientError::Unreachable { .. });
            // Stored already: an earlier try got through, only its answer was lost.
            if error.code() == Some(ErrorCode::DuplicateSequenceNumber) {
                return Ok(Produced { base_offset: None });
            }
            if !(safe && error.is_retriable() && Instant::now() < deadline) {
                return Err(error);
            }
            self.forget_leaders();
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn try_batch(
        &mut self,
        request: &ProduceRequest,
        partition: &TopicPartition,
        acks: Acks,
    ) -> Result<Produced, ClientError> {
        let address = self.leader(partition)?;
        if acks == Acks::None {
            // The broker answers nothing.
            let sent = self
                .fresh(&address)?
                .send(request, BY_NAME, Duration::ZERO)
                .map(|_| ());
            if let Err(error) = &sent {
                self.note(&address, error);
            }
            return sent.map(|()| Produced { base_offset: None });
        }
        let response = self.call_at(&address, request, BY_NAME, Duration::ZERO)?;
        let result = response
            .responses
            .iter()
            .flat_map(|topic| &topic.partition_responses)
            .next();
        let Some(result) = result else {
            return Ok(Produced { base_offset: None });
        };
        check(result.error_code, result.error_message.as_deref(), || {
            format!("produce to {partition}")
        })?;
        Ok(Produced {
            base_offset: (result.base_offset >= 0).then_some(result.base_offset),
        })
    }
}
