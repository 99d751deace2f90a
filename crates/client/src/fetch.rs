//! Fetching records, from several partitions and brokers at once.
//!
//! Invariant: records come in offset order, and `next_offset` is past all that was looked at, also what was left out
//! (markers of transactions, records of aborted ones).

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use catchword_wire::batch::{ControlRecord, Record, records, split_lenient};
use catchword_wire::messages::FetchRequest;
use catchword_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use catchword_wire::messages::fetch_response::{AbortedTransaction, PartitionData};
use catchword_wire::{ErrorCode, Str};

use crate::client::Client;
use crate::error::{ClientError, check};
use crate::types::TopicPartition;

/// The last version of Fetch that names topics; later ones have ids.
const BY_NAME: i16 = 12;

/// Where to read on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchFrom {
    /// The partition.
    pub partition: TopicPartition,
    /// The offset of the first record wanted.
    pub offset: i64,
}

/// How to fetch.
#[derive(Debug, Clone, Copy)]
pub struct FetchOptions {
    /// How long the broker may wait for records.
    pub max_wait: Duration,
    /// How many bytes it waits for.
    pub min_bytes: i32,
    /// How many bytes it sends at most, about.
    pub max_bytes: i32,
    /// Whether records of open and aborted transactions are left out.
    pub read_committed: bool,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            max_bytes: 16 << 20,
            read_committed: true,
        }
    }
}

/// What came of one partition.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The partition.
    pub partition: TopicPartition,
    /// The records, in offset order.
    pub records: Vec<Record>,
    /// Where to read on.
    pub next_offset: i64,
    /// The offset after the last record that readers may see.
    pub high_watermark: i64,
    /// The log start offset; -1 where the broker is too old to say.
    pub log_start: i64,
    /// The offset asked for is not in the log: before its start or after its end.
    pub out_of_range: bool,
    /// Offsets up to `next_offset` that have no record any more: compacted away.
    pub gaps: i64,
}

impl Client {
    /// Fetches records. A partition whose leader has moved is left out this time.
    ///
    /// # Errors
    /// If a broker cannot be asked or refuses, or records are damaged.
    pub fn fetch(
        &mut self,
        from: &[FetchFrom],
        options: FetchOptions,
    ) -> Result<Vec<Fetched>, ClientError> {
        self.retrying(|client| client.try_fetch(from, options))
    }

    fn try_fetch(
        &mut self,
        from: &[FetchFrom],
        options: FetchOptions,
    ) -> Result<Vec<Fetched>, ClientError> {
        let by_leader = self.by_leader(from, |from| &from.partition)?;
        let mut pending = Vec::with_capacity(by_leader.len());
        for (address, items) in by_leader {
            let request = request(&items, options);
            let sent = self
                .fresh(&address)
                .and_then(|c| c.send(&request, BY_NAME, options.max_wait));
            match sent {
                Ok(sent) => pending.push((address, sent)),
                Err(error) => {
                    self.note(&address, &error);
                    // Answers that are under way would be taken for those of later requests.
                    self.drop_connections(pending.into_iter().map(|(address, _)| address));
                    return Err(error);
                }
            }
        }
        let mut fetched = Vec::new();
        let mut failure = None;
        for (address, sent) in pending {
            match self
                .at(&address)
                .and_then(|c| c.receive::<FetchRequest>(sent))
            {
                Ok(response) => match check(response.error_code, None, || "fetch".into()) {
                    Ok(()) => {
                        for topic in response.responses {
                            for data in topic.partitions {
                                let place =
                                    TopicPartition::new(topic.topic.as_str(), data.partition_index);
                                fetched.extend(self.take(place, data, from, options)?);
                            }
                        }
                    }
                    Err(error) => failure = Some(error),
                },
                Err(error) => {
                    self.note(&address, &error);
                    failure = Some(error);
                }
            }
        }
        failure.map_or(Ok(fetched), Err)
    }

