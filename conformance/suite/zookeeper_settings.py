"""What can be set of the mirror to ZooKeeper, each with a broker of its own below a path of its own (chroot) in one real
Apache ZooKeeper; and several servers of which one is killed. About our own broker only."""

import base64
import hashlib
import re
import signal
import time

from .broker import free_port
from .report import Failure
from .tools import expect, expect_in
from .zookeeper import GROUP, SESSION_MS, TOPIC, Mirrored, ZooKeeper, old_commit, wait_until

COORDINATOR_NOT_AVAILABLE = 15
ZOOKEEPER = "offsets.storage=zookeeper"


def run(broker, observer, logs, report):
    if " serve " not in broker.command:
        report.skip("zookeeper-settings", "it is about our own broker")
        return
    zookeeper = ZooKeeper(logs / "zookeeper")
    zookeeper.start()
    try:
        for name in [name for name in globals() if name.startswith("test_")]:
            told, begun = name.removeprefix("test_"), []

            def mirrored(*settings, chroot=f"/{told[:20]}", beside=zookeeper, session_ms=SESSION_MS):
                one = Mirrored(broker.command, logs / f"{told[:40]}-{len(begun)}", beside, *settings,
                               chroot=chroot, session_ms=session_ms)
                begun.append(one.broker)
                return one

            try:
                with report.test(f"zookeeper-settings: {told.replace('_', ' ')}"):
                    globals()[name](zookeeper, mirrored)
            except Failure:
                pass  # told; the next ones may still hold
            for one in begun:
                one.stop()
    finally:
        zookeeper.kill()


def begin(zookeeper, one):
    """Starts a broker with records in its topic."""
    zookeeper.make(one.chroot)
    one.broker.start()
    one.fill()
    wait_until("the mirror is there", one.is_even)


def restart(one, was, then):
    one.broker.shut_down()
    expect_in(one.broker.command, re.escape(was))
    one.broker.command = one.broker.command.replace(was, then)
    one.broker.start()


def test_groups_are_mirrored_that_a_pattern_names(zookeeper, mirrored):
    one = mirrored(ZOOKEEPER, "zookeeper.groups=billing*", "zookeeper.groups.exclude=*-test")
    begin(zookeeper, one)
    for group in ("billing-test", "other", GROUP):
        one.rewind(300, group)
    one.in_zookeeper(0, 300)
    zookeeper.make(one.node(0, "other"), "120")
    zookeeper.cli("set", one.node(0), "120")  # comes after it, so that the other has been seen
    one.committed(120)
    wait_until("all is told", one.is_even)
    expect(zookeeper.get(one.node(0, "billing-test")), None, "the node of a group that is excluded")
    expect(one.is_at(300, "other"), True, "a group that no pattern names is left alone")


def test_a_group_that_is_named_later_is_made_the_same_and_is_no_copy_of_ours(zookeeper, mirrored):
    one = mirrored(ZOOKEEPER, "zookeeper.groups=billing", "zookeeper.conflict=zookeeper")
    begin(zookeeper, one)
    for group in (GROUP, "later", "also"):
        one.rewind(300, group)
    zookeeper.make(one.node(0, "later"), "120")
    zookeeper.cli("set", one.node(0), "130")
    one.committed(130)
    wait_until("all is told", one.is_even)
    restart(one, "zookeeper.groups=billing", "zookeeper.groups=*")
    one.in_zookeeper(0, 300, "also")  # what had passed by is read again
    one.committed(120, "later")  # what others wrote meanwhile is news, though older than what was seen


def test_dual_commit_with_builtin_storage(zookeeper, mirrored):
    one = mirrored("offsets.storage=kafka", "dual.commit.enabled=true", "zookeeper.conflict=max")
    begin(zookeeper, one)
    one.rewind(300)
    one.in_zookeeper(0, 300)
    zookeeper.cli("set", one.node(0), "310")
    one.committed(310)
    expect(old_commit(one.broker.port, GROUP, 5), "the connection was closed", "a request of the age of ZooKeeper")
    restart(one, "dual.commit.enabled=true", "dual.commit.enabled=false")
    one.rewind(200)
    zookeeper.cli("set", one.node(0), "320")
    time.sleep(1)  # a mirror would have had its turns
    expect((zookeeper.get(one.node(0)), one.is_at(200)), (320, True), "each side by itself")


