#!/usr/bin/env python3
"""Python's confluent-kafka as a worker of the conformance suite (README.md says what it reads and prints)."""

import sys
import threading
import queue

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition


def say(*words):
    print(*words, flush=True)


def produce(bootstrap, topic, codec="none", idempotent="true"):
    producer = Producer({
        "bootstrap.servers": bootstrap,
        "compression.type": codec,
        "enable.idempotence": idempotent == "true",
        "acks": "all",
        "linger.ms": 5,
        "reconnect.backoff.max.ms": 1000,
    })

    def delivered(error, message):
        key = message.key().decode()
        if error:
            say("failed", key, error)
        else:
            say("produced", message.topic(), message.partition(), message.offset(), key)

    for line in sys.stdin:
        key, value = line.split()
        producer.produce(topic, value, key, on_delivery=delivered)
        producer.poll(0)
    producer.flush()


def consume(bootstrap, topic, group, client, session="6000", instance=None, assignor=None):
    config = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "client.id": client,
        "session.timeout.ms": int(session),
        "heartbeat.interval.ms": 1000,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "reconnect.backoff.max.ms": 1000,
    }
    if instance:
        config["group.instance.id"] = instance
    if assignor:
        config["partition.assignment.strategy"] = assignor
    consumer = Consumer(config)
    positions = {}

    def assigned(_, partitions):
        say("assigned", topic, ",".join(str(p.partition) for p in partitions) or "-")

    def revoked(_, partitions):
        for p in partitions:
            positions.pop(p.partition, None)
        say("revoked", topic, ",".join(str(p.partition) for p in partitions) or "-")

    def commit():
        offsets = [TopicPartition(topic, p, o) for p, o in positions.items()]
        try:
            for done in consumer.commit(offsets=offsets, asynchronous=False) if offsets else []:
                if done.error:
                    raise KafkaException(done.error)
                say("committed", topic, done.partition, done.offset)
            say("ok")
        except KafkaException as error:
            say("error", error)

    commands = queue.Queue()
    threading.Thread(target=lambda: [commands.put(l.strip()) for l in sys.stdin] + [commands.put("quit")], daemon=True).start()
    consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked)
    while True:
        message = consumer.poll(0.05)
        if message is not None and message.error():
            print(message.error(), file=sys.stderr)
        elif message is not None:
            positions[message.partition()] = message.offset() + 1
            say("got", topic, message.partition(), message.offset(), message.key().decode(), message.value().decode())
        if not commands.empty():
            command = commands.get()
            if command == "commit":
                commit()
            elif command == "quit":
                break
    consumer.close()


def transform(bootstrap, topic, to, group, client):
    """Every life of it begins anew: whatever a broken transaction left is aborted by the next one's beginning."""
    while True:
        producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": f"{group}-mover", "linger.ms": 0,
                             "reconnect.backoff.max.ms": 1000, "transaction.timeout.ms": 10000})
        consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "client.id": client,
                             "group.instance.id": "mover",  # whoever comes after a kill takes over at once
                             "session.timeout.ms": 6000, "heartbeat.interval.ms": 1000,
                             "auto.offset.reset": "earliest", "enable.auto.commit": False,
                             "isolation.level": "read_committed", "reconnect.backoff.max.ms": 1000})
        try:
            producer.init_transactions(30)
            consumer.subscribe([topic])
            while True:
                messages = [m for m in consumer.consume(20, 0.2) if not m.error()]
                if not messages:
                    continue
                producer.begin_transaction()
                ends = {}
                for m in messages:
                    producer.produce(to, m.value(), m.key())
                    ends[m.partition()] = m.offset() + 1
                producer.send_offsets_to_transaction(
                    [TopicPartition(topic, p, offset) for p, offset in ends.items()], consumer.consumer_group_metadata())
                producer.commit_transaction(30)
                say("moved", len(messages))
        except KafkaException as error:
            say("broke", error)
            consumer.close()


if __name__ == "__main__":
    {"produce": produce, "consume": consume, "transform": transform}[sys.argv[1]](**dict(word.split("=", 1) for word in sys.argv[2:]))
