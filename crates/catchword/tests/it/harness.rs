//! A broker of the test's own, and the binary to run against it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_catchword"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CATCHWORD_") {
            command.env_remove(name);
        }
    }
    command
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Outcome {
    /// Standard output of a command that succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.out
    }

    /// Standard error of a command that failed as it should.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self.err
    }
}

pub(crate) fn run(command: &mut Command, input: &str) -> Outcome {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    let input = input.to_owned();
    // A command that does not read all of its input is not at fault.
    thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("the binary ends");
    Outcome {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A cluster to talk to, and a prefix that keeps this test's topics and groups apart from others'.
pub(crate) struct Cluster {
    pub(crate) bootstrap: String,
    pub(crate) prefix: String,
    broker: Option<Broker>,
}

impl Cluster {
    /// The cluster that the environment names, or a broker of our own.
    pub(crate) fn any(test: &str) -> Self {
        Self::any_with(test, &[])
    }

    /// The cluster that the environment names, started with these keys (`KEY=VALUE`), or a broker of our own that has them.
    pub(crate) fn any_with(test: &str, set: &[&str]) -> Self {
        match std::env::var("CATCHWORD_TEST_BOOTSTRAP") {
            Ok(bootstrap) => {
                let prefix = format!("{test}-{}-", std::process::id());
                Self {
                    bootstrap,
                    prefix,
                    broker: None,
                }
            }
            Err(_) => Self::own_with(set),
        }
    }

    /// A broker of our own.
    pub(crate) fn own() -> Self {
        Self::own_with(&[])
    }

    /// A broker of our own with these keys set, as `KEY=VALUE`.
    pub(crate) fn own_with(set: &[&str]) -> Self {
        let broker = Broker::start(set);
        Self {
            bootstrap: broker.address(),
            prefix: String::new(),
            broker: Some(broker),
        }
    }

    /// Our own broker, where there is one.
    pub(crate) fn broker(&mut self) -> Option<&mut Broker> {
        self.broker.as_mut()
    }

    /// Whether it is a broker of our own, which tells more than Kafka's protocol does.
    pub(crate) fn is_own(&self) -> bool {
        self.broker.is_some()
    }

    /// A name of a topic or group that no other test has.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = binary();
        command
            .args(args)
            .env("CATCHWORD_BOOTSTRAP", &self.bootstrap);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        run(&mut self.command(args), "")
    }

    pub(crate) fn feed(&self, args: &[&str], input: &str) -> Outcome {
        run(&mut self.command(args), input)
    }

    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let out = self.run(args).ok();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// A topic with so many partitions and the numbers up to `count` in it, by key.
    pub(crate) fn numbers(&self, topic: &str, partitions: u32, count: u32) {
        self.run(&[
            "topics",
            "create",
            topic,
            "--partitions",
            &partitions.to_string(),
        ])
        .ok();
        let lines: String = (0..count).map(|n| format!("key-{n}:{n}\n")).collect();
        self.feed(&["produce", topic, "--key-separator", ":"], &lines)
            .ok();
    }
}

/// A broker process with a data directory that outlives it.
pub(crate) struct Broker {
    port: u16,
    dir: TempDir,
    set: Vec<String>,
    child: Option<Child>,
}

impl Broker {
    pub(crate) fn start(set: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        let dir = TempDir::new().expect("a directory can be made");
        let set = set.iter().map(|key| (*key).to_owned()).collect();
        let mut broker = Self {
            port,
            dir,
            set,
            child: None,
        };
        broker.restart();
        broker
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn restart(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("broker.log"))
            .expect("the log can be written");
        let mut command = binary();
        command
            .arg("serve")
            .args(["--listen", &self.address()])
            .arg("--data")
            .arg(self.data());
        command.args(["--set", "group.initial.rebalance.delay.ms=0"]);
        command.args(["--set", "http.listener=127.0.0.1:0"]);
        for key in &self.set {
            command.args(["--set", key]);
        }
        let stdout = log.try_clone().expect("the log can be shared");
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("the binary starts"));
        wait_until("the broker answers", || {
            TcpStream::connect(self.address()).is_ok()
        });
    }

    /// Sets a key for the starts to come.
    pub(crate) fn set(&mut self, key: &str) {
        self.set.push(key.to_owned());
    }

    /// SIGTERM, and the end in order.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            terminate(&child);
            let status = child.wait().expect("it can be waited for");
            assert!(status.success(), "the broker ended with {status}");
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it can be waited for");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("broker.log"));
            eprintln!("the broker said:\n{}", log.unwrap_or_default());
        }
    }
}

#[track_caller]
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A command that runs on its own, its output read line by line.
pub(crate) struct Running {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn();
        let mut child = child.expect("the binary starts");
        let out = child.stdout.take().expect("stdout is a pipe");
        let (sender, lines) = std::sync::mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The next lines.
    #[track_caller]
    pub(crate) fn take(&self, count: usize) -> Vec<String> {
        let next = |_| {
            self.lines
                .recv_timeout(PATIENCE)
                .expect("another line comes")
        };
        (0..count).map(next).collect()
    }

    /// All further lines, until the command ends; with its exit code.
    pub(crate) fn rest(mut self) -> (Vec<String>, Option<i32>) {
        let lines = self.lines.iter().collect();
        let status = self.child.wait().expect("it can be waited for");
        (lines, status.code())
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        terminate(&self.child);
    }
}

fn terminate(child: &Child) {
    let pid = child.id().to_string();
    let status = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(status.expect("there is a kill command").success());
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines of text, sorted.
pub(crate) fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}
