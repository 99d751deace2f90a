"""The scenario that every client goes through: produce, read in a group of two, commit, a member is killed,
the broker is killed, both are killed; nothing is lost, and nothing repeated but what came after the last commit.
"""

import time

from .clients import DEFAULT_PARTITIONS as PARTITIONS
from .group import Group
from .report import Failure
from .worker import Producer

BATCH = 300  # records produced at a time


class Bookmarks:
    STEPS = ("produces", "reads in a group of two", "commits", "reads on where a killed member had committed",
             "goes on through a kill -9 of the broker", "resumes at the committed offsets after a kill -9 of both",
             "leaves the group when it ends")

    def __init__(self, client, broker, observer, logs, topic=None, codec="none"):
        self.client, self.broker, self.observer, self.logs = client, broker, observer, logs
        self.topic = topic or f"{client.name}-bookmarks"
        self.codec = codec
        self.group = Group(client, broker, observer, self.topic, logs)
        self.keys = []     # all that was sent
        self.ends = {}     # partition -> log end offset
        self.log = {}      # (partition, offset) -> (key, value)
        self.one = self.two = self.three = None

    def run(self, report):
        bodies = (self.produces, self.reads, self.commits, self.member_dies, self.broker_dies, self.both_die,
                  self.leaves)
        names = [f"{self.client.name}: {step}" for step in self.STEPS]
        try:
            for number, (name, body) in enumerate(zip(names, bodies)):
                try:
                    with report.test(name):
                        body()
                except Failure:
                    report.not_reached(names[number + 1:])
                    return
        finally:
            self.group.stop()

    def new_producer(self):
        return Producer(self.client, self.broker, self.topic, self.logs, self.codec)

    def produce(self, count=BATCH):
        producer = self.new_producer()
        try:
            for _ in range(count):
                self.send(producer)
            producer.finish()
        finally:
            producer.stop()
        self.look(producer)

    def send(self, producer):
        self.keys.append(f"k{len(self.keys):05}")
        producer.send(self.keys[-1])

    def look(self, producer):
        """Reads the topic as it is now: whatever was sent is there, once, in each partition in the order it was sent."""
        records = self.observer.dump(self.topic)
        for partition, offset, key, value in records:
            known = self.log.setdefault((partition, offset), (key, value))
            if known != (key, value) or value != f"value-of-{key}":
                raise Failure(f"partition {partition}, offset {offset} was {known} and is now {key} {value}")
        self.ends = {p: max(offset for q, offset, _, _ in records if q == p) + 1 for p, *_ in records}
        found = [key for _, _, key, _ in sorted(records)]
        lost = sorted(set(self.keys) - set(found))
        twice = len(found) - len(set(found))
        if lost:
            acknowledged = [key for key in lost if key in producer.acknowledged]
            raise Failure(f"lost {len(lost)} records ({lost[:5]}...), {len(acknowledged)} of them acknowledged")
        if twice and self.client.idempotent:
            raise Failure(f"{twice} records were written twice by an idempotent producer")
        for partition in self.ends:
            keys = [key for q, _, key, _ in sorted(records) if q == partition]
            if self.client.idempotent and keys != sorted(keys):
                raise Failure(f"partition {partition} is out of the producer's order")

    def check_contents(self):
        for member in self.group.members:
            for partition, offset, key, value in member.read:
                if self.log.get((partition, offset)) != (key, value):
                    raise Failure(f"{member.name} read {key} {value} at partition {partition}, offset {offset}; "
                                  f"there is {self.log.get((partition, offset))}")

    def produces(self):
        self.observer.create(self.topic, PARTITIONS)
        self.produce()
        if len(self.ends) != PARTITIONS:
            raise Failure(f"{BATCH} keys went to partitions {sorted(self.ends)} only")

    def reads(self):
        self.one, self.two = self.group.join("one"), self.group.join("two")
        self.group.wait_for_shares([self.one, self.two], PARTITIONS)
        self.produce()
        self.group.wait_until_read(self.ends)
        self.check_contents()

    def commits(self):
        self.group.commit(self.ends)

    def member_dies(self):
        self.produce()
        self.group.wait_until_read(self.ends)
        self.one.kill()
        self.group.learn_committed()
        self.group.wait_for_shares([self.two], PARTITIONS)
        self.group.wait_until_read(self.ends)
        self.produce()
        self.group.wait_until_read(self.ends)
        self.group.commit(self.ends)
        self.check_contents()

    def broker_dies(self):
        """Records flow through the whole of it, and are read as they come."""
        producer = self.new_producer()
        try:
            self.send_for(producer, 1.5)
            self.broker.kill()
            self.send_for(producer, 0.5)
            self.broker.start()
            self.send_for(producer, 1.5)
            producer.finish()
        finally:
            producer.stop()
        self.look(producer)
        self.group.learn_committed()
        self.group.wait_until_read(self.ends, 60)
        self.group.commit(self.ends)
        self.check_contents()

    def send_for(self, producer, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.send(producer)
            time.sleep(0.004)

    def both_die(self):
        self.produce()
        self.group.wait_until_read(self.ends)
        self.two.kill()
        self.broker.kill()
        self.broker.start()
        self.group.learn_committed()
        committed = dict(self.group.committed)
        self.three = self.group.join("three")
        self.group.wait_until_read(self.ends)
        for partition, end in self.ends.items():
            if committed.get(partition) != end and self.three.first[partition] != committed.get(partition, 0):
                raise Failure(f"partition {partition}: {committed.get(partition)} was committed, "
                              f"the first read is {self.three.first[partition]}")
        self.group.commit(self.ends)
        self.check_contents()

    def leaves(self):
        # Only a member can leave: where all had been read, the new one may not have joined yet, nor the dead one expired.
        deadline = time.monotonic() + 30
        while (now := self.observer.members(self.group.name))[0] != "STABLE" or "two" in now[1] or not now[1]:
            if time.monotonic() > deadline:
                raise Failure(f"the new member should be alone in the group: {now}")
            time.sleep(0.2)
        if self.client.asks_to_commit:
            self.three.write("quit")
            self.three.wait(15)
        else:
            self.three.terminate()
            self.three.wait(15)
        deadline = time.monotonic() + 3  # well within the session timeout
        while (left := self.observer.members(self.group.name)) != ("EMPTY", {}):
            if time.monotonic() > deadline:
                raise Failure(f"the group should be empty: {left}")
            time.sleep(0.2)
        self.group.learn_committed()
