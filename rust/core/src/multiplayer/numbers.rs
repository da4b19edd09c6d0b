//! A peer in numbers, and the endpoint that tells them to machines.

use std::time::{Duration, Instant};

use super::{Mode, MultiplayerPeer};
use crate::error::Error;
use crate::stats::{ConnectionStats, Queued, RoundTrips, Snapshot, Traffic};
use crate::status::{Source, StatusEndpoint, Unready};

impl MultiplayerPeer {
    /// What has gone over all connections since this was made.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let mut traffic = self.past;
        if let Some(reactor) = self.reactor() {
            traffic += reactor.borrow().traffic();
        }
        traffic
    }

    /// What waits to be sent to all peers.
    #[must_use]
    pub fn queued(&self) -> Queued {
        self.reactor().map(|reactor| reactor.borrow().queued()).unwrap_or_default()
    }

    /// Peers that are in.
    #[must_use]
    pub fn peers(&self) -> usize {
        match &self.mode {
            Mode::Disconnected => 0,
            Mode::Server(server) => server.len(),
            Mode::Client(client) => usize::from(client.is_connected()),
        }
    }

    /// Packets that have been received and not been taken.
    #[must_use]
    pub fn waiting_packets(&self) -> usize {
        self.inbox.len()
    }

    /// The round-trip times of the peers, if one is known.
    #[must_use]
    pub fn round_trips(&self) -> Option<RoundTrips> {
        let peers = self.peer_ids().into_iter().filter_map(|id| self.connection(id));
        RoundTrips::of(peers.filter_map(|peer| Some(peer.borrow().round_trip()?.time)))
    }

    /// How long all polls took that found something to do.
    #[must_use]
    pub fn poll_time(&self) -> Duration {
        self.poll_times.time()
    }

    /// Everything in numbers.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            counts: self.stats,
            traffic: self.traffic(),
            polls: self.poll_times,
            peers: self.peers(),
            pending_handshakes: self.reactor().map_or(0, |reactor| reactor.borrow().newcomers()),
            max_clients: self.admission.max_clients,
            queued: self.queued(),
            waiting_packets: self.waiting_packets(),
            waiting_bytes: self.inbox.bytes(),
            rtt: self.round_trips(),
        }
    }

    /// One peer in numbers.
    ///
    /// # Errors
    /// [`Error::UnknownPeer`].
    pub fn peer_stats(&self, id: i32, now: Instant) -> Result<ConnectionStats, Error> {
        let connection = self.connection(id).ok_or(Error::UnknownPeer(id))?;
        Ok(connection.borrow().stats(now))
    }

    /// Answers HTTP requests for `/healthz`, `/readyz` and `/metrics` on `port` (0: chosen by the
    /// system) of `bind_address`, in each [`MultiplayerPeer::poll`] and whether there is a server or
    /// not, until [`MultiplayerPeer::close_status_endpoint`].
    ///
    /// # Errors
    /// When there is one already, when an argument cannot be used, or when the system does not give
    /// the address.
    pub fn create_status_endpoint(&mut self, port: i64, bind_address: &str) -> Result<(), Error> {
        if self.status_endpoint.is_some() {
            return Err(Error::StatusEndpointInUse);
        }
        self.status_endpoint = Some(Box::new(StatusEndpoint::listen(port, bind_address)?));
        Ok(())
    }

    /// Ends the status endpoint, if there is one.
    pub fn close_status_endpoint(&mut self) {
        self.status_endpoint = None;
    }

    /// The port of the status endpoint; 0 without one.
    #[must_use]
    pub fn status_endpoint_port(&self) -> u16 {
        self.status_endpoint.as_ref().map_or(0, |endpoint| endpoint.port())
    }

    pub(super) fn poll_status_endpoint(&mut self, now: Instant, refuses: bool) {
        if let Some(mut endpoint) = self.status_endpoint.take() {
            let mut notices = std::mem::take(&mut self.notices);
            endpoint.poll(now, &Moment { peer: self, refuses }, &mut notices);
            self.notices = notices;
            self.status_endpoint = Some(endpoint);
        }
    }

    /// Whether players can join; here alone is decided what keeps them out.
    fn readiness(&self, refuses: bool) -> Result<(), Unready> {
        let Mode::Server(server) = &self.mode else {
            return Err(Unready::NotListening);
        };
        if server.is_draining() {
            Err(Unready::Draining)
        } else if refuses {
            Err(Unready::Refusing)
        } else if server.reactor().borrow().is_full(&self.admission) {
            Err(Unready::Full)
        } else {
            Ok(())
        }
    }
}

/// A peer at the end of a poll.
struct Moment<'a> {
    peer: &'a MultiplayerPeer,
    refuses: bool,
}

impl Source for Moment<'_> {
    fn readiness(&self) -> Result<(), Unready> {
        self.peer.readiness(self.refuses)
    }

    fn snapshot(&self) -> Snapshot {
        self.peer.snapshot()
    }
}
