"""Whoever reads __consumer_offsets can read ours: what Kafka's formatters print of it, and what monitors decode by themselves, through
history, tombstones, records of our own, compaction and kill -9. About our own broker only.
"""

import shlex
import struct
import subprocess

from .pains import Hands, wait_until
from .report import Failure
from .tools import Tools, expect

# Full segments are compacted at once, and of moves only the last of each minute stays.
SETTINGS = ("offsets.topic.num.partitions=1", "offsets.topic.segment.bytes=65536", "offsets.history.all.ms=0", "log.cleaner.backoff.ms=200",
            "log.cleaner.min.cleanable.ratio=0.01")
MOVES = 600


def run(broker, observer, logs, report):
    if " serve " not in broker.command:
        report.skip("offsets-topic", "it is about our own broker")
        return
    topic = OffsetsTopic(broker, logs)
    try:
        report.tests_of(topic, "offsets-topic")
    finally:
        topic.hands.stop()


class OffsetsTopic(Tools):
    def __init__(self, broker, logs):
        super().__init__(broker, logs)
        self.hands = Hands(broker, logs)

    def catchword(self, *words):
        binary = shlex.split(self.broker.command)[0]
        done = subprocess.run([binary, words[0], "--bootstrap", self.broker.bootstrap, *words[1:]], capture_output=True,
                              text=True, timeout=60)
        if done.returncode != 0:
            raise Failure(f"catchword {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def compactions(self):
        return self.broker.log_path.read_text(errors="replace").count("compacted a log partition=__consumer_offsets-0")

    def bookmarks(self):
        """{group: [offset or None (a tombstone)...]} as Kafka's formatter prints it."""
        told = {}
        for key, value in self.formatted("OffsetsMessageFormatter"):
            told.setdefault(key["data"]["group"], []).append(value and value["data"]["offset"])
        return told

    def members(self):
        """{group: [number of members or None (a tombstone)...]} likewise."""
        told = {}
        for key, value in self.formatted("GroupMetadataMessageFormatter"):
            told.setdefault(key["data"]["group"], []).append(value and len(value["data"]["members"]))
        return told

    def test_formatters_read_what_history_and_compaction_leave(self):
        self.hands.create(topic="read")
        self.hands.produce(topic="read", count=10)
        self.hands.join(name="reader", group="member", topic="read")
        expect(len(self.hands.read(name="reader", count=10)), 10, "records read")
        self.hands.commit_position(name="reader")
        self.hands.leave(name="reader")
        self.hands.put(group="deleted", topic="read", offset=4)
        self.hands.delete_group(group="deleted")
        self.catchword("tag", "member", "here")  # a record of a kind that Kafka does not know
        self.catchword("rewind", "member", "--to", "3", "--yes")
        before = self.compactions()
        for offset in range(MOVES):
            self.hands.put(group="moving", topic="read", offset=offset)
        wait_until(lambda: self.compactions() > before, "the topic is compacted")
        self.check(self.bookmarks())
        expect(self.members()["member"][-1], 0, "members of a group that its member has left")

    def test_formatters_read_the_same_after_a_kill(self):
        self.broker.kill()
        self.broker.start()
        self.check(self.bookmarks())

    def test_monitors_decode_every_key_and_value(self):
        told = {}
        for key, value in self.hands.raw(topic="__consumer_offsets"):
            found = decoded(bytes.fromhex(key), value and bytes.fromhex(value))
            if found:
                told.setdefault(found[0], []).append(found[1])
        self.check(told)

    def check(self, told):
        moving = told.pop("moving")
        expect(moving[-1], MOVES - 1, "the last move")
        expect(moving, sorted(moving), "the order of the moves")
        expect(len(moving) < MOVES / 2, True, f"compaction took most moves away; there are {len(moving)}")
        # What was meant, and what it took away, stays.
        expect(told, {"member": [10, 3], "deleted": [4, None]}, "what else there is")


def decoded(key, value):
    """(group, offset or None) of a record of a bookmark, as a monitor takes it apart; nothing of others."""
    (version,), at = struct.unpack_from(">h", key), 2
    words = []
    for _ in range({0: 2, 1: 2, 2: 1}.get(version, 0)):
        (length,) = struct.unpack_from(">h", key, at)
        words.append(key[at + 2:at + 2 + length].decode())
        at += 2 + length
    if version > 2:
        return None
    expect(len(key) - at, 0 if version == 2 else 4, f"bytes after the names in a key of version {version}")
    if version == 2:
        (version,) = struct.unpack_from(">h", value or b"\0\0")
        expect(version <= 4, True, f"version {version} of a group's metadata")
        return None
    if value is None:
        return words[0], None
    version, offset = struct.unpack_from(">hq", value)
    expect(version <= 4, True, f"version {version} of an offset's value")
    return words[0], offset