def test_a_commit_that_zookeeper_must_have_is_there_when_it_is_answered(zookeeper, mirrored):
    one = mirrored(ZOOKEEPER, "zookeeper.commit.required=true", "offsets.commit.timeout.ms=3000")
    begin(zookeeper, one)
    for offset in range(1, 51):
        expect(old_commit(one.broker.port, GROUP, offset), 0, "the error of the partition")
    # Each was written before the next was made: behind the commit, many would have been one write.
    told = zookeeper.cli("get", "-s", one.node(0))
    expect_in(told, r"dataVersion = 49\b")
    zookeeper.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        expect(old_commit(one.broker.port, GROUP, 60), COORDINATOR_NOT_AVAILABLE, "the error while ZooKeeper hangs")
        expect(time.monotonic() - began < 15, True, "answered in time")
        expect(one.is_at(60), True, "it stands in __consumer_offsets all the same")
    finally:
        zookeeper.signal(signal.SIGCONT)
    wait_until("a commit is taken again", lambda: old_commit(one.broker.port, GROUP, 61) == 0)
    expect(zookeeper.get(one.node(0)), 61, "the node")


def by_rule(zookeeper, mirrored, rule):
    one = mirrored(ZOOKEEPER, f"zookeeper.conflict={rule}")
    begin(zookeeper, one)
    one.rewind(300)
    one.in_zookeeper(0, 300)
    wait_until("all is told", one.is_even)
    return one


def both_move(zookeeper, one, ours, theirs):
    """Neither side knows of the other's move: ZooKeeper is written while the broker is down, after a commit while that was away."""
    zookeeper.signal(signal.SIGSTOP)
    try:
        wait_until("the broker knows", lambda: one.gauge("connected") == 0)
        one.rewind(ours)
        one.broker.kill()
    finally:
        zookeeper.signal(signal.SIGCONT)
    zookeeper.cli("set", one.node(0), str(theirs))
    one.broker.start()


def test_by_max_the_greater_counts_whoever_wrote_it(zookeeper, mirrored):
    one = by_rule(zookeeper, mirrored, "max")
    zookeeper.cli("set", one.node(0), "120")
    one.in_zookeeper(0, 300)
    zookeeper.cli("set", one.node(0), "310")
    one.committed(310)
    both_move(zookeeper, one, 400, 350)
    one.in_zookeeper(0, 400)
    both_move(zookeeper, one, 420, 450)
    one.committed(450)


def test_by_zookeeper_its_word_counts(zookeeper, mirrored):
    one = by_rule(zookeeper, mirrored, "zookeeper")
    zookeeper.cli("set", one.node(0), "120")
    one.committed(120)
    one.rewind(200)
    one.in_zookeeper(0, 200)
    both_move(zookeeper, one, 400, 350)
    one.committed(350)
    expect(zookeeper.get(one.node(0)), 350, "the node")


def test_by_kafka_ours_counts(zookeeper, mirrored):
    one = by_rule(zookeeper, mirrored, "kafka")
    for other in ("120", "500"):
        zookeeper.cli("set", one.node(0), other)
        one.in_zookeeper(0, 300)
    both_move(zookeeper, one, 400, 450)
    one.in_zookeeper(0, 400)
    zookeeper.make(one.node(0, "theirs"), "77")
    one.rewind(401)
    one.in_zookeeper(0, 401)
    wait_until("all is told", one.is_even)
    expect_in(one.catchword("groups"), GROUP)
    expect("theirs" in one.catchword("groups"), False, "a group that only ZooKeeper has")


def test_by_newest_the_later_counts(zookeeper, mirrored):
    one = by_rule(zookeeper, mirrored, "newest")
    both_move(zookeeper, one, 400, 350)
    one.committed(350)
    zookeeper.cli("set", one.node(0), "360")
    one.committed(360)
    one.rewind(370)
    one.in_zookeeper(0, 370)


