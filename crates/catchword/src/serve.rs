//! Runs the broker: opens the data directory, serves until told to stop, and closes it in order.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use catchword_broker::{Guarded, Identity, Running};
use catchword_config::BrokerConfig;
use catchword_log::{LocalEngine, LocalOptions, LogError};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;
use crate::plane;

/// Runs the broker in this process until SIGTERM or Ctrl-C.
pub(crate) fn run(config: BrokerConfig) -> Result<(), Failure> {
    run_as(config, None)
}

/// Likewise the guardian of the Kafka that `kafka` leads to.
pub(crate) fn run_guardian(config: BrokerConfig, guarded: Guarded) -> Result<(), Failure> {
    run_as(config, Some(guarded))
}

fn run_as(config: BrokerConfig, guards: Option<Guarded>) -> Result<(), Failure> {
    start_log();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("catchword")
        .build()
        .map_err(|error| Failure::failed(format!("no threads for the broker: {error}")))?;
    runtime.block_on(serve(config, guards))
}

async fn serve(config: BrokerConfig, guards: Option<Guarded>) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::failed(error.to_string());
    allow_many_files();
    let dir = config.data_dir.clone();
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| failed(&e))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| failed(&e))?;
    let running = match guards {
        None => {
            catchword_broker::refuse_foreign(&dir).map_err(|e| failed(&e))?;
            let engine = open(&dir, &config)?;
            let identity = Identity::load(&dir, &config).map_err(|e| failed(&e))?;
            let started = catchword_broker::start(config, engine, identity).await;
            let running = started.map_err(|e| failed(&e))?;
            greet(&running, &dir);
            running
        }
        Some(guarded) => {
            let engine = open(&dir, &config)?;
            let identity = Identity::load_guardian(&dir, &config).map_err(|e| failed(&e))?;
            let bootstrap = guarded.kafka.bootstrap.clone();
            let started = catchword_broker::start_guardian(config, engine, identity, guarded).await;
            let running = started.map_err(|e| failed(&e))?;
            greet_guardian(&running, &dir, &bootstrap);
            running
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    running.stop().await.map_err(|e| {
        Failure::failed(format!(
            "the data could not be closed in order ({e}); the next start checks it"
        ))
    })?;
    tracing::info!("stopped; everything is on disk");
    Ok(())
}

fn open(dir: &Path, config: &BrokerConfig) -> Result<Arc<LocalEngine>, Failure> {
    let opened = LocalEngine::open(dir, options(config));
    opened.map(Arc::new).map_err(|e| cannot_open(dir, &e))
}

/// What to do where the system refuses the directory; the log's other errors say it themselves.
fn cannot_open(dir: &Path, error: &LogError) -> Failure {
    Failure::failed(match error {
        LogError::Io { .. } => format!(
            "the data directory {} cannot be used: {error}; make it one that you may write to, or name another with --data",
            dir.display()
        ),
        _ => error.to_string(),
    })
}

fn options(config: &BrokerConfig) -> LocalOptions {
    LocalOptions {
        // At least 0.
        journal_bytes: u64::try_from(config.log_journal_bytes).unwrap_or(0),
        retention_check_interval_ms: config.log_retention_check_interval_ms,
        initial_task_delay_ms: config.log_initial_task_delay_ms,
        compaction_policy: catchword_broker::compaction_policy(config),
        ..LocalOptions::default()
    }
}

/// Log lines go to standard error; `CATCHWORD_LOG=debug` shows more (or `catchword_broker=trace`, as in `RUST_LOG`).
fn start_log() {
    let filter =
        EnvFilter::try_from_env("CATCHWORD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .init();
}

/// Segments and connections need file descriptors; the soft limit of many systems is 1024.
fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
}

/// Where it listens, where the data is, what to type next.
fn greet(running: &Running, dir: &std::path::Path) {
    let addresses: Vec<String> = running
        .addresses()
        .iter()
        .map(|(name, address)| format!("{address} ({name})"))
        .collect();
    let first = running
        .addresses()
        .first()
        .map(|(_, address)| address.to_string())
        .unwrap_or_default();
    let bootstrap = if first == "127.0.0.1:9092" {
        String::new()
    } else {
        format!(" --bootstrap {first}")
    };
    let text = format!(
        "Catchword {} is ready.\n  listening  {}\n  data       {}\n  cluster    {}\n{}\n\
         Any Kafka client can connect now. To try it from another terminal:\n\
         \x20 echo hello | catchword produce greetings{bootstrap}\n\
         \x20 catchword consume greetings --group readers --from earliest{bootstrap}\n\
         \x20 catchword show readers{bootstrap}\n\
         Stop with Ctrl-C.\n",
        env!("CARGO_PKG_VERSION"),
        addresses.join(", "),
        std::fs::canonicalize(dir)
            .unwrap_or_else(|_| dir.to_owned())
            .display(),
        running.cluster_id(),
        running
            .http_address()
            .map_or_else(String::new, |address| format!(
                "  API        http://{address} (JSON, metrics)\n"
            )),
    );
    say(&text);
}

/// What is guarded, where it is asked, what to type next.
fn greet_guardian(running: &Running, dir: &Path, bootstrap: &str) {
    let api = running.http_address();
    let text = format!(
        "Catchword {} guards the Apache Kafka at {bootstrap}.\n  cluster    {}\n  history    {}\n{}\n\
         Every move of its groups' committed offsets is remembered from now on, and what Kafka's log still tells of before.\n\
         From another terminal:\n\
         {}\x20 catchword log GROUP --bootstrap {bootstrap}       what was done to a group\n\
         \x20 catchword undo --bootstrap {bootstrap}            the last resets and deletions, and how to take one back\n\
         \x20 catchword trash --bootstrap {bootstrap}           what was deleted or has expired\n\
         Stop with Ctrl-C; it goes on where it stopped.\n",
        env!("CARGO_PKG_VERSION"),
        running.cluster_id(),
        std::fs::canonicalize(dir)
            .unwrap_or_else(|_| dir.to_owned())
            .display(),
        api.map_or_else(String::new, |address| format!(
            "  API        http://{address} (JSON, metrics)\n"
        )),
        api.filter(|address| !plane::finds(*address))
            .map_or_else(String::new, |address| format!(
                "  export CATCHWORD_GUARDIAN={address}\n"
            )),
    );
    say(&text);
}

fn say(text: &str) {
    let mut out = io::stdout().lock();
    // Whoever closed the pipe does not want to read it.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
