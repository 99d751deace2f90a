"""Kafka's own command line tools, each held to what it prints. Needs a broker of its own; the tests build on one another."""

import json
import re
import subprocess
import time

from .clients import kafka_tool
from .report import Failure

TOPIC, GROUP, COPY = "tools", "tools-group", "tools-copy"
PARTITIONS, RECORDS = 3, 30
TOOLS = "org.apache.kafka.tools"


def run(broker, observer, logs, report):
    tools = Tools(broker, logs)
    report.tests_of(tools, "kafka-tools")


def expect(found, wanted, what):
    if found != wanted:
        raise Failure(f"{what}: expected {wanted}, found {found}")


def expect_in(text, pattern):
    if not re.search(pattern, text, re.MULTILINE):
        raise Failure(f"nothing matches {pattern!r} in:\n{text[-2500:]}")


class Tools:
    def __init__(self, broker, logs):
        self.broker, self.logs = broker, logs

    # How the tools are called.

    def call(self, tool, *words, typed="", fails=False):
        """A tool's standard output; with `fails`, both its outputs."""
        done = subprocess.run(kafka_tool(tool, "--bootstrap-server", self.broker.bootstrap, *words), input=typed,
                              capture_output=True, text=True, timeout=60)
        both = done.stdout + done.stderr
        with open(self.logs / "tools.log", "a") as log:
            log.write(f"$ {tool} {' '.join(words)}\n{both}[{done.returncode}]\n")
        if fails:
            return both
        if done.returncode != 0:
            raise Failure(f"{tool} {' '.join(words)} ended with {done.returncode}:\n{both[-2500:]}")
        return done.stdout

    def topics(self, *words, **how):
        return self.call(f"{TOOLS}.TopicCommand", *words, **how)

    def groups(self, *words, **how):
        return self.call(f"{TOOLS}.consumer.group.ConsumerGroupCommand", *words, **how)

    def reset(self, *words, group=GROUP, **how):
        return self.groups("--reset-offsets", "--group", group, "--topic", TOPIC, *words, **how)

    def configs(self, *words, **how):
        return self.call("kafka.admin.ConfigCommand", *words, **how)

    def produce(self, values):
        self.call(f"{TOOLS}.ConsoleProducer", "--topic", TOPIC, "--reader-property", "parse.key=true",
                  "--reader-property", "key.separator=:", typed="".join(f"{v}:{v}\n" for v in values))

    def consume(self, topic, *words):
        return self.call(f"{TOOLS}.consumer.ConsoleConsumer", "--topic", topic, *words)

    def end_offsets(self, *words):
        """{partition: offset} as kafka-get-offsets tells them."""
        lines = self.call(f"{TOOLS}.GetOffsetShell", "--topic", TOPIC, *words).split()
        return {int(p): int(offset) for _, p, offset in (line.split(":") for line in lines)}

    def described(self, group=GROUP):
        """{partition: (committed, end, lag)} as kafka-consumer-groups describes them; None where it prints `-`."""
        table = {}
        for line in self.groups("--describe", "--group", group).splitlines():
            words = line.split()
            if words[:2] == [group, TOPIC]:
                committed, end, lag = (None if w == "-" else int(w) for w in words[3:6])
                table[int(words[2])] = (committed, end, lag)
        return table

    def committed(self, group=GROUP):
        return {partition: committed for partition, (committed, _, _) in self.described(group).items()}

    def formatted(self, formatter):
        """All of __consumer_offsets, through one of Kafka's own formatters."""
        text = self.consume("__consumer_offsets", "--from-beginning", "--timeout-ms", "4000",
                            "--formatter", f"{TOOLS}.consumer.{formatter}")
        decoder, at, found = json.JSONDecoder(), 0, []
        while at < len(text.rstrip()):
            value, at = decoder.raw_decode(text, at)
            found.append((value["key"], value["value"]))
            while at < len(text) and text[at].isspace():
                at += 1
        return found

    def with_active_member(self, body):
        """Runs `body` while a console consumer is a member of the group."""
        member = subprocess.Popen(
            kafka_tool(f"{TOOLS}.consumer.ConsoleConsumer", "--bootstrap-server", self.broker.bootstrap,
                       "--topic", TOPIC, "--group", GROUP), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        try:
            for _ in range(15):
                if re.search(rf"{GROUP} .*Stable +1", self.groups("--describe", "--group", GROUP, "--state")):
                    break
            else:
                raise Failure("the group does not become stable")
            body()
        finally:
            member.terminate()
            member.wait()

    # The tests, in order.

    def test_api_versions_are_told(self):
        # The Java client sends ApiVersions v4 first; whatever it prints as usable here it took from the answer.
        told = self.call(f"{TOOLS}.BrokerApiVersionsCommand")
        expect_in(told, r"OffsetCommit\(8\): .*\[usable: ")
        expect_in(told, r"JoinGroup\(11\): .*\[usable: ")

    def test_a_topic_is_created_listed_and_described(self):
        self.topics("--create", "--topic", TOPIC, "--partitions", str(PARTITIONS), "--config", "retention.ms=86400000")
        expect_in(self.topics("--list"), rf"^{TOPIC}$")
        expect_in(self.topics("--describe", "--topic", TOPIC),
                  rf"PartitionCount: {PARTITIONS}\s.*Configs: .*retention.ms=86400000")

    def test_client_quotas_are_set_described_and_taken_back(self):
        entity = ("--entity-type", "clients", "--entity-name", "tools-client")
        self.configs("--alter", *entity, "--add-config", "producer_byte_rate=1048576")
        expect_in(self.configs("--describe", *entity), r"producer_byte_rate=1048576\.0")
        self.configs("--alter", *entity, "--delete-config", "producer_byte_rate")
        expect("producer_byte_rate" in self.configs("--describe", *entity), False, "the quota that was taken back")

    def test_settings_of_groups_and_of_client_metrics_are_set_and_described(self):
        group = ("--entity-type", "groups", "--entity-name", "tools-settings")
        self.configs("--alter", *group, "--add-config", "consumer.session.timeout.ms=50000")
        expect_in(self.configs("--describe", *group), r"consumer\.session\.timeout\.ms=50000 .*DYNAMIC_GROUP_CONFIG")
        metrics = ("--entity-type", "client-metrics", "--entity-name", "tools-metrics")
        self.configs("--alter", *metrics, "--add-config", "interval.ms=60000,match=[client_id=app-.*]")
        expect_in(self.configs("--describe", *metrics), r"interval\.ms=60000 ")
        expect_in(self.call(f"{TOOLS}.ClientMetricsCommand", "--list"), r"^tools-metrics$")

    def test_features_are_described(self):
        expect_in(self.call(f"{TOOLS}.FeatureCommand", "describe"),
                  r"Feature: metadata\.version .*FinalizedVersionLevel: 4\.3-IV0")

    def test_the_metadata_quorum_is_described(self):
        quorum = f"{TOOLS}.MetadataQuorumCommand"
        told = self.call(quorum, "describe", "--status")
        expect_in(told, rf"^LeaderId: +{self.broker_id()}$")
        expect_in(told, r"^MaxFollowerLag: +0$")
        expect_in(self.call(quorum, "describe", "--replication"), rf"^{self.broker_id()}\s.*\sLeader\s*$")

    def test_no_election_is_needed_and_no_partition_moves(self):
        elected = self.call(f"{TOOLS}.LeaderElectionCommand", "--election-type", "preferred", "--topic", TOPIC, "--partition", "0")
        expect_in(elected, "Valid replica already elected")
        expect_in(self.call(f"{TOOLS}.reassign.ReassignPartitionsCommand", "--list"), "No partition reassignments found")

    def test_a_topic_that_exists_is_not_created_again(self):
        expect_in(self.topics("--create", "--topic", TOPIC, "--partitions", "1", fails=True), "already exists")
        self.topics("--create", "--if-not-exists", "--topic", TOPIC, "--partitions", "1")

    def test_topic_configs_are_altered_and_described(self):
        entity = ("--entity-type", "topics", "--entity-name", TOPIC)
        self.configs("--alter", *entity, "--add-config", "max.message.bytes=123456")
        expect_in(self.configs("--describe", *entity), r"max\.message\.bytes=123456 .*DYNAMIC_TOPIC_CONFIG")
        self.configs("--alter", *entity, "--delete-config", "max.message.bytes")
        described = self.configs("--describe", *entity, "--all")
        expect_in(described, r"max\.message\.bytes=1048588 ")
        expect_in(described, r"retention\.ms=86400000 ")
        expect_in(described, r"cleanup\.policy=delete ")
        refused = self.configs("--alter", *entity, "--add-config", "retention.ms=soon", fails=True)
        expect_in(refused, "InvalidConfigurationException|Invalid value")

    def test_broker_configs_are_described(self):
        described = self.configs("--describe", "--all", "--entity-type", "brokers", "--entity-name", self.broker_id())
        expect_in(described, r"offsets\.retention\.minutes=10080 ")

    def broker_id(self):
        return re.search(r"\(id: (\d+)", self.call(f"{TOOLS}.BrokerApiVersionsCommand")).group(1)

    def test_console_producer_and_get_offsets_agree(self):
        self.produce([f"v{n}" for n in range(RECORDS)])
        expect(sum(self.end_offsets().values()), RECORDS, "records by end offset")
        expect(sum(self.end_offsets("--time", "earliest").values()), 0, "earliest offsets")
        expect(sum(self.end_offsets("--time", "1").values()), 0, "offsets at a time before all")
        newest = self.end_offsets("--time", "max-timestamp")
        expect(all(offset >= 0 for offset in newest.values()), True, f"offsets by greatest timestamp {newest}")

    def test_console_consumer_reads_in_a_group(self):
        read = self.consume(TOPIC, "--group", GROUP, "--from-beginning", "--max-messages", str(RECORDS),
                            "--timeout-ms", "20000")
        expect(sorted(read.split()), sorted(f"v{n}" for n in range(RECORDS)), "read")
        expect(self.committed(), self.end_offsets(), "committed")

    def test_groups_are_listed_and_described(self):
        expect_in(self.groups("--list"), rf"^{GROUP}$")
        expect_in(self.groups("--list", "--state"), rf"^{GROUP} +Empty")
        expect_in(self.groups("--describe", "--group", GROUP, "--state"), rf"^{GROUP} .*Empty +0")

    def test_lag_is_what_was_produced_since(self):
        self.produce([f"late{n}" for n in range(5)])
        described = self.described()
        expect(sum(lag for _, _, lag in described.values()), 5, f"lag in {described}")
        expect({p: end for p, (_, end, _) in described.items()}, self.end_offsets(), "ends")

    def test_reset_offsets_previews_without_a_change(self):
        before = self.committed()
        expect_in(self.reset("--to-earliest", "--dry-run"), rf"{GROUP} +{TOPIC} +0 +0")
        expect(self.committed(), before, "committed")

    def test_reset_offsets_moves_where_it_is_told(self):
        ends = self.end_offsets()
        zero = dict.fromkeys(ends, 0)
        for words, wanted in (
            (("--to-earliest",), zero),
            (("--to-latest",), ends),
            (("--shift-by", "-2"), {p: end - 2 for p, end in ends.items()}),
            (("--to-offset", "3"), dict.fromkeys(ends, 3)),
            (("--to-offset", "100000"), ends),
            (("--to-datetime", "2020-01-01T00:00:00.000"), zero),
            (("--to-current",), zero),
            (("--by-duration", "PT1H"), zero),
        ):
            self.reset(*words, "--execute")
            expect(self.committed(), wanted, " ".join(words))

    def test_reset_offsets_makes_a_new_group(self):
        self.reset("--to-offset", "2", "--execute", group=COPY)
        expect(self.committed(COPY), dict.fromkeys(range(PARTITIONS), 2), "committed")

    def test_a_reader_resumes_at_the_reset_offset(self):
        self.reset("--to-latest", "--execute")
        self.groups("--reset-offsets", "--group", GROUP, "--topic", f"{TOPIC}:1", "--shift-by", "-4", "--execute")
        read = self.consume(TOPIC, "--group", GROUP, "--max-messages", "4", "--timeout-ms", "10000",
                            "--formatter-property", "print.partition=true", "--formatter-property", "print.offset=true")
        end = self.end_offsets()[1]
        expect([int(offset) for offset in re.findall(r"Partition:1\s+Offset:(\d+)", read)],
               list(range(end - 4, end)), "read from partition 1")
        expect(self.committed(), self.end_offsets(), "committed")

    def test_an_active_group_is_neither_reset_nor_deleted(self):
        def body():
            before = self.committed()
            expect_in(self.groups("--describe", "--group", GROUP, "--members", "--verbose"), rf"{TOPIC}.*0,1,2")
            expect_in(self.reset("--to-earliest", "--execute", fails=True), "inactive|is Stable")
            expect_in(self.groups("--delete", "--group", GROUP, fails=True), "not empty|NonEmpty")
            expect_in(self.groups("--delete-offsets", "--group", GROUP, "--topic", TOPIC, fails=True), "subscribed")
            expect(self.committed(), before, "committed")
        self.with_active_member(body)

    def test_offsets_formatter_reads_the_offsets_topic(self):
        self.reset("--to-offset", "7", "--execute")
        # One formatter's JSON: {"version":..,"data":{..}} for key and value.
        last = {}
        for key, value in self.formatted("OffsetsMessageFormatter"):
            last[(key["data"]["group"], key["data"]["topic"], key["data"]["partition"])] = value
        for partition in range(PARTITIONS):
            expect(last[(GROUP, TOPIC, partition)]["data"]["offset"], 7, f"partition {partition}'s last record")
        expect_in(self.topics("--describe", "--topic", "__consumer_offsets"),
                  r"PartitionCount: 50\s.*cleanup.policy=compact")

    def test_group_metadata_formatter_reads_the_offsets_topic(self):
        values = [value for key, value in self.formatted("GroupMetadataMessageFormatter") if key["data"]["group"] == GROUP]
        if not values:
            raise Failure("no record of the group's metadata")
        expect(values[-1]["data"]["protocolType"], "consumer", "protocol type")
        expect(any(value["data"]["members"] for value in values if value), True, "some record has members")
        expect(values[-1]["data"]["members"], [], "members at last")

    def test_offsets_of_one_partition_are_deleted(self):
        self.groups("--delete-offsets", "--group", COPY, "--topic", f"{TOPIC}:1")
        expect(self.committed(COPY), {0: 2, 2: 2}, "committed")

    def test_a_group_is_deleted_with_tombstones(self):
        expect_in(self.groups("--delete", "--group", COPY), "success")
        expect(COPY in self.groups("--list").split(), False, "the group is listed")
        last = {}
        for key, value in self.formatted("OffsetsMessageFormatter"):
            if key["data"]["group"] == COPY:
                last[key["data"]["partition"]] = value
        expect(last, dict.fromkeys(range(PARTITIONS)), "last records of the deleted group's partitions")
        expect_in(self.groups("--delete", "--group", COPY, fails=True), "GroupIdNotFound|not found|does not exist")

    def test_groups_and_offsets_outlive_a_kill_of_the_broker(self):
        before, configs = self.committed(), self.topics("--describe", "--topic", TOPIC)
        self.broker.kill()
        self.broker.start()
        expect(self.committed(), before, "committed")
        expect(self.topics("--describe", "--topic", TOPIC), configs, "the topic's description")
        expect(COPY in self.groups("--list").split(), False, "the deleted group is listed")

    def test_records_are_deleted(self):
        request = self.logs / "delete-records.json"
        request.write_text(json.dumps(
            {"version": 1, "partitions": [{"topic": TOPIC, "partition": 0, "offset": 5}]}))
        expect_in(self.call(f"{TOOLS}.DeleteRecordsCommand", "--offset-json-file", str(request)), "low_watermark: 5")
        expect(self.end_offsets("--time", "earliest"), {0: 5, 1: 0, 2: 0}, "earliest offsets")
        self.reset("--to-earliest", "--execute")
        expect(self.committed(), {0: 5, 1: 0, 2: 0}, "committed")

    def test_partitions_are_added(self):
        self.topics("--alter", "--topic", TOPIC, "--partitions", "5")
        expect_in(self.topics("--describe", "--topic", TOPIC), "PartitionCount: 5")

    def test_log_dirs_are_described(self):
        expect_in(self.call(f"{TOOLS}.LogDirsCommand", "--describe", "--topic-list", TOPIC), f'"partition":"{TOPIC}-0"')

    def test_dump_log_reads_the_committed_offsets_from_the_files(self):
        files = self.broker.directory.joinpath("data").rglob("__consumer_offsets-*/*.log")
        names = ",".join(sorted(str(file) for file in files if file.stat().st_size > 0))
        done = subprocess.run(kafka_tool(f"{TOOLS}.DumpLogSegments", "--deep-iteration", "--offsets-decoder", "--files", names),
                              capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise Failure(f"dump-log ended with {done.returncode}:\n{done.stderr[-1500:]}")
        expect_in(done.stdout, rf'"group":"{GROUP}","topic":"{TOPIC}"')
        for bad in ("isvalid: false", "Found invalid", "Non-consecutive", "mismatch"):
            expect(bad in done.stdout, False, f"dump-log says {bad}")

    def test_producer_perf_runs(self):
        told = self.call(f"{TOOLS}.ProducerPerformance", "--topic", TOPIC, "--num-records", "20000",
                         "--record-size", "100", "--throughput", "-1")
        expect_in(told, "^20000 records sent")

    def test_a_topic_is_deleted(self):
        self.topics("--delete", "--topic", TOPIC)
        for _ in range(10):
            if TOPIC not in self.topics("--list").split():
                return
            time.sleep(0.5)
        raise Failure("the topic is still listed")
