"""A consumer group as its members tell it, held against what a group promises:

- no record is passed over: on each partition the next offset read is at most one past what anybody has read;
- no record below the committed offset is read again.

Every record that a member prints goes through both checks; `violations` says where one did not hold.
"""

import threading
import time

from .report import Failure
from .worker import Process


class Member(Process):
    def __init__(self, group, name, options=None):
        self.group = group
        self.client = group.client
        self.owned = set()      # as its rebalance callbacks told; stays empty for a client that tells nothing
        self.rebalances = []    # [("assigned" | "revoked", {partition...})...]
        self.first = {}         # partition -> first offset read since it was assigned
        self.next = {}          # partition -> one past the last offset read since it was assigned
        self.read = []          # (partition, offset, key, value), all there ever was
        self.committed = {}     # partition -> offset, as told by the last commit
        self.commit_answer = None
        command = self.client.consume(group.broker.bootstrap, group.topic, group.name, name, options or {})
        super().__init__(f"{self.client.name}-{name}", command, group.logs, self._heard)
        self.id = name

    def _heard(self, line):
        with self.group.changed:
            match self.client.heard(line).split(" "):
                case ["got", _, partition, offset, key, value]:
                    self._got(int(partition), int(offset), key, value)
                case ["assigned", _, partitions]:
                    added = numbers(partitions)
                    self.rebalances.append(("assigned", added))
                    self.owned |= added
                    self._forget(added)
                case ["revoked", _, partitions]:
                    lost = numbers(partitions) if partitions != "-" else set()
                    self.rebalances.append(("revoked", lost))
                    self.owned -= lost
                    self._forget(lost)
                case ["committed", _, partition, offset]:
                    self.committed[int(partition)] = int(offset)
                case ["ok"]:
                    self.commit_answer = "ok"
                case ["error", *why]:
                    self.commit_answer = " ".join(why)
            self.group.changed.notify_all()

    def _forget(self, partitions):
        for partition in partitions:
            self.first.pop(partition, None)
            self.next.pop(partition, None)

    def _got(self, partition, offset, key, value):
        # A client that tells no rebalances may have lost the partition and got it back further on.
        expected = self.next.get(partition) if self.client.tells_rebalances else None
        self.group.check_read(self.name, partition, offset, expected)
        self.first.setdefault(partition, offset)
        self.next[partition] = offset + 1
        self.read.append((partition, offset, key, value))


def numbers(text):
    return set() if text == "-" else {int(word) for word in text.split(",")}


class Group:
    def __init__(self, client, broker, observer, topic, logs):
        self.client, self.broker, self.observer, self.topic, self.logs = client, broker, observer, topic, logs
        self.name = f"{topic}-group"
        self.changed = threading.Condition()
        self.members = []
        self.committed = {}   # partition -> offset: nothing below may be read again
        self.frontier = {}    # partition -> offset: all below was read by somebody
        self.violations = []

    def join(self, name, **options):
        member = Member(self, name, options)
        self.members.append(member)
        return member

    def living(self):
        return [member for member in self.members if member.running()]

    def check_read(self, who, partition, offset, expected):
        frontier = self.frontier.get(partition, 0)
        if offset > frontier:
            self.violations.append(f"{who} passed over offsets {frontier}..{offset - 1} of partition {partition}")
        if expected is not None and offset > expected:
            self.violations.append(f"{who} went from offset {expected - 1} to {offset} on partition {partition}")
        if offset < self.committed.get(partition, 0):
            self.violations.append(f"{who} read offset {offset} of partition {partition} again, though "
                                   f"{self.committed[partition]} was committed")
        self.frontier[partition] = max(frontier, offset + 1)

    def wait(self, what, seconds, condition):
        """Waits until `condition` holds; a violation or the time's end fails the test with the group's state."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not self.violations and not condition():
                dead = [m for m in self.members if not m.running() and m.process.returncode not in (0, -9)]
                left = deadline - time.monotonic()
                if left <= 0 or dead:
                    raise Failure(f"waited for: {what}" + (f"; {dead[0].name} ended" if dead else f", {seconds} s")
                                  + f"\n{self.told()}")
                self.changed.wait(min(left, 0.5))
            if self.violations:
                raise Failure("; ".join(self.violations[:5]) + f"\n{self.told()}")

    def told(self):
        lines = [f"committed {self.committed}"]
        for m in self.members:
            lines.append(f"{m.name}: {'running' if m.running() else 'ended'}, owns {sorted(m.owned)}, "
                         f"read up to {m.next}, rebalances {m.rebalances[-4:]}\n{m.last_words(4)}")
        return "\n".join(lines)

    def wait_for_shares(self, members, partitions, seconds=40):
        """Waits until the group is stable and `members` own all partitions, each its own, by the group's description."""
        deadline = time.monotonic() + seconds
        while True:
            state, shares = self.observer.members(self.name)
            shared = [p for owned in shares.values() for p in owned]
            settled = (state == "STABLE" and set(shares) == {m.id for m in members} and all(shares.values())
                       and sorted(shared) == list(range(partitions)))
            told = all(m.owned == shares.get(m.id) for m in members) or not self.client.tells_rebalances
            if settled and told:
                return shares
            if time.monotonic() > deadline:
                raise Failure(f"the group has not settled in {seconds} s: {state} {shares}\n{self.told()}")
            time.sleep(0.2)

    def wait_until_read(self, ends, seconds=40):
        """Waits until whoever owns a partition has read it to its end."""
        def caught_up():
            return all(end == self.committed.get(p, 0) or any(
                m.next.get(p) == end and (p in m.owned or not self.client.tells_rebalances) for m in self.living())
                for p, end in ends.items())
        deadline = time.monotonic() + seconds
        while not self.client.asks_to_commit and time.monotonic() < deadline and not caught_up():
            # A member that commits by itself need not read again what it committed while it handed over.
            self.learn_committed()
        self.wait(f"all read up to {ends}", max(deadline - time.monotonic(), 0), caught_up)

    def commit(self, ends):
        """Makes the members commit what they read, up to `ends`, and holds it against the broker's own answer."""
        if self.client.asks_to_commit:
            for member in self.living():
                self._ask(member)
        deadline = time.monotonic() + 10
        while (now := self.observer.committed(self.name, self.topic)) != ends:
            if self.client.asks_to_commit or time.monotonic() > deadline:
                raise Failure(f"committed is {now}, read was {ends}\n{self.told()}")
            time.sleep(0.2)
        self.committed = now

    def _ask(self, member):
        for _ in range(20):
            member.commit_answer = None
            member.write("commit")
            self.wait(f"{member.name}'s commit is answered", 30, lambda: member.commit_answer is not None)
            if member.commit_answer == "ok":
                return
            time.sleep(0.5)
        raise Failure(f"{member.name} cannot commit: {member.commit_answer}")

    def learn_committed(self):
        """Takes the committed offsets from the broker: never behind what was acknowledged, never ahead of what was read."""
        now = self.observer.committed(self.name, self.topic)
        for partition, offset in self.committed.items():
            if now.get(partition, -1) < offset:
                raise Failure(f"partition {partition}: {offset} was committed, the broker says {now.get(partition)}")
        for partition, offset in now.items():
            if offset > self.frontier.get(partition, 0):
                raise Failure(f"partition {partition}: {offset} is committed, only {self.frontier} was read")
        time.sleep(0.2)  # what was read before those commits is surely heard
        with self.changed:
            self.committed = now

    def stop(self):
        for member in self.members:
            member.stop()
