"""What Kafka's own tools do to a group is known to the broker, and one command takes it back. About our own broker only."""

import json
import shlex
import subprocess

from .report import Failure
from .tools import GROUP, TOPIC, Tools, expect, expect_in


def run(broker, observer, logs, report):
    if " serve " not in broker.command:
        report.skip("plane", "it is about our own broker")
        return
    plane = Plane(broker, logs)
    report.tests_of(plane, "plane")


class Plane(Tools):
    def catchword(self, *words, fails=False):
        binary = shlex.split(self.broker.command)[0]
        done = subprocess.run([binary, words[0], "--bootstrap", self.broker.bootstrap, *words[1:]],
                              capture_output=True, text=True, timeout=60)
        if (done.returncode != 0) != fails:
            raise Failure(f"catchword {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stderr if fails else done.stdout

    def last_change(self, group=GROUP):
        return json.loads(self.catchword("log", group, "--json"))["changes"][0]

    def test_a_reset_by_kafka_consumer_groups_is_undone(self):
        self.topics("--create", "--topic", TOPIC, "--partitions", "3", "--replication-factor", "1")
        self.produce(range(30))
        self.reset("--to-latest", "--execute")
        before = self.committed()
        self.reset("--to-earliest", "--execute")
        expect(self.committed(), {0: 0, 1: 0, 2: 0}, "committed after the reset")
        change = self.last_change()
        expect(change["kind"], "reset", "what it was")
        expect_in(change["by"]["client_id"], "adminclient")
        self.catchword("undo", change["id"], "--yes")
        expect(self.committed(), before, "committed after the undo")

    def test_a_group_deleted_by_kafka_consumer_groups_is_restored(self):
        before = self.committed()
        self.groups("--delete", "--group", GROUP)
        expect(GROUP in self.groups("--list").split(), False, "the deleted group is listed")
        expect_in(self.catchword("trash"), f"^{GROUP} .*group deleted")
        self.catchword("restore", GROUP, "--yes")
        expect(self.committed(), before, "committed after the restore")
        expect(GROUP in self.groups("--list").split(), True, "the restored group is listed")

    def test_offsets_deleted_by_kafka_consumer_groups_are_undone(self):
        before = self.committed()
        self.groups("--delete-offsets", "--group", GROUP, "--topic", TOPIC)
        change = self.last_change()
        expect(change["kind"], "offset-delete", "what it was")
        self.catchword("undo", change["id"], "--yes")
        expect(self.committed(), before, "committed after the undo")

    def test_an_undo_outlives_a_kill_of_the_broker(self):
        before = self.committed()
        self.broker.kill()
        self.broker.start()
        expect(self.committed(), before, "committed")
        expect(self.last_change()["kind"], "undo", "the last change")

    def test_a_topic_deleted_and_created_anew_gets_no_old_places(self):
        self.topics("--delete", "--topic", TOPIC)
        self.topics("--create", "--topic", TOPIC, "--partitions", "3", "--replication-factor", "1")
        expect_in(self.catchword("restore", GROUP, "--yes", fails=True), "offsets of other records; nothing was changed")
