"""What hurts people who keep places in Kafka, one test for each pain (docs/pains.md lists them). The steps are the same on every
broker; on Apache Kafka a test holds if it hurts, on ours if our remedy takes the pain away.
"""

import functools
import json
import shlex
import subprocess
import time

from .bare import BareMember
from .clients import CACHE, HOME
from .report import Failure
from .tools import TOOLS, Tools, expect, expect_in

# The shortest time that Kafka can be told; expiry takes it, and nothing else here waits.
EXPIRY = 60
SETTINGS = ("offsets.retention.minutes=1", "offsets.retention.check.interval.ms=500", "group.min.session.timeout.ms=1000")


def run(broker, observer, logs, report):
    pains = Pains(broker, logs)
    try:
        with report.test("pains: groups are left alone for a minute"):
            pains.leave_groups_alone()
        report.tests_of(pains, "pains")
    except Failure:
        pass  # told
    finally:
        pains.hands.stop()


class Refused(Exception):
    """What the broker answered instead, by Kafka's name."""


class Hands:
    """The process of ../confluent-kafka/hands.py: `hands.commit(name="a", ...)` has it do that."""

    def __init__(self, broker, logs):
        with open(logs / "hands.log", "a") as log:
            self.process = subprocess.Popen(
                [CACHE / "confluent-kafka" / "bin" / "python", HOME / "confluent-kafka" / "hands.py", broker.bootstrap],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)

    def __getattr__(self, what):
        def do(**arguments):
            print(json.dumps([what, arguments]), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
            if not line:
                raise Failure(f"hands.py has ended with {self.process.wait()} at {what} {arguments}")
            told = json.loads(line)
            if "refused" in told:
                raise Refused(told["refused"])
            return told["answer"]
        return do

    def stop(self):
        self.process.kill()
        self.process.wait()


def refusal(of, **arguments):
    """How it was refused, or nothing."""
    try:
        of(**arguments)
    except Refused as error:
        return str(error)
    return None


def wait_until(holds, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(0.1)


class Pains(Tools):
    def __init__(self, broker, logs):
        super().__init__(broker, logs)
        self.hands = Hands(broker, logs)
        self.ours = " serve " in broker.command

    def catchword(self, *words, typed="", fails=False):
        binary = shlex.split(self.broker.command)[0]
        done = subprocess.run([binary, words[0], "--bootstrap", self.broker.bootstrap, *words[1:]],
                              input=typed, capture_output=True, text=True, timeout=60)
        if (done.returncode != 0) != fails:
            raise Failure(f"catchword {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stderr if fails else done.stdout

    def told(self, *words):
        return json.loads(self.catchword(*words, "--json"))

    def shown(self, group):
        """What `catchword show` tells of the group's one partition."""
        (partition,) = self.told("show", group)["partitions"]
        return partition

    def place(self, group, topic):
        found = self.hands.committed(group=group, topic=topic)
        return found and found[0]

    def topic(self, topic, count=10, **how):
        self.hands.create(topic=topic)
        self.hands.produce(topic=topic, count=count, **how)

    # The steps of the last test, which take a minute.

    def leave_groups_alone(self):
        self.topic("quiet")
        self.hands.join(name="weekly", group="weekly", topic="quiet", **{"group.protocol": "consumer"})
        expect(len(self.hands.read(name="weekly", count=10)), 10, "records read")
        self.hands.commit(name="weekly", topic="quiet", offset=10)
        for group in ("holidays", "pinned"):
            self.hands.put(group=group, topic="quiet", offset=7)
        self.left_alone = time.monotonic()

    # One pain each.

    def test_a_deleted_group_is_gone_for_good(self):
        self.topic("deleted")
        self.hands.put(group="deleted", topic="deleted", offset=7)
        self.hands.delete_group(group="deleted")
        expect(self.place("deleted", "deleted"), None, "committed")
        if self.ours:
            self.catchword("restore", "deleted", "--yes")
            expect(self.place("deleted", "deleted"), 7, "committed after the restore")

    def test_a_wrong_reset_leaves_nothing_to_go_back_to(self):
        self.topic("reset")
        self.hands.put(group="reset", topic="reset", offset=7)
        self.hands.put(group="reset", topic="reset", offset=0)
        expect(self.place("reset", "reset"), 0, "committed")
        if self.ours:
            change = self.told("log", "reset")["changes"][0]
            self.catchword("undo", change["id"], "--yes")
            expect(self.place("reset", "reset"), 7, "committed after the undo")

    def test_a_group_is_not_reset_while_it_is_read(self):
        self.topic("live")
        self.hands.join(name="reader", group="live", topic="live", **{"heartbeat.interval.ms": 500})
        expect(self.hands.read(name="reader", count=10), list(range(10)), "read")
        self.hands.commit_position(name="reader")
        expect(refusal(self.hands.put, group="live", topic="live", offset=4), "UNKNOWN_MEMBER_ID", "how a reset is refused")
        if self.ours:
            self.catchword("rewind", "live", "--to", "4", "--live", "--yes")
            expect(self.hands.read(name="reader", count=6), list(range(4, 10)), "read again")
        self.hands.leave(name="reader")

    def test_a_commit_is_refused_after_a_rebalance_and_nobody_tells_what_that_costs(self):
        self.topic("evicted")
        slow = BareMember(self.broker, "evicted", "evicted", rebalance_timeout_ms=1000)
        expect(slow.commit(2), None, "the commit of a member")
        # A group waits as long as its most patient member says.
        self.hands.join(name="next", group="evicted", topic="evicted",
                        **{"max.poll.interval.ms": 2000, "session.timeout.ms": 2000, "heartbeat.interval.ms": 300})
        # It takes over from the committed offset, so what the slow one has done since comes again.
        expect(self.hands.read(name="next", count=8), list(range(2, 10)), "read by the next member")
        expect(slow.commit(9), "UNKNOWN_MEMBER_ID", "how the slow member's commit is refused")
        slow.close()
        self.hands.leave(name="next")
        if self.ours:
            (notice,) = [one for one in self.told("audit", "evicted")["notices"] if one["kind"] == "refused"]
            expect((notice["member_id"], notice["records"]), (slow.id, 7), "who was refused, and how many records come twice")

    def test_what_a_member_was_given_and_had_not_committed_comes_twice_and_nobody_tells(self):
        self.topic("crashing")
        crashing = Hands(self.broker, self.logs)
        crashing.join(name="crashing", group="crashing", topic="crashing",
                      **{"session.timeout.ms": 2000, "heartbeat.interval.ms": 300})
        expect(crashing.read(name="crashing", count=10), list(range(10)), "read")
        crashing.commit(name="crashing", topic="crashing", offset=4)
        expect(self.place("crashing", "crashing"), 4, "committed, which is all that a Kafka knows")
        if self.ours:
            shown = self.shown("crashing")
            expect((shown["fetched"], shown["uncommitted"]), (10, 6), "how far it was given records, and what would come again")
        crashing.stop()  # as by kill -9
        self.hands.join(name="next", group="crashing", topic="crashing")
        expect(self.hands.read(name="next", count=6), list(range(4, 10)), "read by the next member")
        if self.ours:
            (notice,) = self.told("audit", "crashing")["notices"]
            expect((notice["client_id"], notice["how"], notice["from"], notice["to"], notice["records"]),
                   ("crashing", "timed-out", 4, 10, 6), "who died, and what comes twice for it")
        self.hands.leave(name="next")

    def test_a_member_commits_backwards_and_nobody_notices(self):
        self.topic("backwards")
        self.hands.join(name="confused", group="backwards", topic="backwards")
        expect(len(self.hands.read(name="confused", count=10)), 10, "records read")
        for offset in (9, 3):
            self.hands.commit(name="confused", topic="backwards", offset=offset)
        self.hands.leave(name="confused")
        expect(self.place("backwards", "backwards"), 3, "committed")
        if self.ours:
            (notice,) = self.told("audit", "backwards")["notices"]
            expect((notice["client_id"], notice["from"], notice["to"]), ("confused", 9, 3), "who went back, and how far")

    @functools.cached_property
    def described_lag(self):
        """{group: (committed, end, LAG)} of three groups, as kafka-consumer-groups tells it."""
        self.topic("passed")
        self.hands.put(group="passed", topic="passed", offset=2)
        self.hands.delete_records(topic="passed", before=8)
        self.topic("transactional", transaction="writer")
        self.hands.join(name="committed-reader", group="transactional", topic="transactional")
        expect(len(self.hands.read(name="committed-reader", count=10)), 10, "records of a transaction read")
        self.hands.commit_position(name="committed-reader")
        self.hands.leave(name="committed-reader")
        self.topic("old", timestamp_ms=int((time.time() - 3600) * 1000))
        self.hands.put(group="old", topic="old", offset=4)
        groups = ("passed", "transactional", "old")
        table = self.groups("--describe", *(word for group in groups for word in ("--group", group)))
        self.heading = next(line for line in table.splitlines() if line.startswith("GROUP"))
        rows = [line.split() for line in table.splitlines()]
        return {row[0]: tuple(map(int, row[3:6])) for row in rows if row and row[0] in groups}

    def test_lag_counts_records_that_are_gone(self):
        expect(self.described_lag["passed"], (2, 10, 8), "committed, end and lag, where only two records are left")
        if self.ours:
            shown = self.shown("passed")
            expect((shown["lag"], shown["lost"]), (2, 6), "records behind, and lost")

    def test_records_are_lost_without_a_word_when_retention_passes_a_group(self):
        expect(self.described_lag["passed"][0], 2, "committed")
        if self.ours:
            expect(self.told("show", "passed")["lost"], 6, "records lost, as is told before anybody reads")
        self.hands.join(name="late", group="passed", topic="passed")
        expect(self.hands.read(name="late", count=2), [8, 9], "read by who had committed 2")
        self.hands.leave(name="late")

    def test_lag_does_not_come_to_zero_behind_a_transaction(self):
        expect(self.described_lag["transactional"], (10, 11, 1), "committed, end and lag, where all was read")
        if self.ours:
            expect(self.shown("transactional")["lag"], 0, "records behind")

    def test_nobody_tells_for_how_long_a_group_has_been_behind(self):
        expect(self.described_lag["old"], (4, 10, 6), "committed, end and lag")
        expect(self.heading.split(), "GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID".split(),
               "all there is to know")
        if self.ours:
            minutes = self.shown("old")["age_ms"] / 60_000
            expect(60 <= minutes < 70, True, f"an hour old: {minutes} min")

    def test_a_topic_made_anew_has_forgotten_its_readers(self):
        self.topic("again")
        self.hands.put(group="again", topic="again", offset=7)
        self.hands.delete_topic(topic="again")
        wait_until(lambda: refusal(self.hands.create, topic="again") is None, "the topic is made again")
        expect(self.place("again", "again"), None, "committed")
        if self.ours:
            expect_in(self.catchword("trash"), "^again ")
            expect_in(self.catchword("restore", "again", "--yes", fails=True), "offsets of other records; nothing was changed")

    def test_a_backup_of_the_offsets_topic_cannot_be_put_back(self):
        self.topic("backup")
        self.hands.put(group="backup", topic="backup", offset=7)
        expect(refusal(self.hands.produce, topic="__consumer_offsets", count=1), "TOPIC_EXCEPTION", "how records for the offsets topic are refused")
        if self.ours:
            backup = self.catchword("export", "backup")
            self.hands.put(group="backup", topic="backup", offset=0)
            self.catchword("import", "-", "--group", "backup", "--yes", typed=backup)
            expect(self.place("backup", "backup"), 7, "committed after the import")

    def test_a_member_that_hangs_holds_up_its_group(self):
        self.topic("hanging")
        hanging = BareMember(self.broker, "hanging", "hanging", rebalance_timeout_ms=600_000)
        self.hands.join(name="waiting", group="hanging", topic="hanging")
        expect(self.hands.read(name="waiting", count=1, seconds=3), [], "read by who waits for the other")
        expect(self.hands.state(group="hanging")[0], "PREPARING_REBALANCING", "the group's state")
        if self.ours:
            (awaited,) = self.told("show", "hanging")["awaited"]
            expect((awaited["member_id"], awaited["what"]), (hanging.id, "rejoin"), "who is awaited, and what for")
            self.catchword("kick", "hanging", hanging.id, "--yes")
            expect(self.hands.read(name="waiting", count=10), list(range(10)), "read by who waited")
        else:
            # Its tools tell that the group waits, and not for whom; there is nothing to do but to find that process.
            expect_in(self.groups("--describe", "--group", "hanging", "--state"), "PreparingRebalance")
            told = self.groups("--describe", "--group", "hanging", "--members", "--verbose")
            expect("rejoin" in told or "await" in told, False, "that it tells who is awaited")
            expect(self.hands.read(name="waiting", count=1, seconds=15), [], "read by who still waits for the other")
        hanging.close()

    def test_a_member_of_the_new_protocol_that_hangs_holds_up_its_partitions(self):
        self.hands.create(topic="held", partitions=2)
        for partition in (0, 1):
            self.hands.produce(topic="held", count=2, partition=partition)
        protocol = {"group.protocol": "consumer"}
        self.hands.join(name="holding", group="held", topic="held", **protocol)
        expect(len(self.hands.read(name="holding", count=4)), 4, "records read")
        # Nobody takes its records any more, so it does not give one partition up, of which nothing is committed.
        self.hands.join(name="left-out", group="held", topic="held", **protocol)
        expect(self.hands.read(name="left-out", count=1, seconds=3), [], "read by who waits for the other")
        if self.ours:
            def awaited():
                return [one for one in self.told("show", "held")["awaited"] if one["until_ms"]]
            wait_until(awaited, "it is told who is awaited")
            (found,) = awaited()
            expect((found["client_id"], found["what"], len(found["partitions"])), ("holding", "give-up", 1), "who is awaited, and what for")
        self.hands.leave(name="holding")
        expect(len(self.hands.read(name="left-out", count=4)), 4, "read by who waited")
        self.hands.leave(name="left-out")

    def test_a_time_without_a_zone_is_taken_for_another(self):
        self.hands.create(topic="zones")
        for half_hour in (0, 1):  # 13:00 and 13:30 in Prague
            self.hands.produce(topic="zones", count=5, timestamp_ms=1_795_435_200_000 + half_hour * 1_800_000)
        self.hands.put(group="zones", topic="zones", offset=9)
        # Half past one for who is in Prague; for the tool half past two, after all that there is.
        told = self.call(f"{TOOLS}.consumer.group.ConsumerGroupCommand", "--reset-offsets", "--group", "zones", "--topic", "zones",
                         "--to-datetime", "2026-11-23T13:30:00.000", "--dry-run")
        expect_in(told, r"^zones +zones +0 +10\b")
        if self.ours:
            expect_in(self.catchword("rewind", "zones", "--to", "2026-11-23T13:30", fails=True), "zone")
            (partition,) = self.told("rewind", "zones", "--to", "2026-11-23T13:30+01:00")["partitions"]
            expect((partition["then"], partition["first_record_timestamp"]), (5, 1_795_437_000_000), "where to, and the first record there")

    def test_metadata_has_a_byte_that_nobody_wrote(self):
        self.topic("metadata")
        self.hands.join(name="annotating", group="metadata", topic="metadata")
        expect(len(self.hands.read(name="annotating", count=10)), 10, "records read")
        annotate = functools.partial(self.hands.commit, name="annotating", topic="metadata", offset=5)
        expect(refusal(annotate, metadata="m" * 4096), "OFFSET_METADATA_TOO_LARGE", "how 4096 characters, which are allowed, are refused")
        annotate(metadata="m" * 4095)
        self.hands.leave(name="annotating")
        if self.ours:
            expect(self.shown("metadata")["metadata"][4090:], "mmmmm", "the end of the metadata as shown")

    def test_offsets_expire_over_a_quiet_time_and_their_readers_begin_anew(self):
        if self.ours:
            self.catchword("keep", "pinned", "never")
        wait_until(lambda: time.monotonic() > self.left_alone + EXPIRY, "a minute is over", EXPIRY + 1)
        # A restart, of what has nothing to commit.
        expect(self.place("weekly", "quiet"), 10, "committed while it was subscribed")
        self.hands.leave(name="weekly")
        wait_until(lambda: self.place("holidays", "quiet") is None, "a group without members has expired")
        if not self.ours:
            wait_until(lambda: self.place("weekly", "quiet") is None, "a group has expired that left this very moment")
            expect(self.place("pinned", "quiet"), None, "committed")
            return
        expect(self.place("weekly", "quiet"), 10, "committed by a group that has just left")
        expect(self.place("pinned", "quiet"), 7, "committed by a group that is kept for ever")
        self.catchword("restore", "holidays", "--yes")
        expect(self.place("holidays", "quiet"), 7, "committed after the restore")
