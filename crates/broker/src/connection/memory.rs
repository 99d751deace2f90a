//! The memory that large requests share, over all connections.
//!
//! Invariant: large requests hold at most `queued.max.request.bytes`, and one request more. A request pays for bytes as
//! they come, not for those that its length claims, so a client that claims much and sends little keeps nobody waiting.
//! When the memory is given out, one request at a time goes on nevertheless: it comes to its end, and gives back what
//! it has. So requests that came halfway never wait for each other.

use std::io;
use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// What a request gets before it has to pay, in bytes; a connection's own bounds cover it.
pub(crate) const FREE: usize = 64 << 10;
/// What is taken at once, in KiB.
const STEP_KIB: u32 = 256;

pub(crate) struct RequestMemory {
    /// What is left, in KiB.
    left: Arc<Semaphore>,
    /// The right to go on when nothing is left; one request has it.
    beyond: Arc<Semaphore>,
}

impl RequestMemory {
    pub(crate) fn new(bytes: usize) -> RequestMemory {
        RequestMemory {
            left: Arc::new(Semaphore::new((bytes / 1024).min(Semaphore::MAX_PERMITS))),
            beyond: Arc::new(Semaphore::new(1)),
        }
    }
}

/// What one request has of it; dropping it gives it back.
#[derive(Default)]
pub(crate) struct Share {
    taken: Option<OwnedSemaphorePermit>,
    beyond: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// How many bytes of a request may be held with it.
    pub(crate) fn covered(&self) -> usize {
        if self.beyond.is_some() {
            return usize::MAX;
        }
        let taken = self.taken.as_ref().map_or(0, |t| t.num_permits());
        FREE + taken * 1024
    }

    /// Whether others may have to wait for what it holds.
    pub(crate) fn holds_memory(&self) -> bool {
        self.taken.is_some() || self.beyond.is_some()
    }

    /// Waits until it covers more. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// If the broker gives out no memory any more.
    pub(crate) async fn grow(&mut self, memory: &RequestMemory) -> io::Result<()> {
        let closed = |_: AcquireError| io::Error::other("the broker takes no more requests");
        tokio::select! {
            biased;
            more = memory.left.clone().acquire_many_owned(STEP_KIB) => {
                let more = more.map_err(closed)?;
                match &mut self.taken {
                    Some(taken) => taken.merge(more),
                    None => self.taken = Some(more),
                }
            }
            turn = memory.beyond.clone().acquire_owned() => self.beyond = Some(turn.map_err(closed)?),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Whether it grew at once.
    fn grows(share: &mut Share, memory: &RequestMemory) -> bool {
        let grown = pin!(share.grow(memory)).poll(&mut Context::from_waker(Waker::noop()));
        matches!(grown, Poll::Ready(Ok(())))
    }

    #[test]
    fn when_the_memory_is_given_out_one_request_goes_on_and_the_others_wait() {
        let memory = RequestMemory::new(512 << 10);
        let (mut a, mut b, mut c) = (Share::default(), Share::default(), Share::default());
        assert_eq!(a.covered(), FREE);
        assert!(grows(&mut a, &memory) && grows(&mut b, &memory));
        assert_eq!(a.covered(), FREE + (256 << 10));
        assert!(grows(&mut a, &memory), "one goes on");
        assert_eq!(a.covered(), usize::MAX);
        assert!(!grows(&mut b, &memory) && !grows(&mut c, &memory));
        drop(a);
        assert!(grows(&mut b, &memory), "it has given back what it had");
        assert_eq!(b.covered(), FREE + (512 << 10));
        assert!(b.beyond.is_none() && grows(&mut c, &memory));
    }

    #[test]
    fn with_hardly_any_memory_requests_go_one_at_a_time() {
        let memory = RequestMemory::new(1);
        let (mut a, mut b) = (Share::default(), Share::default());
        assert!(grows(&mut a, &memory) && !grows(&mut b, &memory));
        drop(a);
        assert!(grows(&mut b, &memory));
    }
}
