"""Moving in from Apache Kafka: a real Kafka is filled and stopped, `catchword adopt` takes its directory over, and clients
that were connected to Kafka go on against Catchword on the same port. Once after an orderly stop, adopting a copy; once
after `kill -9` under a producer, adopting the directory where it is.
"""

import json
import subprocess

from .bookmarks import Bookmarks
from .broker import Broker
from .observer import Observer
from .report import Failure

PARTITIONS = 4
SNAPSHOTS = "metadata.log.max.record.bytes.between.snapshots"
CONFIGS = ("retention.ms=86400000", "max.message.bytes=200000")
COMPACTED = ("cleanup.policy=compact", "min.cleanable.dirty.ratio=0.3", "compression.type=zstd")


def run(java, kafka_command, ours, logs, report):
    """`ours` is the command of the broker under test; its first word is the binary."""
    for name, clean in (("adopt-stopped", True), ("adopt-killed", False)):
        directory = logs / name
        directory.mkdir(parents=True, exist_ok=True)
        # A Kafka that writes snapshots of its metadata all the time, and one that has not come to its first.
        broker = Broker(kafka_command + ("" if clean else f" {SNAPSHOTS}=1000"), directory)
        story = Moving(name, clean, java, broker, ours, report)
        try:
            story.run()
        except Failure:
            pass  # told
        finally:
            story.stop()


