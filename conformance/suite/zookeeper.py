"""Committed offsets in a real Apache ZooKeeper beside the broker's, and the way over. About our own broker only.

What stands in ZooKeeper is asked of ZooKeeper's own command line. The tests build on one another."""

import contextlib
import os
import pathlib
import re
import shlex
import signal
import socket
import struct
import subprocess
import time
import urllib.request

from .broker import Broker, free_port
from .pages import follow
from .report import Failure
from .tools import Tools, expect, expect_in

HERE = pathlib.Path(__file__).resolve().parent.parent
START = HERE / "zookeeper" / "start"
TOPIC, GROUP = "orders", "billing"
SESSION_MS = 2000
PATIENCE = 60


def run(broker, observer, logs, report):
    if " serve " not in broker.command:
        report.skip("zookeeper", "it is about our own broker")
        return
    scenario = Scenario(broker.command, logs)
    try:
        report.tests_of(scenario, "zookeeper")
    finally:
        scenario.stop()


class ZooKeeper:
    """One server, a process of its own, on a directory that outlives it; `member` is its number and the servers it is one of."""

    def __init__(self, directory, member=()):
        self.directory, self.port, self.process, self.member = directory, free_port(), None, member
        self.connect = f"127.0.0.1:{self.port}"
        jars = subprocess.run([START, "--install"], capture_output=True, text=True, check=True).stdout.strip()
        self.bin = directory / "bin"
        self.bin.mkdir(parents=True)
        client = self.bin / "zkCli.sh"
        client.write_text(f"#!/bin/sh\nexec java -XX:TieredStopAtLevel=1 -cp '{jars}/*' org.apache.zookeeper.ZooKeeperMain"
                          f" -server {self.connect} \"$@\" 2>&1\n")
        client.chmod(0o755)

    def launch(self):
        with open(self.directory / "zookeeper.log", "ab") as log:
            self.process = subprocess.Popen([START, str(self.port), str(self.directory / "data"), *self.member],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def start(self):
        self.launch()
        wait_until("ZooKeeper answers", lambda: self.ask("ruok") == "imok")

    def ask(self, word):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(word.encode())
                answer = b""
                while part := connection.recv(4096):
                    answer += part
                return answer.decode()
        except OSError:
            return None

    def kill(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def cli(self, *words, typed=""):
        """One command; or what is typed, a command a line."""
        done = subprocess.run([self.bin / "zkCli.sh", *words], input=typed, capture_output=True, text=True, timeout=60)
        return done.stdout

    def make(self, path, data=""):
        """Makes a node and those above it."""
        names = path.strip("/").split("/")
        above = "".join(f"create /{'/'.join(names[:n])}\n" for n in range(1, len(names)))
        self.cli(typed=above + f"create {path} {data}\nset {path} {data}\n")

    def get(self, path, auth=None):
        """What is in a node; None if there is none."""
        lines = self.cli(typed=(f"addauth {auth}\n" if auth else "") + f"get {path}\n").splitlines()
        numbers = [line for line in lines if re.fullmatch(r"\d+", line)]
        return int(numbers[-1]) if numbers else None


def node(partition, group=GROUP):
    return f"/consumers/{group}/offsets/{TOPIC}/{partition}"


def old_commit(port, group, offset):
    """A commit of version 0, as clients sent it when ZooKeeper had the places; the error it is answered with."""
    def text(value):
        return struct.pack(">h", len(value)) + value.encode()
    body = text(group) + struct.pack(">i", 1) + text(TOPIC) + struct.pack(">iiq", 1, 0, offset) + text("")
    request = struct.pack(">hhih", 8, 0, 7, -1) + body
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        answer = connection.recv(1000)
    return struct.unpack(">h", answer[-2:])[0] if answer else "the connection was closed"


def wait_until(what, done):
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise Failure(f"waited in vain until {what}")
        time.sleep(0.2)


class Mirrored:
    """A broker beside a ZooKeeper, below a path of it (chroot)."""

    def __init__(self, command, directory, zookeeper, *settings, chroot="", session_ms=SESSION_MS):
        directory.mkdir(exist_ok=True)
        self.command, self.zookeeper, self.chroot = command, zookeeper, chroot
        self.broker = Broker(command + "".join(f" --set {setting}" for setting in (
            f"zookeeper.connect={zookeeper.connect}{chroot}", f"zookeeper.session.timeout.ms={session_ms}", *settings)), directory)

    def catchword(self, *words, typed=""):
        binary = shlex.split(self.command)[0]
        done = subprocess.run([binary, *words], input=typed, capture_output=True, text=True, timeout=120,
                              env=os.environ | {"CATCHWORD_BOOTSTRAP": self.broker.bootstrap})
        if done.returncode != 0:
            raise Failure(f"catchword {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def rewind(self, to, group=GROUP):
        """A commit as any client's."""
        return self.catchword("rewind", group, "--to", str(to), "--topic", f"{TOPIC}:0", "--yes")

    def fill(self):
        self.catchword("topics", "create", TOPIC, "--partitions", "2")
        self.catchword("produce", TOPIC, typed="".join(f"{n}\n" for n in range(1000)))

    def gauge(self, name):
        log = self.broker.log_path.read_text(errors="replace")
        address = re.findall(r"JSON API and metrics on (http://\S+)", log)[-1]
        with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
            return int(re.search(rf"^catchword_zookeeper_{name} (\d+)$", answer.read().decode(), re.MULTILINE)[1])

    def is_even(self):
        return (self.gauge("connected"), self.gauge("unread"), self.gauge("behind")) == (1, 0, 0)

    def node(self, partition, group=GROUP):
        return self.chroot + node(partition, group)

    def in_zookeeper(self, partition, offset, group=GROUP):
        path = self.node(partition, group)
        wait_until(f"{path} is {offset}", lambda: self.zookeeper.get(path) == offset)

    def is_at(self, offset, group=GROUP):
        try:
            shown = self.catchword("show", group)
        except Failure as failure:
            if "there is no group" in str(failure):  # nothing of it was taken over yet
                return False
            raise
        return re.search(rf"^{TOPIC}:0 +\S+ +{offset:,} ", shown, re.MULTILINE) is not None

    def committed(self, offset, group=GROUP):
        wait_until(f"{group} is at {offset}", lambda: self.is_at(offset, group))


class Scenario(Mirrored):
    def __init__(self, command, logs):
        self.logs = logs
        super().__init__(command, logs / "mirrored", ZooKeeper(logs / "zookeeper"), "offsets.storage=zookeeper")

    def stop(self):
        self.broker.stop()
        self.zookeeper.kill()

    def test_a_commit_is_in_zookeeper_a_moment_later(self):
        self.zookeeper.start()
        self.broker.start()
        self.fill()
        self.catchword("consume", TOPIC, "--group", GROUP, "--max", "300")
        self.in_zookeeper(0, 300)

    def test_what_others_write_there_is_taken_over_and_can_be_undone(self):
        self.zookeeper.cli("set", node(0), "120")
        self.committed(120)
        told = self.catchword("log", GROUP)
        expect_in(told, rf"{TOPIC}:0 +300 . 120 .*zookeeper from {self.zookeeper.connect}")
        change = re.search(r"(\d+-\d+)$", told, re.MULTILINE)[1]
        self.catchword("undo", change, "--yes")
        self.committed(300)
        self.in_zookeeper(0, 300)

    def test_a_group_that_only_zookeeper_has_is_taken_over(self):
        for path in ("/consumers/old", "/consumers/old/offsets", f"/consumers/old/offsets/{TOPIC}"):
            self.zookeeper.cli("create", path)
        self.zookeeper.cli("create", node(0, "old"), "77")
        self.committed(77, "old")
        self.zookeeper.cli("set", node(0, "old"), "78")
        self.committed(78, "old")
        # A step forward is told as well.
        expect_in(self.catchword("log", "old"), rf"{TOPIC}:0 +77 . 78 .*zookeeper from ")

    def test_an_old_clients_commit_of_version_0_is_in_zookeeper_too(self):
        expect(old_commit(self.broker.port, "oldest", 55), 0, "the error of the partition")
        self.in_zookeeper(0, 55, "oldest")

    def test_kafkas_own_tools_of_today_are_served_as_ever(self):
        told = Tools(self.broker, self.logs).groups("--describe", "--group", GROUP)
        expect_in(told, rf"^{GROUP} +{TOPIC} +0 +300 ")

    def test_zookeeper_is_down_and_clients_do_not_notice(self):
        self.zookeeper.kill()
        wait_until("the broker knows", lambda: self.gauge("connected") == 0)
        began = time.monotonic()
        for offset in (400, 401, 402):
            self.rewind(offset)
        # Three processes that start, each of which commits: without a word from ZooKeeper, whose patience is 2 s.
        expect(time.monotonic() - began < 10, True, "quick")
        wait_until("the gauge says how far behind", lambda: self.gauge("unread") > 0)
        self.zookeeper.start()
        self.in_zookeeper(0, 402)
        wait_until("nothing is behind", lambda: (self.gauge("unread"), self.gauge("behind")) == (0, 0))

    def test_the_broker_is_killed_while_zookeeper_is_down_and_nothing_is_lost(self):
        self.zookeeper.kill()
        self.rewind(500)
        self.broker.kill()
        self.broker.start()
        self.committed(500)
        self.zookeeper.start()
        self.in_zookeeper(0, 500)
        self.committed(500)

    def test_the_session_expires_while_the_broker_hangs(self):
        sessions = lambda: len(re.findall(r"^\s*0x[0-9a-f]+", self.zookeeper.ask("dump") or "", re.MULTILINE))
        expect(sessions() > 0, True, "the broker has a session")
        os.killpg(self.broker.process.pid, signal.SIGSTOP)
        try:
            wait_until("the session has expired", lambda: sessions() == 0)
        finally:
            os.killpg(self.broker.process.pid, signal.SIGCONT)
        self.rewind(550)
        self.in_zookeeper(0, 550)

    def test_zookeeper_hangs_and_clients_do_not_notice(self):
        self.zookeeper.signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            self.rewind(600)
            expect(time.monotonic() - began < 10, True, "quick")
            wait_until("the broker knows", lambda: self.gauge("connected") == 0)
        finally:
            self.zookeeper.signal(signal.SIGCONT)
        self.in_zookeeper(0, 600)
        self.committed(600)

    def test_the_connection_is_lost_and_what_others_write_in_the_same_session_is_taken_over(self):
        told = lambda: self.broker.log_path.read_text(errors="replace").count("enter state Disconnected")
        wait_until("the mirror is back from the hang before", self.is_even)
        before = told()
        self.zookeeper.signal(signal.SIGSTOP)
        try:
            wait_until("the connection is given up", lambda: told() > before)
        finally:
            self.zookeeper.signal(signal.SIGCONT)
        wait_until("the mirror is there", self.is_even)
        time.sleep(1)  # what is written while there is no connection is found in another way
        for offset in (605, 600):
            self.zookeeper.cli("set", node(0), str(offset))
            self.committed(offset)

    def test_others_write_while_the_broker_is_down(self):
        wait_until("all is told", lambda: self.gauge("behind") == 0)
        time.sleep(1)  # lets the progress be written; if it is not, the rule decides, which comes to the same here
        self.broker.shut_down()
        self.zookeeper.cli("set", node(0), "610")
        self.broker.start()
        self.committed(610)

    def test_a_place_in_a_topic_that_is_not_there_yet_waits_for_it_through_a_restart(self):
        for path in ("/consumers/old/offsets/later", "/consumers/old/offsets/later/0"):
            self.zookeeper.cli("create", path, "3" if path.endswith("0") else "")
        wait_until("it is held", lambda: self.gauge("held") == 1)
        self.rewind(620)
        self.in_zookeeper(0, 620)
        self.broker.kill()
        self.broker.start()
        self.catchword("topics", "create", "later")
        self.catchword("produce", "later", typed="1\n2\n3\n4\n")
        wait_until("old has it", lambda: re.search(r"^later:0 +0 +3 ", self.catchword("show", "old"), re.MULTILINE))

    def test_an_idle_mirror_writes_nothing(self):
        cluster = re.findall(r"^  cluster +(\S+)$", self.broker.log_path.read_text(errors="replace"), re.MULTILINE)[-1]
        version = lambda: re.search(r"dataVersion = (\d+)", self.zookeeper.cli("get", "-s", f"/catchword/{cluster}"))[1]
        wait_until("nothing is behind", lambda: (self.gauge("unread"), self.gauge("behind")) == (0, 0))
        time.sleep(1)
        before = version()
        time.sleep(2)
        expect(version(), before, "how often the mirror said how far it is")

    def test_a_node_that_may_not_be_written_holds_up_no_other(self):
        self.zookeeper.cli("setAcl", node(0), "world:anyone:ra")
        self.rewind(700)
        wait_until("one is held", lambda: self.gauge("held") == 1)
        self.rewind(88, "old")
        self.in_zookeeper(0, 88, "old")
        self.zookeeper.cli("setAcl", node(0), "world:anyone:cdrwa")
        self.in_zookeeper(0, 700)

    def test_a_group_that_was_cut_over_is_left_alone(self):
        expect_in(self.catchword("zk", "status"), "Both sides are the same")
        expect_in(self.catchword("zk", "cutover", GROUP), "would not be mirrored any more; --yes does it")
        self.catchword("zk", "cutover", GROUP, "--yes")
        time.sleep(1)
        self.rewind(800)
        self.rewind(90, "old")
        self.in_zookeeper(0, 90, "old")
        expect(self.zookeeper.get(node(0)), 700, "the node of a group that was cut over")
        self.catchword("zk", "cutover", GROUP, "--back", "--yes")
        self.in_zookeeper(0, 800)

    def test_the_page_moving_from_zookeeper(self):
        directory = self.logs / "page"
        directory.mkdir()
        zookeeper = ZooKeeper(directory / "zookeeper")
        zookeeper.start()
        broker = Broker(self.command, directory)
        with contextlib.ExitStack() as end:
            end.callback(zookeeper.kill)
            end.callback(broker.stop)
            broker.start()
            binary = pathlib.Path(shlex.split(self.command)[0]).resolve()
            follow(HERE.parent / "docs" / "moving-from-zookeeper.md", os.environ | {
                "PATH": f"{binary.parent}:{zookeeper.bin}:{os.environ['PATH']}",
                "CATCHWORD_BOOTSTRAP": broker.bootstrap, "CATCHWORD_ZOOKEEPER": zookeeper.connect})
