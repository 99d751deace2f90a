//! A broker's process, measured from outside.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long the broker has to be there.
const STARTS_WITHIN: Duration = Duration::from_secs(10);
/// Of the kernel's count of CPU time, on every Linux.
const TICKS_A_SECOND: f64 = 100.0;

/// Killed when it is no longer needed.
pub(crate) struct Serve {
    child: Child,
    port: u16,
}

impl Serve {
    /// Starts the binary on a directory, with its HTTP listener at the next port, and waits until it listens.
    pub(crate) fn start(
        binary: &str,
        dir: &str,
        port: u16,
        settings: &[String],
    ) -> Result<Serve, Failure> {
        let mut command = Command::new(binary);
        command.args(["serve", "--data", dir, "--listen"]);
        command.arg(format!("127.0.0.1:{port}"));
        let http = format!("http.listener=127.0.0.1:{}", port + 1);
        for setting in settings.iter().chain([&http]) {
            command.args(["--set", setting]);
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = child.spawn()?;
        let serve = Serve { child, port };
        let until = Instant::now() + STARTS_WITHIN;
        while let Err(refused) = TcpStream::connect(serve.address()) {
            if Instant::now() > until {
                return Err(refused.into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(serve)
    }

    /// Where clients reach it.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// CPU seconds that it has used.
    pub(crate) fn cpu_s(&self) -> Result<f64, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("/proc has changed")?;
        let mut fields = fields.split_whitespace().skip(11);
        let mut ticks =
            || -> Result<f64, Failure> { Ok(fields.next().ok_or("no times")?.parse()?) };
        Ok((ticks()? + ticks()?) / TICKS_A_SECOND)
    }

    /// Its resident memory, in KiB.
    pub(crate) fn memory_kib(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.ok_or("/proc has changed")?.parse()?)
    }

    /// Scrapes as Prometheus does.
    pub(crate) fn metrics(&self) -> Result<String, Failure> {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{}", self.port + 1))?;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