class Moving:
    def __init__(self, name, clean, client, broker, ours, report):
        self.name, self.clean, self.client, self.broker, self.ours, self.report = name, clean, client, broker, ours, report
        self.logs = broker.directory
        self.observer = Observer(broker)
        self.kafka_command = broker.command
        self.kafka_dir = broker.directory / "data" / "logs"
        self.data = broker.directory / "adopted" if clean else self.kafka_dir
        self.main = Bookmarks(client, broker, self.observer, self.logs, "moving")
        self.others = {codec: Bookmarks(client, broker, self.observer, self.logs, f"moving-{codec}", codec)
                       for codec in client.codecs if codec != "none"}
        self.producer = None

    def run(self):
        steps = [step for step in vars(Moving) if step.startswith("step_")]
        for number, step in enumerate(steps):
            told = [f"{self.name}: {left.removeprefix('step_').replace('_', ' ')}" for left in steps[number:]]
            try:
                with self.report.test(told[0]):
                    getattr(self, step)()
            except Failure:
                self.report.not_reached(told[1:])
                raise

    def stop(self):
        self.main.group.stop()
        for story in self.others.values():
            story.group.stop()
        if self.producer:
            self.producer.stop()
        self.broker.stop()

    def adopt(self, *words, code=0):
        done = subprocess.run([self.ours.split()[0], "adopt", self.kafka_dir, "--json", *words], capture_output=True,
                              text=True, timeout=60)
        with open(self.logs / "adopt.log", "a") as log:
            log.write(f"$ adopt {' '.join(map(str, words))}\n{done.stdout}{done.stderr}[{done.returncode}]\n")
        if done.returncode != code:
            raise Failure(f"adopt {words} ended with {done.returncode}:\n{done.stdout[-1500:]}{done.stderr}")
        return json.loads(done.stdout) if done.stdout else done.stderr

    def refuses_to_start(self, command, words):
        """The broker of `command` ends, with these words in its log."""
        self.broker.command = command
        try:
            self.broker.start()
        except Failure as why:
            if words not in str(why):
                raise Failure(f"{words!r} is not in what it said:\n{why}") from why
            return
        raise Failure(f"it started: {command}")

    def our_command(self, data):
        return self.ours.replace("{dir}", str(data)) + " --properties " + str(self.logs / "data" / "server.properties")

    # The steps, in order.

    def step_kafka_is_filled(self):
        self.broker.start()
        self.observer.create("moving", PARTITIONS, *CONFIGS)
        self.observer.create("moving-compacted", 1, *COMPACTED)
        self.main.produce()
        for codec, story in self.others.items():
            self.observer.create(story.topic, 2)
            story.produce(50)
        self.observer.create("gone", 3)
        self.observer.delete("gone")

    def step_groups_commit(self):
        one = self.main.group.join("one")
        self.main.group.wait_until_read(self.main.ends)
        self.main.group.commit(self.main.ends)
        one.kill()
        for story in self.others.values():
            member = story.group.join("reader")
            story.group.wait_until_read(story.ends)
            story.group.commit(story.ends)
            member.kill()
        self.committed = dict(self.main.group.committed)
        self.main.produce()  # what no group has read

    def step_kafka_stops_under_an_idempotent_producer(self):
        self.before = self.observer.describe()
        self.producer = self.main.new_producer()
        self.main.send_for(self.producer, 1)
        if self.clean:
            self.broker.shut_down()
        else:
            self.broker.kill()
        self.main.send_for(self.producer, 0.3)

    def step_the_preview_tells_what_comes_along_and_changes_nothing(self):
        if any(self.kafka_dir.glob("__cluster_metadata-0/*.checkpoint")) == self.clean:
            raise Failure("there should be a snapshot of the metadata exactly if it was asked for")
        before = snapshot(self.kafka_dir)
        report = self.adopt()
        if (left := snapshot(self.kafka_dir)) != before:
            raise Failure(f"the preview changed {set(left.items()) ^ set(before.items())}")
        if report["clean"] != self.clean or report["refusals"] or report["adopted"]:
            raise Failure(f"{report}")
        told = {t["name"]: (t["id"], t["partitions"], t["configs"]) for t in report["topics"]}
        if {name: told.get(name) for name in self.before} != self.before:
            raise Failure(f"the preview says {told}, Kafka said {self.before}")
        wanted = PARTITIONS + 2 * len(self.others)
        if report["committed_offsets"] != wanted:
            raise Failure(f"{report['committed_offsets']} committed offsets, {wanted} were committed")

    def step_serve_refuses_what_is_not_adopted(self):
        self.refuses_to_start(self.our_command(self.kafka_dir), "catchword adopt")

    def step_the_directory_is_adopted(self):
        before = snapshot(self.kafka_dir)
        if self.clean:
            self.adopt("--to", self.data)
            if snapshot(self.kafka_dir) != before:
                raise Failure("Kafka's directory was changed, though a copy was asked for")
        else:
            self.adopt("--yes")
            if not self.adopt("--yes")["adopted"]:
                raise Failure("asked again it should say that it is done")

    def step_kafka_refuses_what_is_adopted(self):
        before = snapshot(self.data)
        command = self.kafka_command
        if self.clean:  # it is told to open the copy
            command += f" log.dirs={self.data}"
        self.refuses_to_start(command, "ended with 1")  # it says why only where SLF4J has somebody to tell
        if snapshot(self.data) != before:
            raise Failure("Kafka changed it")

    def step_topics_are_as_kafka_had_them(self):
        self.broker.command = self.our_command(self.data)
        self.broker.start()
        after = self.observer.describe()
        if after != self.before:
            raise Failure(f"now there is {after}, before there was {self.before}")

    def step_the_producer_goes_on(self):
        self.main.send_for(self.producer, 1)
        self.producer.finish()
        self.main.look(self.producer)

    def step_every_record_of_every_codec_is_there(self):
        for story in self.others.values():
            log = dict(story.log)
            story.look(None)
            if story.log != log or len(log) != 50:
                raise Failure(f"{story.topic} has {len(story.log)} records, Kafka had {len(log)}")

    def step_every_committed_offset_is_there(self):
        for story in (self.main, *self.others.values()):
            now = self.observer.committed(story.group.name, story.topic)
            if now != story.group.committed:
                raise Failure(f"{story.group.name} has committed {now}, with Kafka it had {story.group.committed}")

    def step_the_group_resumes_at_the_right_record(self):
        member = self.main.group.join("two")
        self.main.group.wait_until_read(self.main.ends)
        for partition, offset in self.committed.items():
            if member.first[partition] != offset:
                raise Failure(f"partition {partition}: {offset} was committed, {member.first[partition]} is read first")
        self.main.group.commit(self.main.ends)
        self.main.check_contents()

    def step_it_holds_through_a_kill_of_the_new_broker(self):
        self.broker.kill()
        self.broker.start()
        self.main.produce()
        self.main.group.wait_until_read(self.main.ends)
        self.main.group.commit(self.main.ends)
        if self.observer.describe() != self.before:
            raise Failure("the topics are not the same")


def snapshot(directory):
    """{path: (size, time of the last change)} of all files but the lock."""
    files = (path for path in directory.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}
