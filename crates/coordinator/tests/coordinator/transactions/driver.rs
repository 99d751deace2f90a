//! A transaction shard with its log. After every step the log must give the very state that the shard has.

use catchword_coordinator::{
    Client, Context, CoordinatorRecord, EndOfTransaction, InitCall, PartitionsCall, ProducerEpoch,
    ReplyTo, TransactionCall, TransactionConfig, TransactionEffect, TransactionOutput,
    TransactionReply, TransactionShard,
};
use catchword_wire::messages::describe_transactions_response::TransactionState;
use catchword_wire::messages::{EndTxnRequest, EndTxnResponse, InitProducerIdRequest};
use catchword_wire::{ErrorCode, Str};

/// EndTxn from a client whose epoch stays, and from one whose epoch rises.
pub(super) const TV1: i16 = 4;
pub(super) const TV2: i16 = 5;

pub(super) struct Coordinator {
    pub(super) shard: TransactionShard,
    pub(super) log: Vec<CoordinatorRecord>,
    pub(super) now_ms: i64,
    /// Markers to be written.
    pub(super) ends: Vec<EndOfTransaction>,
    pub(super) wants_id: bool,
    next_id: i64,
}

impl Coordinator {
    pub(super) fn new() -> Coordinator {
        Coordinator {
            shard: TransactionShard::new(TransactionConfig::default()),
            log: Vec::new(),
            now_ms: 1_000_000_000,
            ends: Vec::new(),
            wants_id: false,
            next_id: 100,
        }
    }

