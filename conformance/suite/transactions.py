"""Exactly once: records are moved from one topic to another in transactions, together with the group's offsets, while the
mover and the broker are killed with `kill -9` at random moments. Whoever reads committed records finds each one once.
"""

import collections
import random
import time

from .clients import DEFAULT_PARTITIONS as PARTITIONS
from .report import Failure
from .worker import Process, Producer

BATCH = 150     # records produced at a time
ROUNDS = 8
PATIENCE = 90   # seconds for all to arrive


def run(client, broker, observer, logs, report):
    story = Story(client, broker, observer, logs)
    try:
        with report.test(f"{client.name}: every record is moved exactly once, whoever is killed"):
            story.play()
    except Failure:
        pass  # told
    finally:
        story.stop()


class Story:
    def __init__(self, client, broker, observer, logs):
        self.client, self.broker, self.observer, self.logs = client, broker, observer, logs
        self.source, self.target = f"{client.name}-moved-from", f"{client.name}-moved-to"
        self.group = f"{client.name}-movers"
        self.keys = []
        self.movers = []
        self.transactions = 0

    def play(self):
        self.observer.create(self.source, PARTITIONS)
        self.observer.create(self.target, PARTITIONS)
        chance = random.Random(self.client.name)
        self.produce()
        self.move()
        for number in range(ROUNDS):
            self.produce()
            time.sleep(chance.uniform(1, 4))
            if number % 2 == 0:
                self.movers[-1].kill()
                if number % 4 == 0:
                    self.broker.kill()
                    self.broker.start()
                self.move()
            else:
                self.broker.kill()
                self.broker.start()
        self.arrives()

    def produce(self):
        Producer.extend(self.keys, BATCH, self.client, self.broker, self.source, self.logs)

    def move(self):
        name = f"mover-{len(self.movers)}"
        command = self.client.transform(self.broker.bootstrap, self.source, self.target, self.group, name)
        self.movers.append(Process(name, command, self.logs, self.hears))

    def hears(self, line):
        self.transactions += line.startswith("moved ")

    def arrives(self):
        """Asked for what was committed until all is there, and once more: nothing may come twice."""
        deadline = time.monotonic() + PATIENCE
        while len(self.moved()) < len(self.keys):
            if time.monotonic() > deadline:
                missing = sorted(set(self.keys) - set(self.moved()))
                raise Failure(f"{len(missing)} of {len(self.keys)} never arrive: {missing[:5]}...")
            time.sleep(1)
        time.sleep(1)
        counts = collections.Counter(self.moved())
        wrong = {key: counts[key] for key in set(self.keys) | set(counts) if counts[key] != 1 or key not in set(self.keys)}
        if wrong:
            raise Failure(f"not once: {dict(list(wrong.items())[:5])}")
        if self.transactions < ROUNDS:
            raise Failure(f"only {self.transactions} transactions were committed: nothing was tested")

    def moved(self):
        return [key for _, _, key, _ in self.observer.dump(self.target)]

    def stop(self):
        for mover in self.movers:
            if mover.running():
                mover.kill()
