#!/usr/bin/env python3
"""A producer, consumers and an administrator in one process, that do what they are told one thing after the other.

Reads a line of JSON for each: [WHAT, {ARGUMENT: VALUE}]; answers with a line each: {"answer": ...} or {"refused": KAFKA'S NAME OF THE ERROR}.
"""

import json
import sys
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

NOT_YET = (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR,
           KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError._TRANSPORT, KafkaError._TIMED_OUT)


class Hands:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self.members = {}

    def create(self, topic, partitions=1):
        self.admin.create_topics([NewTopic(topic, partitions, 1)], operation_timeout=30)[topic].result()
        self._until(lambda: topic in self.admin.list_topics(timeout=10).topics)

    def delete_topic(self, topic):
        self.admin.delete_topics([topic], operation_timeout=30)[topic].result()
        self._until(lambda: topic not in self.admin.list_topics(timeout=10).topics)

    def produce(self, topic, count, timestamp_ms=0, transaction=None, partition=0):
        """So many records into one partition; in a transaction of that id, if one is named."""
        refused = []
        settings = {"transactional.id": transaction} if transaction else {}
        producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 0, **settings})
        if transaction:
            producer.init_transactions(30)
            producer.begin_transaction()
        for n in range(count):
            producer.produce(topic, f"v{n}", f"k{n}", partition, timestamp=timestamp_ms,
                             on_delivery=lambda error, _: error and refused.append(error))
        producer.flush(30)
        if transaction:
            producer.commit_transaction(30)
        if refused:
            raise KafkaException(refused[0])

    def delete_records(self, topic, before):
        place = TopicPartition(topic, 0, before)
        self.admin.delete_records([place])[place].result()

    def join(self, name, group, topic, **settings):
        """A member that stays until it leaves."""
        self.members[name] = Consumer({
            "bootstrap.servers": self.bootstrap, "group.id": group, "client.id": name, "auto.offset.reset": "earliest",
            "enable.auto.commit": False, **settings})
        self.members[name].subscribe([topic])

    def read(self, name, count, seconds=30):
        """The offsets of the next so many records, or fewer when the time is over."""
        offsets, deadline = [], time.monotonic() + seconds
        while len(offsets) < count and time.monotonic() < deadline:
            message = self.members[name].poll(0.1)
            if message is not None and not message.error():
                offsets.append(message.offset())
        return offsets

    def commit(self, name, topic, offset, metadata=""):
        """What a member commits of partition 0."""
        place = TopicPartition(topic, 0, offset, metadata)
        for done in self.members[name].commit(offsets=[place], asynchronous=False):
            if done.error:
                raise KafkaException(done.error)

    def commit_position(self, name):
        """As an auto-commit would."""
        self.members[name].commit(asynchronous=False)

    def leave(self, name):
        self.members.pop(name).close()

    def put(self, group, topic, offset):
        """What kafka-consumer-groups does to reset a group: a commit from outside."""
        places = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, offset)])
        for done in self.admin.alter_consumer_group_offsets([places])[group].result().topic_partitions:
            if done.error:
                raise KafkaException(done.error)

    def delete_group(self, group):
        self.admin.delete_consumer_groups([group])[group].result()

    def committed(self, group, topic):
        """[offset, metadata] in partition 0, or nothing."""
        places = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0)])
        (found,) = self.admin.list_consumer_group_offsets([places])[group].result().topic_partitions
        if found.error:
            raise KafkaException(found.error)
        return [found.offset, found.metadata] if found.offset >= 0 else None

    def raw(self, topic):
        """Keys and values of all that partition 0 has now, in hexadecimal digits; nothing for a tombstone."""
        reader = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "raw", "enable.auto.commit": False,
                           "enable.partition.eof": True})
        reader.assign([TopicPartition(topic, 0, 0)])
        found = []
        while True:
            message = reader.poll(30)
            if message is None:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
            if message.error():
                reader.close()
                if message.error().code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(message.error())
                return found
            value = message.value()
            found.append([message.key().hex(), None if value is None else value.hex()])

    def state(self, group):
        """The group's state and the client ids of its members."""
        told = self.admin.describe_consumer_groups([group])[group].result()
        return [told.state.name, sorted(member.client_id for member in told.members)]

    @staticmethod
    def _until(holds, seconds=30):
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
            time.sleep(0.05)

    def obey(self, what, arguments, seconds=30):
        """A coordinator that was just asked for the first time may need a moment: asked again, as any client would."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return {"answer": getattr(self, what)(**arguments)}
            except KafkaException as error:
                if error.args[0].code() not in NOT_YET or time.monotonic() > deadline:
                    return {"refused": error.args[0].name()}
                time.sleep(0.1)


if __name__ == "__main__":
    hands = Hands(sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(hands.obey(*json.loads(line))), flush=True)
