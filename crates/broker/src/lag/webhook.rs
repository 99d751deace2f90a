//! Posts documents to `lag.webhook.url`, behind whoever has them: a receiver that is slow or away holds up nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tracing::warn;

use crate::broker::Broker;

/// Documents under way at a time; more are not told.
const MAX_UNDER_WAY: usize = 64;
/// How long after a failure it is tried again; then it is given up.
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];
/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Webhook {
    free: Arc<Semaphore>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    taken: AtomicU64,
    failed: AtomicU64,
}

impl Default for Webhook {
    fn default() -> Webhook {
        Webhook {
            free: Arc::new(Semaphore::new(MAX_UNDER_WAY)),
            counts: Arc::default(),
        }
    }
}

impl Webhook {
    /// How many documents were taken, and how many were not.
    pub(super) fn counts(&self) -> (u64, u64) {
        let Counts { taken, failed } = &*self.counts;
        (
            taken.load(Ordering::Relaxed),
            failed.load(Ordering::Relaxed),
        )
    }

    /// Sends a document on its way, if there is a URL. Needs a tokio runtime.
    pub(super) fn post(&self, broker: &Broker, document: Vec<u8>) {
        let url = broker.catalog.config().lag_webhook_url.clone();
        if url.is_empty() {
            return;
        }
        let counts = self.counts.clone();
        let Ok(permit) = self.free.clone().try_acquire_owned() else {
            counts.failed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        tokio::spawn(async move {
            match deliver(&url, document.into()).await {
                Ok(()) => counts.taken.fetch_add(1, Ordering::Relaxed),
                Err(why) => {
                    warn!(
                        "{url} (lag.webhook.url) was not told of a lag objective: {why}; `catchword lag` shows how it is"
                    );
                    counts.failed.fetch_add(1, Ordering::Relaxed)
                }
            };
            drop(permit);
        });
    }
}

async fn deliver(url: &str, document: Bytes) -> Result<(), String> {
    let mut again = AGAIN.into_iter();
    loop {
        let sent = tokio::time::timeout(PATIENCE, send(url, document.clone())).await;
        let why = match sent {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(why)) => why,
            Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        match again.next() {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(why),
        }
    }
}

/// One attempt.
async fn send(url: &str, document: Bytes) -> Result<(), String> {
    let url: Uri = url.parse().map_err(|e| format!("it is no URL: {e}"))?;
    let host = url.host().filter(|_| url.scheme_str() == Some("http"));
    let (Some(host), Some(authority)) = (host, url.authority()) else {
        return Err("it is no http:// URL".to_owned());
    };
    let port = url.port_u16().unwrap_or(80);
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await;
    let stream = stream.map_err(|e| e.to_string())?;
    let io = TokioIo::new(stream);
    let hands = hyper::client::conn::http1::handshake(io).await;
    let (mut sender, connection) = hands.map_err(|e| e.to_string())?;
    let request = Request::post(path)
        .header(HOST, authority.as_str())
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, "catchword")
        .body(Full::new(document))
        .map_err(|e| e.to_string())?;
    let answered = async {
        let answer = sender.send_request(request).await;
        answer.map_err(|e| e.to_string())
    };
    let driven = async {
        let ended = connection.await;
        ended.map_err(|e| e.to_string())
    };
    tokio::pin!(answered, driven);
    let answer = tokio::select! {
        answer = &mut answered => answer?,
        ended = &mut driven => match ended {
            // The answer was the last that came by it, or there was none.
            Ok(()) => answered.await?,
            Err(why) => return Err(why),
        },
    };
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("it answered {status}")),
    }
}
