//! The HTTP listener: the JSON API, health, readiness and metrics.
//!
//! There is no authentication yet, so it listens on the machine itself unless told otherwise, and a web page that a
//! browser shows cannot use it (see [`guard`]). A port that is taken does not keep the broker from serving Kafka.

mod answer;
mod guard;
mod metrics;
mod query;
mod routes;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::broker::Broker;

/// How long a client may take to send a request's head.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// More connections than this at a time wait in the system's queue.
const MAX_CONNECTIONS: usize = 256;

/// Binds `http.listener`, if there is one, and says what came of it.
pub(crate) async fn start(broker: &Arc<Broker>) -> Option<JoinHandle<()>> {
    let wanted = broker.catalog.config().http_listener.clone();
    if wanted.is_empty() {
        return None;
    }
    let bound = match TcpListener::bind(&wanted).await {
        Ok(listener) => listener.local_addr().map(|address| (listener, address)),
        Err(error) => Err(error),
    };
    let (listener, address) = match bound {
        Ok(bound) => bound,
        Err(error) => {
            warn!(
                "no JSON API and no metrics: cannot listen on {wanted}: {error}; choose another address with --set http.listener=HOST:PORT, or none with --set http.listener="
            );
            return None;
        }
    };
    broker.set_http(address);
    info!("JSON API and metrics on http://{address}");
    if !address.ip().is_loopback() {
        warn!(
            "http.listener {address} can be reached from other machines, and whoever reaches it can move offsets"
        );
    }
    Some(tokio::spawn(accept(broker.clone(), listener)))
}

async fn accept(broker: Arc<Broker>, listener: TcpListener) {
    let free = Arc::new(tokio::sync::Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = free.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let broker = broker.clone();
                tokio::spawn(async move {
                    serve(broker, stream, peer).await;
                    drop(permit);
                });
            }
            Err(error) => {
                warn!("an HTTP connection could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(broker: Arc<Broker>, stream: TcpStream, peer: SocketAddr) {
    let answer = service_fn(|request: Request<Incoming>| {
        let broker = broker.clone();
        async move {
            Ok::<Response<Full<Bytes>>, Infallible>(routes::answer(&broker, peer, request).await)
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE);
    let mut stopping = broker.stopping();
    tokio::select! {
        // What the client did wrong on the way is its own affair.
        _ = http.serve_connection(TokioIo::new(stream), answer) => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
}
