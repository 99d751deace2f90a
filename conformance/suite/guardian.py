"""`catchword guard` beside a real Apache Kafka: what Kafka's own tools do to its groups, and what it does itself when offsets
expire, is known and taken back there; through kill -9 of the guardian and of Kafka. About our own binary only.
"""

import json
import os
import pathlib
import shlex
import signal
import subprocess
import time
import urllib.error
import urllib.request

from .broker import Broker, free_port
from .pages import follow
from .pains import Hands
from .report import Failure
from .tools import GROUP, TOPIC, Tools, expect, expect_in

HERE = pathlib.Path(__file__).resolve().parent.parent
# Kafka's smallest retention, and how long it may take beyond that.
EXPIRING = " offsets.retention.minutes=1 offsets.retention.check.interval.ms=500"
EXPIRES_WITHIN = 180


def run(kafka_command, broker, logs, report):
    if " serve " not in broker.command:
        report.skip("guardian", "it is about our own binary")
        return
    binary = pathlib.Path(shlex.split(broker.command)[0]).resolve()
    kafka = Broker(kafka_command, logs / "guarded")
    kafka.directory.mkdir(parents=True, exist_ok=True)
    guardian = Guardian(binary, kafka)
    try:
        with report.test("guardian: it begins beside a running Kafka"):
            kafka.start()
            guardian.start()
        story = Story(kafka, guardian, broker, logs)
        report.tests_of(story, "guardian")
    except Failure:
        pass  # told
    finally:
        guardian.stop()
        kafka.stop()


