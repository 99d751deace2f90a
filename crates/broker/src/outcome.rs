//! What a handler gives back: an answer, one that comes later, or none.

use std::future::Future;
use std::pin::Pin;

/// A future that may be sent to another thread.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A handler runs in two stages. The first runs before the connection's next request is looked at and does all that
/// must keep the connection's order (appending, asking a coordinator). What it has to wait for comes `Later`.
pub(crate) enum Outcome<R> {
    /// Answered at once.
    Now(R),
    /// Answered when the future is done. It is polled when it is the oldest of its connection.
    Later(BoxFuture<R>),
    /// No answer at all: Produce with acks=0.
    Silent,
    /// The connection is to be closed, as Kafka does where it has no way to tell an error.
    Close(&'static str),
}

impl<R: Send + 'static> Outcome<R> {
    /// An answer that `future` will have.
    pub(crate) fn later(future: impl Future<Output = R> + Send + 'static) -> Outcome<R> {
        Outcome::Later(Box::pin(future))
    }

    /// The answer, waited for; `None` if there is to be none.
    pub(crate) async fn get(self) -> Option<R> {
        match self {
            Outcome::Now(r) => Some(r),
            Outcome::Later(future) => Some(future.await),
            Outcome::Silent | Outcome::Close(_) => None,
        }
    }

    /// The answer turned into another, now or later.
    pub(crate) fn map<S: Send + 'static>(
        self,
        f: impl FnOnce(R) -> S + Send + 'static,
    ) -> Outcome<S> {
        match self {
            Outcome::Now(r) => Outcome::Now(f(r)),
            Outcome::Later(future) => Outcome::later(async move { f(future.await) }),
            Outcome::Silent => Outcome::Silent,
            Outcome::Close(why) => Outcome::Close(why),
        }
    }
}

/// Runs work that blocks (creating files, syncing a log) off the threads that serve connections.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
