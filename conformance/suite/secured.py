"""`catchword guard` and the other commands at an Apache Kafka with TLS, SASL and ACLs: who is let in, that read rights are enough
until the first undo, and that an undo says which right it lacks. About our own binary only.
"""

import pathlib
import shlex
import subprocess

from .broker import Broker, free_port
from .guardian import Guardian, Story
from .report import Failure
from .tools import GROUP, TOPIC, expect, expect_in

MODULES = "org.apache.kafka.common.security"
# Beside the super user, who comes without TLS or name: by the listener that Kafka's own tools use here.
SCRAM = {"reader": "SCRAM-SHA-256", "other": "SCRAM-SHA-512"}
PASSWORDS = {"reader": 'r"ea;d\\er', "other": "o=th,er", "plain": "plain-secret"}


def run(kafka_command, broker, logs, report):
    if " serve " not in broker.command:
        report.skip("secured", "it is about our own binary")
        return
    kafka = SecuredKafka(kafka_command, logs / "secured")
    guardian = None
    try:
        with report.test("secured: a Kafka with TLS, SASL and ACLs is there"):
            kafka.start(seconds=180)
            binary = pathlib.Path(shlex.split(broker.command)[0]).resolve()
            guardian = Guardian(binary, kafka, kafka.secure, kafka.client("reader"))
        story = Secured(kafka, guardian, broker, logs)
        story.make_users()
        report.tests_of(story, "secured")
    except Failure:
        pass  # told
    finally:
        if guardian:
            guardian.stop()
        kafka.stop()


class SecuredKafka(Broker):
    """Listens for Kafka's tools without TLS, for SASL_SSL, and for TLS with certificates of both sides."""

    def __init__(self, command, directory):
        super().__init__(command, directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.secure, self.mutual = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.authority("ca")
        self.authority("stranger")
        self.certificate("broker", "IP:127.0.0.1")
        self.certificate("named", "DNS:kafka.example")
        self.certificate("client", "DNS:client")
        listeners = f"PLAINTEXT://{self.bootstrap},SECURE://{self.secure},MUTUAL://{self.mutual}"
        listener = "listener.name.secure"
        users = " ".join(f'user_{name}="{jaas(PASSWORDS[name])}"' for name in ("plain",))
        settings = {
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:{self.port + 1000}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL,MUTUAL:SSL",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            f"{listener}.plain.sasl.jaas.config": f"{MODULES}.plain.PlainLoginModule required {users};",
            f"{listener}.scram-sha-256.sasl.jaas.config": f"{MODULES}.scram.ScramLoginModule required;",
            f"{listener}.scram-sha-512.sasl.jaas.config": f"{MODULES}.scram.ScramLoginModule required;",
            # So that whoever stays has to say again who they are, many times within this test.
            f"{listener}.connections.max.reauth.ms": "3000",
            "ssl.keystore.type": "PEM", "ssl.keystore.location": directory / "broker.pem",
            "ssl.truststore.type": "PEM", "ssl.truststore.location": directory / "ca.crt",
            "listener.name.mutual.ssl.client.auth": "required",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }
        self.command += "".join(f" {shlex.quote(f'{key}={value}')}" for key, value in settings.items())

    def authority(self, name):
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                     "-keyout", f"{name}.key", "-out", f"{name}.crt")

    def certificate(self, name, alternative):
        (self.directory / "ext").write_text(f"subjectAltName={alternative}\n")
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                     "-extfile", "ext", "-out", f"{name}.crt")
        both = [(self.directory / f"{name}.{end}").read_text() for end in ("key", "crt")]
        (self.directory / f"{name}.pem").write_text("".join(both))

    def openssl(self, *words):
        done = subprocess.run(["openssl", *words], cwd=self.directory, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"openssl {' '.join(words)}:\n{done.stderr}")

    def properties(self, name, settings):
        path = self.directory / f"{name}.properties"
        path.write_text("".join(f"{key}={escaped(value)}\n" for key, value in settings.items()))
        return path

    def client(self, user, name=None, **changed):
        """The file with which Kafka's clients come by SASL_SSL."""
        mechanism = SCRAM.get(user, "PLAIN")
        module = "plain.PlainLoginModule" if mechanism == "PLAIN" else "scram.ScramLoginModule"
        password = jaas(changed.pop("password", PASSWORDS[user]))
        return self.properties(name or user, {
            "security.protocol": "SASL_SSL", "sasl.mechanism": mechanism,
            "sasl.jaas.config": f'{MODULES}.{module} required username="{user}" password="{password}";',
            "ssl.truststore.type": "PEM", "ssl.truststore.location": self.directory / "ca.crt",
        } | {key.replace("_", "."): value for key, value in changed.items()})


