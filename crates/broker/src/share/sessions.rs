//! Share sessions: which partitions a member fetches, so that it need not say it each time.
//!
//! A session lives as long as the connection on which it was opened; with it goes what the member holds. Its epoch counts
//! the requests, so that none is taken twice.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use catchword_wire::{ErrorCode, Str, Uuid};

/// Opens a session.
pub(crate) const INITIAL: i32 = 0;
/// Ends one.
pub(crate) const FINAL: i32 = -1;

/// A partition as requests name it.
pub(crate) type Place = (Uuid, i32);

struct Session {
    epoch: i32,
    places: Vec<Place>,
    connection: usize,
}

/// All sessions.
pub(crate) struct ShareSessions {
    /// By group and member.
    sessions: Mutex<HashMap<(Str, Str), Session>>,
    most: usize,
}

impl ShareSessions {
    /// No sessions; there may be `most` at a time.
    pub(crate) fn new(most: usize) -> ShareSessions {
        ShareSessions {
            sessions: Mutex::default(),
            most,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Str, Str), Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a fetch into its session. Returns all that the session is about; nothing if it is to end.
    pub(crate) fn fetch(
        &self,
        who: (&Str, &Str),
        epoch: i32,
        added: &[Place],
        forgotten: &[Place],
        connection: usize,
    ) -> Result<Vec<Place>, ErrorCode> {
        if epoch == INITIAL {
            let mut sessions = self.lock();
            let key = (who.0.detached(), who.1.detached());
            sessions.remove(&key);
            if sessions.len() >= self.most {
                return Err(ErrorCode::ShareSessionLimitReached);
            }
            let mut places = added.to_vec();
            places.sort_unstable();
            places.dedup();
            let session = Session {
                epoch: 1,
                places: places.clone(),
                connection,
            };
            sessions.insert(key, session);
            return Ok(places);
        }
        self.step(who, epoch, |session| {
            session.places.retain(|place| !forgotten.contains(place));
            for place in added {
                if !session.places.contains(place) {
                    session.places.push(*place);
                }
            }
        })
    }

    /// Takes an acknowledgement into its session.
    pub(crate) fn acknowledge(&self, who: (&Str, &Str), epoch: i32) -> Result<(), ErrorCode> {
        if epoch == INITIAL {
            return Err(ErrorCode::InvalidShareSessionEpoch);
        }
        self.step(who, epoch, |_| {}).map(drop)
    }

    fn step(
        &self,
        who: (&Str, &Str),
        epoch: i32,
        change: impl FnOnce(&mut Session),
    ) -> Result<Vec<Place>, ErrorCode> {
        let mut sessions = self.lock();
        let session = sessions.get_mut(&(who.0.clone(), who.1.clone()));
        let session = session.ok_or(ErrorCode::ShareSessionNotFound)?;
        if epoch == FINAL {
            return Ok(Vec::new());
        }
        if epoch != session.epoch {
            return Err(ErrorCode::InvalidShareSessionEpoch);
        }
        session.epoch = session.epoch.checked_add(1).unwrap_or(1);
        change(session);
        Ok(session.places.clone())
    }

    /// Ends a session.
    pub(crate) fn end(&self, who: (&Str, &Str)) {
        self.lock().remove(&(who.0.clone(), who.1.clone()));
    }

    /// Ends the sessions of a connection that was closed. Returns whose they were.
    pub(crate) fn connection_closed(&self, connection: usize) -> Vec<(Str, Str)> {
        let mut sessions = self.lock();
        let of_it = sessions.iter().filter(|(_, s)| s.connection == connection);
        let ended: Vec<(Str, Str)> = of_it.map(|(who, _)| who.clone()).collect();
        for who in &ended {
            sessions.remove(who);
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Uuid = Uuid([1; 16]);

    #[test]
    fn a_request_that_comes_twice_or_out_of_turn_is_refused() {
        let sessions = ShareSessions::new(2);
        let (group, member) = ("g".into(), "m".into());
        let who = (&group, &member);
        assert_eq!(
            sessions.fetch(who, 1, &[], &[], 0),
            Err(ErrorCode::ShareSessionNotFound)
        );
        assert_eq!(sessions.fetch(who, 0, &[(T, 0)], &[], 0), Ok(vec![(T, 0)]));
        assert_eq!(
            sessions.fetch(who, 1, &[(T, 1)], &[(T, 0)], 0),
            Ok(vec![(T, 1)])
        );
        let again = sessions.fetch(who, 1, &[], &[], 0);
        assert_eq!(again, Err(ErrorCode::InvalidShareSessionEpoch));
        assert_eq!(sessions.acknowledge(who, 2), Ok(()));
        assert_eq!(
            sessions.acknowledge(who, 0),
            Err(ErrorCode::InvalidShareSessionEpoch)
        );
        assert_eq!(sessions.acknowledge(who, -1), Ok(()));
    }

    #[test]
    fn sessions_are_so_many_at_most_and_go_with_their_connection() {
        let sessions = ShareSessions::new(1);
        let (group, one, two) = ("g".into(), "1".into(), "2".into());
        assert!(sessions.fetch((&group, &one), 0, &[], &[], 7).is_ok());
        let full = sessions.fetch((&group, &two), 0, &[], &[], 8);
        assert_eq!(full, Err(ErrorCode::ShareSessionLimitReached));
        assert_eq!(sessions.connection_closed(8), []);
        assert_eq!(sessions.connection_closed(7), [(group.clone(), one)]);
        assert!(sessions.fetch((&group, &two), 0, &[], &[], 8).is_ok());
    }
}