def test_digest_authentication(zookeeper, mirrored):
    digest = base64.b64encode(hashlib.sha1(b"cw:secret").digest()).decode()
    acl, auth = f"digest:cw:{digest}:cdrwa", "digest cw:secret"
    chroot = "/secured"
    of_theirs = [f"{chroot}/consumers", f"{chroot}/consumers/{GROUP}", f"{chroot}/consumers/{GROUP}/offsets",
                 f"{chroot}/consumers/{GROUP}/offsets/{TOPIC}"]
    lines = [f"addauth {auth}", f"create {chroot} x {acl}", *(f"create {path} x {acl}" for path in of_theirs),
             f"create {of_theirs[-1]}/0 120 {acl}"]
    zookeeper.cli(typed="\n".join(lines) + "\n")
    nobody = mirrored(ZOOKEEPER, chroot=chroot)
    nobody.broker.start()
    log = lambda one: one.broker.log_path.read_text(errors="replace")
    wait_until("it is said what is missing", lambda: "zookeeper.auth" in log(nobody))
    expect_in(log(nobody), r"ZooKeeper does not allow it at /consumers.*give zookeeper.auth the user that it names")
    nobody.broker.shut_down()

    one = mirrored(ZOOKEEPER, "zookeeper.auth=digest:cw:secret", chroot=chroot)
    one.broker.start()
    one.fill()
    one.committed(120)
    one.rewind(300)
    wait_until("the node is 300", lambda: zookeeper.get(one.node(0), auth) == 300)
    expect(zookeeper.get(one.node(0)), None, "what is told to nobody in particular")
    expect("secret" in log(one), False, "the password in the log")
    expect_in(one.catchword("zk", "status", "--zookeeper-auth", "digest:cw:secret"), "Both sides are the same")


def test_a_deep_chroot_and_what_is_said_while_it_is_not_there(zookeeper, mirrored):
    one = mirrored(ZOOKEEPER, chroot="/kafka/cluster-1/old")
    one.broker.start()
    one.fill()
    one.rewind(300)
    log = lambda: one.broker.log_path.read_text(errors="replace")
    wait_until("it is said what is missing", lambda: re.search(r"no node for the path at the end.*make it with `create`", log()))
    zookeeper.make(one.chroot)
    one.in_zookeeper(0, 300)
    zookeeper.cli("set", one.node(0), "120")
    one.committed(120)
    expect(zookeeper.get(f"/consumers/{GROUP}/offsets/{TOPIC}/0"), None, "a node beside the chroot")


def test_one_of_three_servers_is_killed_and_the_session_goes_on(zookeeper, mirrored):
    ports = [(free_port(), free_port()) for _ in range(3)]
    all_of_them = [f"server.{n}=127.0.0.1:{a}:{b}" for n, (a, b) in enumerate(ports, 1)]
    directory = zookeeper.directory.parent
    servers = [ZooKeeper(directory / f"zookeeper-{n}", (str(n), *all_of_them)) for n in (1, 2, 3)]
    try:
        for server in servers:
            server.launch()
        for server in servers:
            wait_until("all serve", lambda: "Mode: " in (server.ask("srvr") or ""))
        servers[0].connect = ",".join(server.connect for server in servers)
        one = mirrored(ZOOKEEPER, chroot="", beside=servers[0], session_ms=10_000)
        one.broker.start()
        one.fill()
        wait_until("the mirror is there", one.is_even)

        def session():
            """The broker's session and the server it is at."""
            for server in servers:
                if server.process.poll() is None and (found := re.search(r"sid=(0x[1-9a-f][0-9a-f]*)", server.ask("cons") or "")):
                    return server, found[1]
            return None, None

        for offset in (300, 400):
            one.rewind(offset)
            at, sid = session()
            other = next(server for server in servers if server is not at and server.process.poll() is None)
            wait_until(f"{offset} is there", lambda: other.get(one.node(0)) == offset)
            if offset == 400:
                break
            at.kill()
            wait_until("the session is at another server", lambda: session()[0] not in (None, at))
            expect(session()[1], sid, "the session")
        other.cli("set", one.node(0), "120")
        one.committed(120)
        expect("not mirrored" in one.broker.log_path.read_text(errors="replace"), False, "an end of the session in the log")
    finally:
        for server in servers:
            server.kill()