    fn take(
        &mut self,
        partition: TopicPartition,
        data: PartitionData,
        from: &[FetchFrom],
        options: FetchOptions,
    ) -> Result<Option<Fetched>, ClientError> {
        let Some(from) = from.iter().find(|from| from.partition == partition) else {
            return Ok(None);
        };
        let code = ErrorCode::from_code(data.error_code);
        let out_of_range = code == ErrorCode::OffsetOutOfRange;
        if matches!(
            code,
            ErrorCode::NotLeaderOrFollower
                | ErrorCode::FencedLeaderEpoch
                | ErrorCode::LeaderNotAvailable
        ) {
            self.forget_leaders();
            return Ok(None);
        }
        if !out_of_range {
            check(data.error_code, None, || format!("fetch from {partition}"))?;
        }
        let mut fetched = Fetched {
            partition,
            records: Vec::new(),
            next_offset: from.offset,
            high_watermark: data.high_watermark,
            log_start: data.log_start_offset,
            out_of_range,
            gaps: 0,
        };
        if !out_of_range {
            read_batches(&mut fetched, data, options.read_committed)?;
        }
        Ok(Some(fetched))
    }
}

fn request(items: &[&FetchFrom], options: FetchOptions) -> FetchRequest {
    let mut topics: BTreeMap<&str, Vec<FetchPartition>> = BTreeMap::new();
    for item in items {
        topics
            .entry(&item.partition.topic)
            .or_default()
            .push(FetchPartition {
                partition: item.partition.partition,
                fetch_offset: item.offset,
                partition_max_bytes: options.max_bytes,
                ..Default::default()
            });
    }
    FetchRequest {
        max_wait_ms: i32::try_from(options.max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: options.min_bytes,
        max_bytes: options.max_bytes,
        isolation_level: i8::from(options.read_committed),
        topics: topics
            .into_iter()
            .map(|(name, partitions)| FetchTopic {
                topic: Str::copy(name),
                partitions,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

fn read_batches(
    fetched: &mut Fetched,
    data: PartitionData,
    committed: bool,
) -> Result<(), ClientError> {
    let first = fetched.next_offset;
    let partition = fetched.partition.to_string();
    let damaged = |source| ClientError::Records {
        partition: partition.clone(),
        offset: first,
        source,
    };
    let Some(bytes) = data.records else {
        return Ok(());
    };
    let bytes = bytes.read().map_err(|source| ClientError::Io {
        address: partition.clone(),
        what: "Fetch",
        source,
    })?;
    let mut aborted = Aborted::new(
        data.aborted_transactions
            .filter(|_| committed)
            .unwrap_or_default(),
    );
    for batch in split_lenient(bytes) {
        let batch = batch.map_err(damaged)?;
        batch.verify_crc().map_err(damaged)?;
        let header = &batch.header;
        let records_end = fetched.next_offset.max(header.next_offset());
        // A batch that begins before what was asked for says nothing of what lies behind it.
        let held = if header.base_offset < fetched.next_offset {
            records_end - fetched.next_offset
        } else {
            i64::from(header.records_count)
        };
        fetched.gaps += records_end - fetched.next_offset - held;
        fetched.next_offset = records_end;
        aborted.begin_until(header.last_offset());
        let found = records(&batch).map_err(damaged)?;
        if header.is_control() {
            for record in found {
                aborted.end(header.producer_id, &record.map_err(damaged)?);
            }
        } else if !(header.is_transactional() && aborted.open.contains(&header.producer_id)) {
            for record in found {
                let record = record.map_err(damaged)?;
                if record.offset >= first {
                    fetched.records.push(record);
                }
            }
        }
    }
    Ok(())
}

/// Which producers' transactions, at the place that is being read, will turn out to be aborted.
struct Aborted {
    /// Not begun yet; the one with the lowest first offset last.
    ahead: Vec<AbortedTransaction>,
    open: HashSet<i64>,
}

impl Aborted {
    fn new(mut ahead: Vec<AbortedTransaction>) -> Self {
        ahead.sort_by_key(|aborted| std::cmp::Reverse(aborted.first_offset));
        Self {
            ahead,
            open: HashSet::new(),
        }
    }

    fn begin_until(&mut self, offset: i64) {
        while self
            .ahead
            .last()
            .is_some_and(|aborted| aborted.first_offset <= offset)
        {
            self.open
                .extend(self.ahead.pop().map(|aborted| aborted.producer_id));
        }
    }

    fn end(&mut self, producer_id: i64, marker: &Record) {
        if matches!(
            ControlRecord::parse(marker),
            Some(ControlRecord::Abort { .. })
        ) {
            self.open.remove(&producer_id);
        }
    }
}
