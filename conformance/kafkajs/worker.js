// Node's kafkajs as a worker of the conformance suite (README.md says what it reads and prints).
'use strict';
const readline = require('node:readline');
const { Kafka, CompressionTypes, CompressionCodecs, Partitioners, logLevel } = require('kafkajs');
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');

const say = (...words) => console.log(words.join(' '));
const partitionList = (partitions) => partitions.join(',') || '-';

function connect(bootstrap, client) {
  return new Kafka({
    brokers: [bootstrap],
    clientId: client,
    logLevel: logLevel.WARN,
    logCreator: () => ({ label, log }) => console.error(label, log.message, log.error || ''),
    retry: { initialRetryTime: 300, maxRetryTime: 2000, retries: 20 },
  });
}

async function produce({ bootstrap, topic, codec = 'none', idempotent = 'true' }) {
  const producer = connect(bootstrap, 'producer').producer({
    createPartitioner: Partitioners.DefaultPartitioner,
    idempotent: idempotent === 'true',
    maxInFlightRequests: 1,
  });
  const compression = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy }[codec];
  await producer.connect();
  let waiting = [];
  let sending = Promise.resolve();
  // What came in while one request was under way goes out with the next.
  const send = async () => {
    const messages = waiting;
    waiting = [];
    if (messages.length === 0) return;
    try {
      const answers = await producer.send({ topic, messages, compression, acks: -1 });
      // kafkajs tells the base offset of each partition only; the suite looks the rest up in the log.
      for (const { key } of messages) say('produced', topic, '-', '-', key);
      if (answers.some((a) => a.errorCode !== 0)) throw new Error(JSON.stringify(answers));
    } catch (error) {
      for (const { key } of messages) say('failed', key, error.message);
    }
  };
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [key, value] = line.split(' ');
    waiting.push({ key, value });
    sending = sending.then(send);
  }
  await sending;
  await producer.disconnect();
}

async function consume({ bootstrap, topic, group, client, session = '6000' }) {
  const consumer = connect(bootstrap, client).consumer({
    groupId: group,
    sessionTimeout: Number(session),
    heartbeatInterval: 1000,
    rebalanceTimeout: 10000,
  });
  const positions = new Map();
  let owned = [];
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    if (owned.length > 0) say('revoked', topic, partitionList(owned));
    positions.clear();
    owned = payload.memberAssignment[topic] || [];
    say('assigned', topic, partitionList(owned));
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      positions.set(partition, Number(message.offset) + 1);
      say('got', topic, partition, message.offset, message.key, message.value);
    },
  });
  for await (const command of readline.createInterface({ input: process.stdin })) {
    if (command === 'quit') break;
    const offsets = [...positions].map(([partition, offset]) => ({ topic, partition, offset: String(offset) }));
    try {
      if (offsets.length > 0) await consumer.commitOffsets(offsets);
      for (const { partition, offset } of offsets) say('committed', topic, partition, offset);
      say('ok');
    } catch (error) {
      say('error', error.message);
    }
  }
  await consumer.disconnect();
}

const args = Object.fromEntries(process.argv.slice(3).map((word) => word.split(/=(.*)/s)));
({ produce, consume })[process.argv[2]](args).then(
  () => process.exit(0), // the input may still be open
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
