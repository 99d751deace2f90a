//! The broker of the tour: a child process on a free port, with data that outlives it.
//!
//! Invariant: whatever happens to the tour, the child does not outlive it, and a temporary directory goes with it.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use catchword_client::{Client, ClientOptions};

use crate::failure::Failure;
use crate::ui::Ui;

/// How long a broker gets to answer.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Broker {
    port: u16,
    /// The tour's own directory, with the broker's log file and, unless the user named one, its data.
    scratch: PathBuf,
    data: PathBuf,
    keeps_data: bool,
    child: Option<Child>,
    started_in: Duration,
}

impl Broker {
    /// A broker that is not started yet.
    pub(super) fn new(data: Option<PathBuf>) -> Result<Self, Failure> {
        let keeps_data = data.is_some();
        if let Some(dir) = &data {
            let used = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
            if used {
                return Err(Failure::Usage(format!(
                    "{} is not empty; the tour wants a fresh one",
                    dir.display()
                )));
            }
        }
        let scratch = std::env::temp_dir().join(format!("catchword-tour-{}", std::process::id()));
        fs::create_dir_all(&scratch).map_err(|error| Failure::file(&scratch, &error))?;
        let data = data.unwrap_or_else(|| scratch.join("data"));
        // The port is free a moment later too, unless somebody is very quick; then the broker says so.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Ok(Self {
            port,
            scratch,
            data,
            keeps_data,
            child: None,
            started_in: Duration::ZERO,
        })
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn arguments(&self) -> Vec<String> {
        let data = self.data.display().to_string();
        let delay = "group.initial.rebalance.delay.ms=0".to_owned();
        let flags = ["serve", "--listen", &self.address(), "--data", &data].map(str::to_owned);
        flags
            .into_iter()
            .chain(["--set".to_owned(), delay])
            .collect()
    }

    /// The command as one would type it.
    pub(super) fn command_line(&self) -> String {
        format!("catchword {}", self.arguments().join(" "))
    }

    /// Starts the process and waits until it answers.
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let log_path = self.scratch.join("broker.log");
        let log = File::options().create(true).append(true).open(&log_path);
        let log = log.map_err(|error| Failure::file(&log_path, &error))?;
        let exe = std::env::current_exe()?;
        let child = Command::new(&exe)
            .args(self.arguments())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| Failure::file(&exe, &error))?;
        self.child = Some(child);
        while began.elapsed() < PATIENCE {
            if Client::connect(ClientOptions::to(self.address())).is_ok() {
                self.started_in = began.elapsed();
                return Ok(());
            }
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                return Err(self.trouble(&format!("the broker ended with {status}")));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err(self.trouble(&format!(
            "the broker did not answer within {} s",
            PATIENCE.as_secs()
        )))
    }

    /// How long the last start took until the first answer.
    pub(super) fn started_in(&self) -> Duration {
        self.started_in
    }

    /// The process's number; 0 if it does not run.
    pub(super) fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Sends SIGKILL, waits for the end, sees that nobody answers any more; gives the process's number.
    pub(super) fn kill(&mut self) -> Result<u32, Failure> {
        let Some(mut child) = self.child.take() else {
            return Ok(0);
        };
        let pid = child.id();
        child.kill()?;
        child.wait()?;
        match Client::connect(ClientOptions::to(self.address())) {
            Ok(_) => Err(self.trouble("somebody still answers after the broker was killed")),
            Err(_) => Ok(pid),
        }
    }

    /// Ends the broker in order and says where the data is, if it is kept.
    pub(super) fn finish(mut self, ui: &mut Ui) -> Result<(), Failure> {
        self.end();
        if self.keeps_data {
            let data = self.data.display();
            ui.line(format_args!(
                "The data is in {data}: catchword serve --data {data}"
            ))?;
        }
        Ok(())
    }

    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            // The data is thrown away, or has just been proved to survive this.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn trouble(&self, what: &str) -> Failure {
        let log = fs::read_to_string(self.scratch.join("broker.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(10)..].join("\n  ");
        Failure::failed(if tail.is_empty() {
            what.to_owned()
        } else {
            format!("{what}; it said:\n  {tail}")
        })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
        let removed = fs::remove_dir_all(&self.scratch);
        // Left behind it does no harm, and there is nobody to tell.
        if let Err(error) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(%error, "the tour's directory stays");
        }
    }
}
