//! A request that is being answered. One that is dropped before its answer is there is noted as abandoned.

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use http::request::Parts;

use crate::access_log;
use crate::answer::Answer;
use crate::door::Door;
use crate::half_open::Heard;
use crate::visit::Visit;

/// One request, from its head to its answer.
pub(crate) struct Asked<'d> {
    door: &'d Door,
    begun: Instant,
    answered: bool,
    peer: SocketAddr,
    pub(crate) parts: Parts,
    pub(crate) visit: Visit<'d>,
}

impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers and queries hold credentials.
        f.debug_struct("Asked")
            .field("visit", &self.visit)
            .finish_non_exhaustive()
    }
}

impl<'d> Asked<'d> {
    pub(crate) fn new(door: &'d Door, peer: SocketAddr, parts: Parts, heard: Option<&'d Heard>) -> Self {
        Asked {
            door,
            begun: Instant::now(),
            answered: false,
            peer,
            parts,
            visit: Visit::new(door.meters.nowhere(), heard),
        }
    }

    /// Counts and logs the answer.
    pub(crate) fn answered(mut self, answer: &Answer) {
        self.answered = true;
        let took = self.begun.elapsed();
        let (door, parts) = (self.door, &self.parts);
        door.meters
            .answer(self.visit.meter, &parts.method, answer.status(), took);
        if door.access_log {
            access_log::note(self.peer, parts, answer, &self.visit, took);
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let took = self.begun.elapsed();
        self.door.meters.abandon(self.visit.meter, &self.parts.method, took);
        if self.door.access_log {
            access_log::note_abandoned(self.peer, &self.parts, &self.visit, took);
        }
    }
}