def jaas(text):
    """As it stands between the quotation marks of a login module's option."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def escaped(text):
    """As a value in a properties file."""
    return str(text).replace("\\", "\\\\")


class Secured(Story):
    """The commands and the guardian come by the listeners with TLS, Kafka's own tools without."""

    def make_users(self):
        for user, mechanism in SCRAM.items():
            # The tool reads its list without quotation marks: the password's own are doubled by nobody.
            self.configs("--alter", "--entity-type", "users", "--entity-name", user,
                         "--add-config", f"{mechanism}=[iterations=8192,password={PASSWORDS[user]}]")

    def allow(self, principal, *what):
        self.call("org.apache.kafka.tools.AclCommand", "--add", "--allow-principal", f"User:{principal}", *what)

    def with_config(self, path, bootstrap, *words, fails=False):
        return self.catchword(*words, "--bootstrap", bootstrap, "--command-config", str(path), fails=fails)

    def test_whoever_has_the_right_words_is_let_in_and_nobody_else(self):
        kafka = self.broker
        for user in PASSWORDS:
            self.allow(user, "--operation", "Describe", "--topic", TOPIC)
        self.topics("--create", "--topic", TOPIC, "--partitions", "3", "--replication-factor", "1")
        for user in PASSWORDS:
            expect_in(self.with_config(kafka.client(user), kafka.secure, "topics", "list"), TOPIC)
        for path, words in (
            (kafka.client("reader", "wrong", password="wrong"), 'does not let "reader" in: .*look at username and password'),
            (kafka.client("plain", "nobody", password="wrong"), 'does not let "plain" in: '),
            (kafka.client("reader", "mechanism", sasl_mechanism="SCRAM-SHA-512"), 'does not let "reader" in: '),
            (kafka.client("reader", "stranger", ssl_truststore_location=kafka.directory / "stranger.crt"), "signed by nobody who is trusted"),
            (kafka.client("reader", "gssapi", sasl_mechanism="GSSAPI"), "GSSAPI is not spoken here; there are PLAIN"),
        ):
            expect_in(self.with_config(path, kafka.secure, "topics", "list", fails=True), words)

    def test_a_listener_that_is_spoken_to_wrongly_is_told_apart(self):
        kafka = self.broker
        plain = kafka.properties("plaintext", {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
                                               "sasl.jaas.config": 'x required username="a" password="b";'})
        said = self.with_config(plain, kafka.bootstrap, "topics", "list", fails=True)
        expect_in(said, "this listener knows no SASL")
        in_the_clear = kafka.properties("open", {"security.protocol": "PLAINTEXT"})
        said = self.with_config(in_the_clear, kafka.secure, "topics", "list", fails=True)
        expect_in(said, "told by --command-config FILE")

    def test_a_certificate_of_ones_own_is_shown_to_who_asks(self):
        kafka = self.broker
        self.allow("CN=client", "--operation", "Describe", "--topic", TOPIC)
        trust = {"security.protocol": "SSL", "ssl.truststore.location": kafka.directory / "ca.crt"}
        own = trust | {"ssl.keystore.type": "PEM", "ssl.keystore.location": kafka.directory / "client.pem"}
        expect_in(self.with_config(kafka.properties("own", own), kafka.mutual, "topics", "list"), TOPIC)
        said = self.with_config(kafka.properties("trust", trust), kafka.mutual, "topics", "list", fails=True)
        expect_in(said, "no TLS with .*ssl.keystore.location names a PEM file with yours")

    def test_read_rights_are_enough_for_all_but_an_undo(self):
        self.allow("reader", "--operation", "Read", "--topic", "__consumer_offsets")
        self.allow("reader", "--operation", "Describe", "--cluster", "--topic", "*", "--group", "*")
        self.produce(range(30))
        self.reset("--to-latest", "--execute")
        self.guardian.start()
        self.before = self.committed()
        self.reset("--to-earliest", "--execute")
        self.guardian.wait(lambda: self.changes() and self.changes()[0]["kind"] == "reset", "the reset is told")
        expect_in(self.catchword("log", GROUP), "reset .* 3 partitions")
        expect_in(self.catchword("show", GROUP), f"{TOPIC}")
        expect_in(self.catchword("lag", GROUP), f"{GROUP}|{TOPIC}")
        self.catchword("tag", GROUP, "at-the-start")
        expect_in(self.catchword("tags", GROUP), "at-the-start")
        expect_in(self.catchword("at", GROUP, "1 s ago"), TOPIC)
        self.reset("--to-offset", "3", "--execute", group="gone")
        self.groups("--delete", "--group", "gone")
        self.guardian.wait(lambda: "gone" in self.catchword("trash"), "the deleted group is in the trash")
        expect_in(self.catchword("undo", self.changes()[0]["id"]), "30 records skipped")

    def test_an_undo_says_which_rights_it_lacks_and_works_once_they_are_given(self):
        change = self.changes()[0]["id"]
        said = self.catchword("undo", change, "--yes", fails=True)
        for words in (f"READ on group {GROUP}", f"READ on topic {TOPIC}", "nothing was changed",
                      f"--allow-principal User:reader --operation Read --group {GROUP}"):
            expect_in(said, words)
        expect(set(self.committed().values()), {0}, "committed after an undo that was refused")
        self.allow("reader", "--operation", "Read", "--group", GROUP)
        said = self.catchword("undo", change, "--yes", fails=True)
        expect_in(said, f"READ on topic {TOPIC}")
        expect(f"READ on group {GROUP}" in said, False, "it still asks for what was given")
        self.allow("reader", "--operation", "Read", "--topic", TOPIC)
        self.catchword("undo", change, "--yes")
        expect(self.committed(), self.before, "committed after the undo")

    def test_a_deleted_group_comes_back_once_it_may_be_read(self):
        said = self.catchword("restore", "gone", "--yes", fails=True)
        expect_in(said, "READ on group gone")
        self.allow("reader", "--operation", "Read", "--group", "gone")
        self.catchword("restore", "gone", "--yes")
        expect(self.committed("gone"), dict.fromkeys(range(3), 3), "committed after the restore")

    def test_to_take_back_a_restore_needs_the_right_to_delete(self):
        change = self.changes("gone")[0]
        expect(change["kind"], "restore", "the last change")
        expect_in(self.catchword("undo", change["id"], "--yes", fails=True), "DELETE on group gone")
        self.allow("reader", "--operation", "Delete", "--group", "gone")
        self.catchword("undo", change["id"], "--yes")
        expect(set(self.committed("gone").values()) - {None}, set(), "committed after the undo")
