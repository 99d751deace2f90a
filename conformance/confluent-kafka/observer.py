#!/usr/bin/env python3
"""Looks at a broker from outside, with a client that takes no part in the scenario.

    create TOPIC PARTITIONS [KEY=VALUE...]   makes a topic
    delete TOPIC                             deletes a topic
    describe                                 prints `topic NAME ID PARTITIONS` and `config NAME KEY VALUE` lines
    committed GROUP TOPIC                    prints `committed TOPIC PARTITION OFFSET` lines
    members GROUP                            prints `state STATE`, then `member CLIENT-ID PARTITION,...` lines
    dump TOPIC                               prints `record PARTITION OFFSET KEY VALUE` for all that is in the topic and committed
"""

import base64
import struct
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ConfigSource, NewTopic


NOT_YET = (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE,
           KafkaError.NOT_COORDINATOR, KafkaError.GROUP_ID_NOT_FOUND, KafkaError.NOT_LEADER_FOR_PARTITION,
           KafkaError._TRANSPORT, KafkaError._TIMED_OUT)


def retried(call, seconds=30):
    """A group that is just being made, or loaded after a restart, is not there yet: ask again, as a client would."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except KafkaException as error:
            if time.monotonic() > deadline or error.args[0].code() not in NOT_YET:
                raise
            time.sleep(0.2)


def create(admin, topic, partitions, *config):
    new = NewTopic(topic, int(partitions), 1, config=dict(c.split("=", 1) for c in config))
    admin.create_topics([new], operation_timeout=30)[topic].result()
    # Creation is answered before every broker's metadata has it.
    while topic not in admin.list_topics(timeout=10).topics:
        time.sleep(0.1)


def delete(admin, topic):
    admin.delete_topics([topic], operation_timeout=30)[topic].result()
    while topic in admin.list_topics(timeout=10).topics:
        time.sleep(0.1)


def describe(admin):
    names = [name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")]
    for name, topic in admin.describe_topics(TopicCollection(names)).items():
        topic = topic.result()
        print("topic", name, uuid(topic.topic_id), len(topic.partitions))
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
    for resource, entries in admin.describe_configs(resources).items():
        for entry in entries.result().values():
            if entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value:
                print("config", resource.name, entry.name, entry.value)


def uuid(value):
    """As Kafka writes it: base64 for URLs, without padding."""
    bits = [half & (2**64 - 1) for half in (value.get_most_significant_bits(), value.get_least_significant_bits())]
    return base64.urlsafe_b64encode(struct.pack(">QQ", *bits)).decode().rstrip("=")


def committed(admin, group, topic):
    # Not the admin client's list_consumer_group_offsets: in 2.16 it crashes when the coordinator is still loading.
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    partitions = [TopicPartition(topic, p) for p in admin.list_topics(topic, timeout=10).topics[topic].partitions]
    for p in retried(lambda: consumer.committed(partitions, timeout=30)):
        if p.error:
            raise KafkaException(p.error)
        if p.offset >= 0:
            print("committed", topic, p.partition, p.offset)
    consumer.close()


def members(admin, group):
    answer = retried(lambda: admin.describe_consumer_groups([group])[group].result())
    print("state", answer.state.name)
    for m in answer.members:
        partitions = m.assignment.topic_partitions if m.assignment else []
        print("member", m.client_id, ",".join(str(p.partition) for p in partitions) or "-")


def dump(admin, topic):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "dump", "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "enable.partition.eof": True})
    waiting = {}
    for p in admin.list_topics(topic, timeout=10).topics[topic].partitions:
        low, high = retried(lambda p=p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10))
        if high > low:
            waiting[p] = high
    consumer.assign([TopicPartition(topic, p, 0) for p in waiting])
    while waiting:
        message = consumer.poll(10)
        if message is None:
            raise SystemExit(f"nothing came for 10 s; still to read, up to: {waiting}")
        if message.error() and message.error().code() == KafkaError._PARTITION_EOF:
            # What is left are markers of transactions, or what may still be aborted.
            waiting.pop(message.partition(), None)
            continue
        if message.error():
            print(message.error(), file=sys.stderr)
            continue
        print("record", message.partition(), message.offset(), message.key().decode(), message.value().decode())
        if message.offset() + 1 >= waiting.get(message.partition(), 0):
            waiting.pop(message.partition(), None)
    consumer.close()


if __name__ == "__main__":
    bootstrap = sys.argv[1]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    {"create": create, "delete": delete, "describe": describe, "committed": committed, "members": members, "dump": dump}[sys.argv[2]](admin, *sys.argv[3:])
