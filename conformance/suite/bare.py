"""A member of a consumer group as it is on the wire: every client hides which generation it commits with, and none can be made to hang."""

import socket
import struct

from .report import Failure

JOIN_GROUP, SYNC_GROUP, OFFSET_COMMIT = 11, 14, 8
ERRORS = {0: None, 22: "ILLEGAL_GENERATION", 25: "UNKNOWN_MEMBER_ID", 27: "REBALANCE_IN_PROGRESS"}


class BareMember:
    """The only member of a new group, with all of a topic of one partition. It does not answer when the group is called together."""

    def __init__(self, broker, group, topic, rebalance_timeout_ms):
        self.group, self.topic = group, topic
        self.connection = socket.create_connection(("127.0.0.1", broker.port), timeout=30)
        subscription = struct.pack(">hi", 0, 1) + text(topic) + struct.pack(">i", -1)
        answer = self._ask(JOIN_GROUP, 2, text(group) + struct.pack(">ii", 60_000, rebalance_timeout_ms) + text("")
                           + text("consumer") + struct.pack(">i", 1) + text("range") + data(subscription))
        _, error, self.generation = answer.take(">ihi")
        if error:
            raise Failure(f"JoinGroup: error {error}")
        _, _, self.id = answer.text(), answer.text(), answer.text()
        assignment = struct.pack(">hi", 0, 1) + text(topic) + struct.pack(">iii", 1, 0, -1)
        answer = self._ask(SYNC_GROUP, 1, text(group) + struct.pack(">i", self.generation) + text(self.id)
                           + struct.pack(">i", 1) + text(self.id) + data(assignment))
        _, error = answer.take(">ih")
        if error:
            raise Failure(f"SyncGroup: error {error}")

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
