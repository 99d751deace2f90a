"""The table of clients: how each is installed, and the command lines that make it produce and consume.

A client with a worker of ours speaks the lines of README.md; the finished tools (kcat, Kafka's console tools)
print what they are told to print, and `heard` turns that into the same lines.
"""

import os
import pathlib
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import Callable

HOME = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "catchword-conformance"
JARS = CACHE / "java-jars"
STREAMS_JARS = CACHE / "streams-jars"
JAVA = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m",
        f"-Dlog4j2.configurationFile={HOME / 'java' / 'log4j2.yaml'}"]
DEFAULT_PARTITIONS = 4


class Unavailable(Exception):
    """A client that this machine cannot have."""


@dataclass
class Client:
    name: str
    needs: tuple                    # programs that must be on the machine
    install: Callable[[], None]     # brings the client into the cache; quick when it is there
    produce: Callable               # (bootstrap, topic, codec) -> command line; reads `KEY VALUE` lines
    consume: Callable               # (bootstrap, topic, group, client id, options) -> command line
    codecs: tuple = ("none", "gzip", "snappy", "lz4", "zstd")
    idempotent: bool = True
    asks_to_commit: bool = True     # commits when told to, rather than every second
    tells_rebalances: bool = True
    heard: Callable = field(default=lambda line: line)
    transform: Callable = None      # (bootstrap, from, to, group, client id) -> command line; moves records in transactions
    share: Callable = None          # (bootstrap, topic, group, client id) -> command line; a member of a share group
    incremental_groups: bool = False  # can do cooperative-sticky and static membership on request


def run(command, **how):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, **how)
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(map(str, command))}:\n{done.stdout[-3000:]}")


def once(stamp, sources, build):
    """Runs `build` unless it was already run for these very sources."""
    stamp, want = CACHE / stamp, "".join(source.read_text() for source in sources)
    if stamp.exists() and stamp.read_text() == want:
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    build()
    stamp.write_text(want)


def worker_arguments(bootstrap, topic, group, client, options):
    words = dict(bootstrap=bootstrap, topic=topic, group=group, client=client, **options)
    return ["consume"] + [f"{k}={v}" for k, v in words.items()]


def with_worker(name, start, fixed=(), transactional=False, shares=False, **more):
    """A client driven by a worker program of ours, started by the words `start`."""
    if transactional:
        more["transform"] = lambda bootstrap, topic, to, group, client: start + [
            "transform", f"bootstrap={bootstrap}", f"topic={topic}", f"to={to}", f"group={group}", f"client={client}"]
    if shares:
        more["share"] = lambda bootstrap, topic, group, client: start + [
            "share", f"bootstrap={bootstrap}", f"topic={topic}", f"group={group}", f"client={client}"]
    return Client(
        name=name,
        produce=lambda bootstrap, topic, codec="none": start + [
            "produce", f"bootstrap={bootstrap}", f"topic={topic}", f"codec={codec}",
            f"idempotent={str(more.get('idempotent', True)).lower()}"],
        consume=lambda *arguments: start + worker_arguments(*arguments) + list(fixed),
        **more)


def install_python(name):
    where, wanted = CACHE / name, HOME / name / "requirements.txt"

    def build():
        shutil.rmtree(where, ignore_errors=True)
        run(["python3", "-m", "venv", where])
        run([where / "bin" / "pip", "install", "--quiet", "--requirement", wanted])

    once(f"{name}.stamp", [wanted], build)


def install_jars(pom=HOME / "java" / "pom.xml", where=JARS):
    def build():
        shutil.rmtree(where, ignore_errors=True)
        run(["mvn", "-q", "-B", "-f", pom, f"-DoutputDirectory={where}",
             "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"])

    once(f"{where.name}.stamp", [pom], build)


def install_java():
    install_jars()
    source = HOME / "java" / "Worker.java"
    once("java.stamp", [source], lambda: run(["javac", "-d", CACHE / "java", "-cp", f"{JARS}/*", source]))


def install_word_count():
    install_jars(HOME / "streams" / "pom.xml", STREAMS_JARS)
    source = HOME / "streams" / "WordCount.java"
    once("streams.stamp", [source],
         lambda: run(["javac", "-d", CACHE / "streams", "-cp", f"{STREAMS_JARS}/*", source]))


def word_count(bootstrap, topic, to, group, client, protocol, state):
    """The command line of a Kafka Streams application that counts words, with `exactly_once_v2`."""
    words = dict(bootstrap=bootstrap, topic=topic, to=to, group=group, client=client, protocol=protocol, state=state)
    return [*JAVA, "-cp", f"{CACHE / 'streams'}:{STREAMS_JARS}/*", "WordCount"] + [f"{k}={v}" for k, v in words.items()]


def install_rdkafka():
    run(["cargo", "build", "--quiet", "--locked"], cwd=HOME / "rdkafka",
        env=os.environ | {"CARGO_TARGET_DIR": str(CACHE / "rdkafka")})


def install_franz_go():
    # A Go too old for the module must say so, and not go looking for another one.
    run(["go", "build", "-o", CACHE / "franz-go", "."], cwd=HOME / "franz-go",
        env=os.environ | {"GOTOOLCHAIN": "local"})


