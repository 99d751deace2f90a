"""Share groups (KIP-932): records of a topic go to several members, each to one at a time, while members and the broker are
killed with `kill -9`. Every record is taken; none is taken again that was acknowledged, and none by two members at once.
"""

import threading
import time

from .clients import DEFAULT_PARTITIONS as PARTITIONS
from .report import Failure
from .worker import Process, Producer

BATCH = 200     # records produced at a time
PATIENCE = 120  # seconds for all to be taken; what a killed member held is locked for 15


def run(client, broker, observer, logs, report):
    story = Story(client, broker, observer, logs)
    try:
        with report.test(f"{client.name}: a share group takes every record, and none that is done again, whoever is killed"):
            story.play()
    except Failure:
        pass  # told
    finally:
        story.stop()


class Story:
    def __init__(self, client, broker, observer, logs):
        self.client, self.broker, self.observer, self.logs = client, broker, observer, logs
        self.topic, self.group = f"{client.name}-shared", f"{client.name}-sharers"
        self.keys = []
        self.members = []
        self.lock = threading.Lock()
        self.holders = {}   # key -> the member that has taken it and not given it back
        self.taken = set()
        self.done = set()
        self.wrong = []
        self.told_apart = True  # whether it is known who holds what

    def play(self):
        self.observer.create(self.topic, PARTITIONS)
        self.produce()
        self.join()
        self.join()
        self.wait("half is done", lambda: len(self.done) >= BATCH // 2)
        self.kill_member(0)
        self.produce()
        self.join()
        self.wait("more is done", lambda: len(self.done) >= BATCH)
        self.kill_broker()
        self.produce()
        self.wait("all is taken", lambda: self.taken >= set(self.keys))
        with self.lock:
            if self.wrong:
                raise Failure("; ".join(self.wrong[:5]))
            if len(self.done) < len(self.keys) * 3 // 4:
                raise Failure(f"only {len(self.done)} of {len(self.keys)} were acknowledged")

    def produce(self):
        Producer.extend(self.keys, BATCH, self.client, self.broker, self.topic, self.logs)

    def join(self):
        name = f"sharer-{len(self.members)}"
        command = self.client.share(self.broker.bootstrap, self.topic, self.group, name)
        number = len(self.members)
        self.members.append(Process(name, command, self.logs, lambda line: self.hears(number, line)))

    def kill_member(self, number):
        self.members[number].kill()

    def kill_broker(self):
        self.broker.kill()
        with self.lock:
            # The broker does not write down who holds what, and members may have more at hand than they have told.
            self.told_apart = False
        self.broker.start()

    def hears(self, number, line):
        word, _, key = line.partition(" ")
        if word not in ("took", "done", "unsure"):
            return
        with self.lock:
            if word == "took":
                holder = self.holders.get(key)
                if key in self.done:
                    self.wrong.append(f"{key} is done, and came to member {number} again")
                if self.told_apart and holder is not None and holder.running() and holder is not self.members[number]:
                    self.wrong.append(f"{key} came to member {number} while another one held it")
                self.taken.add(key)
                self.holders[key] = self.members[number]
                return
            self.holders.pop(key, None)
            if word == "done":
                self.done.add(key)

    def wait(self, what, condition):
        deadline = time.monotonic() + PATIENCE
        while True:
            with self.lock:
                if condition():
                    return
            if time.monotonic() > deadline:
                raise Failure(f"not within {PATIENCE} s: {what} ({len(self.taken)} of {len(self.keys)} taken, {len(self.done)} done)")
            time.sleep(0.2)

    def stop(self):
        for member in self.members:
            if member.running():
                member.kill()