class Guardian:
    """The process, and the question whether it has read all there is."""

    def __init__(self, binary, kafka, bootstrap=None, config=None):
        """By another listener than the first, and with a file of what Kafka's clients need there, if told so."""
        self.binary, self.kafka, self.words = binary, kafka, []
        self.api = f"127.0.0.1:{free_port()}"
        self.log = kafka.directory / "guardian.log"
        self.process = None
        self.environment = os.environ | {
            "PATH": f"{binary.parent}:{os.environ['PATH']}",
            "CATCHWORD_BOOTSTRAP": bootstrap or kafka.bootstrap, "CATCHWORD_GUARDIAN": self.api}
        if config:
            self.environment["CATCHWORD_COMMAND_CONFIG"] = str(config)

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "guard", "--data", self.kafka.directory / "history", "--api", self.api, *self.words],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait(lambda: self.get("/v1/guardian"), "it answers")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.kill()

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://{self.api}{path}", timeout=10) as answer:
                return json.load(answer)
        except (urllib.error.URLError, OSError):
            return None

    def wait(self, holds, what, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            if self.process.poll() is not None:
                raise Failure(f"the guardian ended with {self.process.returncode}:\n{self.log.read_text()[-1500:]}")
            found = holds()
            if found:
                return found
            if time.monotonic() > deadline:
                raise Failure(f"not within {seconds} s: {what}\n{self.log.read_text()[-1500:]}")
            time.sleep(0.1)


class Story(Tools):
    def __init__(self, kafka, guardian, other, logs):
        super().__init__(kafka, logs)
        self.guardian, self.other = guardian, other

    def catchword(self, *words, fails=False):
        done = subprocess.run(["catchword", *words], env=self.guardian.environment, capture_output=True, text=True, timeout=60)
        if (done.returncode != 0) != fails:
            raise Failure(f"catchword {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stderr if fails else done.stdout

    def changes(self, group=GROUP):
        found = self.guardian.get(f"/v1/groups/{group}/log")
        return found["changes"] if found else []

    def change(self, count, group=GROUP):
        """The newest of so many changes of the group; those before are the same as ever, told once each."""
        self.guardian.wait(lambda: len(self.changes(group)) >= count, f"{count} changes of {group}")
        changes = self.changes(group)
        expect(len(changes), count, "changes that are told")
        return changes[0]

    def undo(self, change):
        self.catchword("undo", change["id"], "--yes")

    def test_a_reset_by_kafka_consumer_groups_is_undone(self):
        self.topics("--create", "--topic", TOPIC, "--partitions", "3", "--replication-factor", "1")
        self.produce(range(30))
        self.call("org.apache.kafka.tools.consumer.ConsoleConsumer", "--topic", TOPIC, "--group", GROUP, "--from-beginning",
                  "--max-messages", "30", "--timeout-ms", "20000")
        before = self.committed()
        expect(sum(before.values()), 30, "committed by the consumer")
        self.reset("--to-earliest", "--execute")
        expect(set(self.committed().values()), {0}, "committed after the reset")
        change = self.change(1)
        expect(change["kind"], "reset", "what it was")
        self.undo(change)
        expect(self.committed(), before, "committed after the undo")
        change = self.change(2)
        expect((change["kind"], change["by"]["client_id"][:9]), ("undo", "catchword"), "the undo, as it came back by Kafka's log")

    def test_a_reset_while_the_guardian_was_down_is_undone_and_nothing_is_told_twice(self):
        before = self.committed()
        self.guardian.kill()
        self.reset("--shift-by", "-2", "--execute")
        self.guardian.start()
        change = self.change(3)
        expect(change["kind"], "reset", "what it was")
        self.undo(change)
        expect(self.committed(), before, "committed after the undo")
        self.change(4)

    def test_nothing_is_undone_under_live_members(self):
        self.reset("--to-earliest", "--execute")
        change = self.change(5)

        def try_it():
            expect_in(self.catchword("undo", change["id"], "--yes", fails=True), "live members; nothing was changed")
        self.with_active_member(try_it)

    def test_a_reset_after_kafka_was_killed_is_undone(self):
        before = self.committed()
        told = len(self.changes())
        self.broker.kill()
        self.broker.start()
        self.reset("--to-earliest" if any(before.values()) else "--to-latest", "--execute")
        change = self.change(told + 1)
        self.undo(change)
        expect(self.committed(), before, "committed after the undo")

    def test_deleted_offsets_and_a_deleted_group_are_brought_back(self):
        before = self.committed()
        self.groups("--delete-offsets", "--group", GROUP, "--topic", TOPIC)
        told = len(self.changes())
        self.guardian.wait(lambda: self.changes()[0]["kind"] == "removed", "that offsets were deleted is known")
        self.undo(self.changes()[0])
        expect(self.committed(), before, "committed after the undo")
        self.groups("--delete", "--group", GROUP)
        self.guardian.wait(lambda: len(self.changes()) > told + 1 and self.changes()[0]["kind"] == "removed", "that the group was deleted is known")
        expect_in(self.catchword("trash"), f"^{GROUP} .*deleted or expired")
        self.catchword("restore", GROUP, "--yes")
        expect(self.committed(), before, "committed after the restore")

    def test_the_page_that_guards_your_kafka(self):
        follow(HERE.parent / "docs" / "guarding-your-kafka.md", self.guardian.environment)

    def test_a_topic_made_anew_gets_no_old_places(self):
        self.topics("--delete", "--topic", TOPIC)
        self.topics("--create", "--topic", TOPIC, "--partitions", "3", "--replication-factor", "1")
        self.guardian.wait(lambda: self.changes()[0]["kind"] == "removed", "that the topic's offsets went is known")
        said = self.catchword("restore", GROUP, "--yes", fails=True)
        expect_in(said, "offsets of other records; nothing was changed")

    def test_a_group_is_carried_over_to_another_cluster(self):
        written = int(time.time() * 1000) - 60_000
        here, there = Hands(self.broker, self.logs), Hands(self.other, self.logs)
        try:
            for hands in (here, there):
                hands.create(topic="carried")
            there.produce(topic="carried", count=3, timestamp_ms=written - 1000)  # so that offsets differ
            for hands in (here, there):
                hands.produce(topic="carried", count=10, timestamp_ms=written)
            here.put(group="carried", topic="carried", offset=6)
            self.catchword("carry", "carried", "--from", self.broker.bootstrap, "--to", self.other.bootstrap, "--yes")
            expect(there.committed(group="carried", topic="carried")[0], 6 + 3, "committed there")
        finally:
            here.stop()
            there.stop()

    def test_what_kafka_compacted_before_it_was_read_is_unknown_and_not_invented(self):
        settings = ("--entity-type", "topics", "--entity-name", "__consumer_offsets")
        self.configs("--alter", *settings, "--add-config", "segment.ms=500,min.cleanable.dirty.ratio=0.001,max.compaction.lag.ms=500")
        self.produce(range(30))
        self.reset("--to-offset", "3", "--execute", group="compacted")
        self.guardian.wait(lambda: self.guardian.get("/v1/groups/compacted"), "the group is known")
        self.guardian.wait(lambda: self.guardian.get("/v1/guardian")["unread"] == 0, "all has been read")
        time.sleep(1.5)  # how far it has read is noted each second
        self.guardian.kill()
        for place in ("5", "1", "2"):
            self.reset("--to-offset", place, "--execute", group="compacted")
            time.sleep(1)  # so that the next record is in another segment

        def places():
            found = self.formatted("OffsetsMessageFormatter")
            return [value["data"]["offset"] for key, value in found if value and key["data"]["group"] == "compacted" and key["data"]["partition"] == 0]
        deadline = time.monotonic() + 120
        while 5 in (found := places()):
            if time.monotonic() > deadline:
                raise Failure(f"Kafka does not compact: {found}")
        self.configs("--alter", *settings, "--delete-config", "segment.ms,min.cleanable.dirty.ratio,max.compaction.lag.ms")
        self.guardian.start()
        self.guardian.wait(lambda: self.guardian.get("/v1/guardian")["missed"] > 0, "it says that records were missed")
        found = lambda: (self.guardian.get("/v1/groups/compacted/log?commits=true") or {"changes": []})["changes"]
        self.guardian.wait(lambda: found()[0]["moves"][0]["to"] == 2, "the last move is told")
        first_seen = [change for change in found() if change["moves"][0]["to"] in places()][-1]
        expect([(move["from"], move["from_lost"]) for move in first_seen["moves"]], [(None, True)] * 3, "where it was before what was lost")
        expect_in(self.catchword("undo", first_seen["id"], "--yes", "--force", fails=True), "nobody knows any more where")

    def test_expired_offsets_are_brought_back(self):
        self.produce(range(30))
        self.reset("--to-latest", "--execute")
        before = self.committed()
        self.broker.shut_down()
        self.broker.command += EXPIRING
        self.broker.start()
        gone = lambda: any(one["group"] == GROUP for one in (self.guardian.get("/v1/trash") or {"groups": []})["groups"])
        self.guardian.wait(gone, "that the offsets have expired is known", EXPIRES_WITHIN)
        self.catchword("restore", GROUP, "--yes")
        expect(self.committed(), before, "committed after the restore")

    def test_pinned_offsets_do_not_expire_and_come_back_after_a_deletion(self):
        self.guardian.kill()
        self.guardian.words = ["--restore-expired", "--set", "lag.check.interval.ms=1000"]
        self.guardian.start()
        for group in ("pinned", "kept", "left"):
            self.reset("--to-offset", "4", "--execute", group=group)
        expect_in(self.catchword("pin", "pinned"), "does not know of it")
        expect_in(self.catchword("keep", "kept", "never"), "are to stay for ever, .* does not know of it")
        expect_in(self.catchword("protect", "pinned", "frozen", fails=True), "whoever has the right to commit")
        # By now those that stay have been committed again.
        gone = lambda: any(one["group"] == "left" for one in (self.guardian.get("/v1/trash") or {"groups": []})["groups"])
        self.guardian.wait(gone, "that what nobody pinned has expired is known", EXPIRES_WITHIN)
        places = dict.fromkeys(range(3), 4)
        for group in ("pinned", "kept"):
            expect(self.committed(group), places, f"committed of {group}")
            expect([one["kind"] for one in self.changes(group)], [], f"what was ever done to {group}")
            self.groups("--delete", "--group", group)
            restored = lambda: any(one["kind"] == "restore" for one in self.changes(group))
            self.guardian.wait(restored, f"{group} is back after its deletion")
            expect(self.committed(group), places, f"committed of {group} after its deletion")