def install_kafkajs():
    sources = [HOME / "kafkajs" / file for file in ("package.json", "package-lock.json", "worker.js")]
    where = CACHE / "kafkajs"

    def build():
        where.mkdir(exist_ok=True)
        for source in sources + [HOME / "kafkajs" / ".npmrc"]:
            shutil.copy(source, where)
        run(["npm", "ci", "--no-audit", "--no-fund"], cwd=where)

    once("kafkajs.stamp", sources, build)


def kcat_heard(line):
    rebalanced = re.match(r"% Group .* rebalanced .*(assigned|revoked): ?(.*)", line)
    if not rebalanced:
        return line
    what, partitions = rebalanced.groups()
    topic = partitions.split(" ")[0] or "-"
    numbers = re.findall(r"\[(\d+)\]", partitions)
    return f"{what} {topic} {','.join(numbers) or '-'}"


def console_heard(line):
    read = re.match(r"Partition:(\d+) Offset:(\d+) (\S+) (\S+)$", line)
    return f"got - {' '.join(read.groups())}" if read else line


def kafka_tool(tool, *arguments):
    return [*JAVA, "-cp", f"{JARS}/*", tool, *arguments]


KCAT = Client(
    name="kcat", needs=("kcat",), install=lambda: None, asks_to_commit=False, heard=kcat_heard,
    produce=lambda bootstrap, topic, codec="none": [
        "kcat", "-P", "-E", "-b", bootstrap, "-t", topic, "-K", " ", "-z", codec, "-X", "enable.idempotence=true",
        "-X", "reconnect.backoff.max.ms=1000"],
    consume=lambda bootstrap, topic, group, client, options: [
        "kcat", "-b", bootstrap, "-G", group, "-u", "-E", "-f", "got %t %p %o %k %s\n",
        "-X", f"client.id={client}", "-X", "session.timeout.ms=6000", "-X", "heartbeat.interval.ms=1000",
        "-X", "auto.offset.reset=earliest", "-X", "auto.commit.interval.ms=1000",
        "-X", "reconnect.backoff.max.ms=1000", topic],
)

CONSOLE = Client(
    name="kafka-console", needs=("java", "mvn"), install=install_jars, asks_to_commit=False,
    tells_rebalances=False, heard=console_heard,
    produce=lambda bootstrap, topic, codec="none": kafka_tool(
        "org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", bootstrap, "--topic", topic,
        "--compression-codec", codec, "--reader-property", "parse.key=true", "--reader-property", "key.separator= "),
    consume=lambda bootstrap, topic, group, client, options: kafka_tool(
        "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", bootstrap, "--topic", topic,
        "--group", group, *(word for setting in (
            f"client.id={client}", "auto.offset.reset=earliest", "session.timeout.ms=6000",
            "heartbeat.interval.ms=1000", "auto.commit.interval.ms=1000",
        ) for word in ("--command-property", setting)), *(word for setting in (
            "print.partition=true", "print.offset=true", "print.key=true", "key.separator= ",
        ) for word in ("--formatter-property", setting))),
)

# Only for the scenarios of suite/streams.py: an application neither produces nor consumes on request.
STREAMS = Client(name="kafka-streams", needs=("java", "javac", "mvn"), install=install_word_count, produce=None,
                 consume=None)

CLIENTS = [
    with_worker("rdkafka", [str(CACHE / "rdkafka" / "debug" / "rdkafka-worker")],
                needs=("cargo", "cc", "make"), install=install_rdkafka, incremental_groups=True),
    KCAT,
    with_worker("java", [*JAVA, "-cp", f"{CACHE / 'java'}:{JARS}/*", "Worker"],
                needs=("java", "javac", "mvn"), install=install_java, incremental_groups=True, transactional=True,
                shares=True),
    CONSOLE,
    with_worker("confluent-kafka", [str(CACHE / "confluent-kafka" / "bin" / "python"),
                                    str(HOME / "confluent-kafka" / "worker.py")],
                needs=("python3",), install=lambda: install_python("confluent-kafka"), incremental_groups=True,
                transactional=True),
    with_worker("aiokafka", [str(CACHE / "aiokafka" / "bin" / "python"), str(HOME / "aiokafka" / "worker.py")],
                needs=("python3",), install=lambda: install_python("aiokafka")),
    with_worker("franz-go", [str(CACHE / "franz-go")], needs=("go",), install=install_franz_go),
    # The same with the group protocol of KIP-848.
    with_worker("rdkafka-848", [str(CACHE / "rdkafka" / "debug" / "rdkafka-worker")], fixed=["protocol=consumer"],
                needs=("cargo", "cc", "make"), install=install_rdkafka),
    with_worker("java-848", [*JAVA, "-cp", f"{CACHE / 'java'}:{JARS}/*", "Worker"], fixed=["protocol=consumer"],
                needs=("java", "javac", "mvn"), install=install_java),
    with_worker("kafkajs", ["node", str(CACHE / "kafkajs" / "worker.js")],
                needs=("node", "npm"), install=install_kafkajs, codecs=("none", "gzip", "snappy")),
]


def install(client):
    """Brings a client onto the machine, or says why it cannot be had."""
    missing = [program for program in client.needs if not shutil.which(program)]
    if missing:
        raise Unavailable(f"{', '.join(missing)} not found")
    client.install()
