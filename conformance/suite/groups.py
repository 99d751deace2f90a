"""What some clients' groups can do beyond the common scenario: incremental (cooperative) rebalances and static members."""

import time

from .bookmarks import PARTITIONS, Bookmarks
from .report import Failure


def run(client, broker, observer, logs, report):
    for name, scenario in (
        ("a cooperative rebalance interrupts nobody who keeps a partition", cooperative),
        ("a static member comes back to its partitions without a rebalance", static_member),
    ):
        try:
            with report.test(f"{client.name}: {name}"):
                run_one(scenario, client, broker, observer, logs)
        except Failure:
            pass  # told; the next scenario does not depend on it


def run_one(scenario, client, broker, observer, logs):
    story = Bookmarks(client, broker, observer, logs, f"{client.name}-{scenario.__name__}")
    try:
        story.produces()
        scenario(story)
    finally:
        story.group.stop()


def cooperative(story):
    """Nothing is committed, so a member that lost and regained a partition would show it by reading from the start."""
    group, options = story.group, {"assignor": "cooperative-sticky"}
    one = group.join("one", **options)
    group.wait_for_shares([one], PARTITIONS)
    group.wait_until_read(story.ends)
    two = group.join("two", **options)
    shares = group.wait_for_shares([one, two], PARTITIONS)
    expect([p for what, p in one.rebalances if what == "revoked" and p], [shares["two"]],
           "one gives up what two gets, and nothing else")
    group.wait_until_read(story.ends)
    kept = shares["one"]
    two.kill()
    group.wait_for_shares([one], PARTITIONS)
    story.produce()
    group.wait_until_read(story.ends)
    expect([p for what, p in one.rebalances if what == "revoked" and p], [shares["two"]],
           "one gives up nothing when two dies")
    for partition in kept:
        offsets = [offset for p, offset, _, _ in one.read if p == partition]
        expect(offsets, list(range(story.ends[partition])), f"one reads partition {partition}, which it kept, once")
    story.check_contents()


def static_member(story):
    group, session = story.group, "20000"
    one = group.join("one", instance="first", session=session)
    two = group.join("two", instance="second", session=session)
    shares = group.wait_for_shares([one, two], PARTITIONS)
    group.wait_until_read(story.ends)
    group.commit(story.ends)
    committed = dict(group.committed)
    story.produce()
    group.wait_until_read(story.ends)
    quiet_since = len(two.rebalances)
    one.kill()
    time.sleep(1)
    again = group.join("one", instance="first", session=session)
    shares_now = group.wait_for_shares([again, two], PARTITIONS)
    expect(shares_now, shares, "the shares stay what they were")
    group.wait_until_read(story.ends)
    for partition in shares["one"]:
        expect(again.first[partition], committed[partition], f"partition {partition} is read on from its bookmark")
    expect(two.rebalances[quiet_since:], [], "the other member hears of nothing")
    group.commit(story.ends)
    story.check_contents()


def expect(found, wanted, what):
    if found != wanted:
        raise Failure(f"{what}: expected {wanted}, found {found}")
