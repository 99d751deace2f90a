#!/usr/bin/env python3
"""Python's aiokafka as a worker of the conformance suite (README.md says what it reads and prints)."""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError


def say(*words):
    print(*words, flush=True)


async def stdin_lines():
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode().strip()


async def produce(bootstrap, topic, codec="none", idempotent="true"):
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=idempotent == "true",
        compression_type=None if codec == "none" else codec,
        linger_ms=5,
    )
    await producer.start()
    deliveries = []

    async def deliver(key, sent):
        try:
            at = await sent
            say("produced", topic, at.partition, at.offset, key)
        except KafkaError as error:
            say("failed", key, error)

    async for line in stdin_lines():
        key, value = line.split()
        sent = await producer.send(topic, value.encode(), key.encode())
        deliveries.append(asyncio.ensure_future(deliver(key, sent)))
    await asyncio.gather(*deliveries)
    await producer.stop()


async def consume(bootstrap, topic, group, client, session="6000"):
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        client_id=client,
        session_timeout_ms=int(session),
        heartbeat_interval_ms=1000,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    positions = {}

    class Rebalances(ConsumerRebalanceListener):
        def on_partitions_assigned(self, assigned):
            say("assigned", topic, ",".join(str(p.partition) for p in sorted(assigned)) or "-")

        def on_partitions_revoked(self, revoked):
            positions.clear()
            say("revoked", topic, ",".join(str(p.partition) for p in sorted(revoked)) or "-")

    async def commit():
        offsets = dict(positions)
        try:
            if offsets:
                await consumer.commit({TopicPartition(topic, p): o for p, o in offsets.items()})
            for partition, offset in offsets.items():
                say("committed", topic, partition, offset)
            say("ok")
        except KafkaError as error:
            say("error", repr(error))

    async def read():
        while True:
            for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                for record in records:
                    positions[partition.partition] = record.offset + 1
                    say("got", topic, partition.partition, record.offset, record.key.decode(), record.value.decode())

    consumer.subscribe([topic], listener=Rebalances())
    await consumer.start()
    reading = asyncio.ensure_future(read())
    async for command in stdin_lines():
        if command == "commit":
            await commit()
        elif command == "quit":
            break
    reading.cancel()
    await consumer.stop()


if __name__ == "__main__":
    work = {"produce": produce, "consume": consume}[sys.argv[1]]
    asyncio.run(work(**dict(word.split("=", 1) for word in sys.argv[2:])))
