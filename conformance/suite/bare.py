"""A member of a consumer group as it is on the wire: every client hides which generation it commits with, and none can be made to hang."""

import socket
import struct
import time

from .report import Failure

FIND_COORDINATOR, JOIN_GROUP, SYNC_GROUP, OFFSET_COMMIT = 10, 11, 14, 8
ERRORS = {0: None, 22: "ILLEGAL_GENERATION", 25: "UNKNOWN_MEMBER_ID", 27: "REBALANCE_IN_PROGRESS"}
# COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR: a broker that has just begun has no coordinator for a while.
NOT_YET = (14, 15, 16)
PATIENCE = 60


class BareMember:
    """The only member of a new group, with all of a topic of one partition. It does not answer when the group is called together."""

    def __init__(self, broker, group, topic, rebalance_timeout_ms):
        self.group, self.topic = group, topic
        self.connection = socket.create_connection(("127.0.0.1", broker.port), timeout=30)
        subscription = struct.pack(">hi", 0, 1) + text(topic) + struct.pack(">i", -1)
        # A Kafka makes __consumer_offsets when it is asked for the first coordinator, and not before.
        self._ask_until_there("FindCoordinator", FIND_COORDINATOR, 1, text(group) + b"\0", ">ih")
        answer, (_, _, self.generation) = self._ask_until_there(
            "JoinGroup", JOIN_GROUP, 2, text(group) + struct.pack(">ii", 60_000, rebalance_timeout_ms) + text("")
            + text("consumer") + struct.pack(">i", 1) + text("range") + data(subscription), ">ihi")
        _, _, self.id = answer.text(), answer.text(), answer.text()
        assignment = struct.pack(">hi", 0, 1) + text(topic) + struct.pack(">iii", 1, 0, -1)
        self._ask_until_there("SyncGroup", SYNC_GROUP, 1, text(group) + struct.pack(">i", self.generation) + text(self.id)
                              + struct.pack(">i", 1) + text(self.id) + data(assignment), ">ih")

    def commit(self, offset):
        """Commits in the generation that it joined; the name of the error, or nothing."""
        answer = self._ask(OFFSET_COMMIT, 2, text(self.group) + struct.pack(">i", self.generation) + text(self.id)
                           + struct.pack(">qi", -1, 1) + text(self.topic) + struct.pack(">iiq", 1, 0, offset) + text(""))
        answer.take(">i")
        answer.text()
        _, _, error = answer.take(">iih")
        return ERRORS.get(error, error)

    def close(self):
        self.connection.close()

    def _ask_until_there(self, name, api, version, body, form):
        """Asks again while there is no coordinator yet; the rest of the answer and its first fields, of which the second is the error."""
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self._ask(api, version, body)
            fields = answer.take(form)
            error = fields[1]
            if not error:
                return answer, fields
            if error not in NOT_YET or time.monotonic() > deadline:
                raise Failure(f"{name} of group {self.group}: error {error}")
            time.sleep(0.1)

    def _ask(self, api, version, body):
        request = struct.pack(">hhi", api, version, 7) + text("bare-member") + body
        self.connection.sendall(struct.pack(">i", len(request)) + request)
        (length,) = struct.unpack(">i", self._receive(4))
        return Answer(self._receive(length)[4:])

    def _receive(self, length):
        received = b""
        while len(received) < length:
            part = self.connection.recv(length - len(received))
            if not part:
                raise Failure("the broker closed the connection of the bare member")
            received += part
        return received


class Answer:
    def __init__(self, rest):
        self.rest = rest

    def take(self, form):
        found, self.rest = struct.unpack_from(form, self.rest), self.rest[struct.calcsize(form):]
        return found

    def text(self):
        (length,) = self.take(">h")
        found, self.rest = self.rest[:length], self.rest[length:]
        return found.decode()


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def data(value):
    return struct.pack(">i", len(value)) + value