    pub(super) fn fresh_id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }

    /// Decides a call without writing it down.
    pub(super) fn decide(
        &mut self,
        api_version: i16,
        call: TransactionCall,
    ) -> (TransactionReply, TransactionOutput) {
        let mut out = TransactionOutput::default();
        let client = Client::default();
        let ctx = Context {
            now_ms: self.now_ms,
            client: &client,
            api_version,
        };
        self.shard.step(&ctx, ReplyTo(1), call, &mut out);
        let Some(TransactionEffect::Reply { reply, .. }) = out.effects.pop() else {
            panic!("it is not answered")
        };
        (reply, out)
    }

    pub(super) fn ask(&mut self, api_version: i16, call: TransactionCall) -> TransactionReply {
        let (reply, out) = self.decide(api_version, call);
        self.write(out);
        reply
    }

    pub(super) fn write(&mut self, out: TransactionOutput) {
        self.log.extend(out.records);
        for effect in out.effects {
            match effect {
                TransactionEffect::WriteMarkers(end) => self.ends.push(end),
                TransactionEffect::WantProducerId => self.wants_id = true,
                TransactionEffect::Reply { .. } => panic!("it is answered twice"),
            }
        }
        let replayed = replay(&self.log);
        assert_eq!(replayed.dump_records(), self.shard.dump_records());
    }

    /// The broker dies and comes back: what is in the log is left.
    pub(super) fn restart(&mut self) {
        self.shard = replay(&self.log);
        self.ends.clear();
        let mut out = TransactionOutput::default();
        self.shard.loaded(&mut out);
        self.write(out);
    }

    /// All markers that are to be written are.
    pub(super) fn finish(&mut self) {
        for end in std::mem::take(&mut self.ends) {
            let mut out = TransactionOutput::default();
            let (id, producer) = (&end.transactional_id, end.marker.producer);
            self.shard
                .markers_written(self.now_ms, id, producer, &mut out);
            self.write(out);
        }
    }

    pub(super) fn sweep(&mut self) {
        let mut out = TransactionOutput::default();
        self.shard.abort_timed_out(self.now_ms, &mut out);
        self.write(out);
    }

    pub(super) fn expire(&mut self) {
        let mut out = TransactionOutput::default();
        self.shard.expire(self.now_ms, &mut out);
        self.write(out);
    }

    pub(super) fn init_request(
        &mut self,
        request: InitProducerIdRequest,
    ) -> Result<ProducerEpoch, ErrorCode> {
        let call = InitCall {
            request,
            spare_id: self.fresh_id(),
        };
        match self.ask(4, TransactionCall::InitProducerId(call)) {
            TransactionReply::InitProducerId(response) => match response.error_code {
                0 => Ok(ProducerEpoch {
                    id: response.producer_id,
                    epoch: response.producer_epoch,
                }),
                code => Err(ErrorCode::from_code(code)),
            },
            other => panic!("not the answer: {other:?}"),
        }
    }

    pub(super) fn init(&mut self) -> ProducerEpoch {
        self.init_request(init_of(None)).expect("a producer")
    }

    /// A producer that goes on after an error asks for its next epoch (KIP-360).
    pub(super) fn go_on(&mut self, producer: ProducerEpoch) -> Result<ProducerEpoch, ErrorCode> {
        self.init_request(init_of(Some(producer)))
    }

    pub(super) fn add(&mut self, producer: ProducerEpoch, partition: i32) -> ErrorCode {
        let call = TransactionCall::AddPartitions(partitions("x", producer, partition));
        self.partitions(call)
    }

    pub(super) fn verify(&mut self, producer: ProducerEpoch, partition: i32) -> ErrorCode {
        let call = TransactionCall::VerifyPartitions(partitions("x", producer, partition));
        self.partitions(call)
    }

    pub(super) fn partitions(&mut self, call: TransactionCall) -> ErrorCode {
        match self.ask(3, call) {
            TransactionReply::Partitions(errors) => errors[0],
            other => panic!("not the answer: {other:?}"),
        }
    }

    pub(super) fn end(
        &mut self,
        api_version: i16,
        producer: ProducerEpoch,
        committed: bool,
    ) -> Result<ProducerEpoch, ErrorCode> {
        let call = TransactionCall::EndTxn(end_of("x", producer, committed));
        let TransactionReply::EndTxn(EndTxnResponse {
            error_code,
            producer_id: id,
            producer_epoch: epoch,
            ..
        }) = self.ask(api_version, call)
        else {
            panic!("not the answer")
        };
        match error_code {
            0 => Ok(ProducerEpoch { id, epoch }),
            code => Err(ErrorCode::from_code(code)),
        }
    }

    pub(super) fn described(&mut self, transactional_id: &str) -> TransactionState {
        match self.ask(0, TransactionCall::Describe(Str::copy(transactional_id))) {
            TransactionReply::Describe(state) => state,
            other => panic!("not the answer: {other:?}"),
        }
    }

    pub(super) fn state(&mut self) -> String {
        self.described("x").transaction_state.to_string()
    }
}

pub(super) fn replay(log: &[CoordinatorRecord]) -> TransactionShard {
    let mut shard = TransactionShard::new(TransactionConfig::default());
    for record in log {
        shard.replay(&record.key, record.value.as_deref()).unwrap();
    }
    shard
}

pub(super) fn init_of(producer: Option<ProducerEpoch>) -> InitProducerIdRequest {
    let ProducerEpoch { id, epoch } = producer.unwrap_or(ProducerEpoch { id: -1, epoch: -1 });
    InitProducerIdRequest {
        transactional_id: Some("x".into()),
        transaction_timeout_ms: 60_000,
        producer_id: id,
        producer_epoch: epoch,
        ..InitProducerIdRequest::default()
    }
}

pub(super) fn partitions(id: &str, producer: ProducerEpoch, partition: i32) -> PartitionsCall {
    PartitionsCall {
        transactional_id: Str::copy(id),
        producer,
        partitions: vec![("t".into(), partition)],
        version: 2,
    }
}

pub(super) fn end_of(id: &str, producer: ProducerEpoch, committed: bool) -> EndTxnRequest {
    EndTxnRequest {
        transactional_id: Str::copy(id),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        committed,
    }
}
