//! The listener, and those who come through it until they are in.

use std::io;
use std::time::Instant;

use mio::Interest;

use super::{LISTENER, Reactor};
use crate::admission::{Admission, Arrival, Entrance};
use crate::config::{AdmissionConfig, PollBudget};
use crate::connection::{Connection, limit_after};
use crate::error::Error;
use crate::listen;
use crate::tls::ServerTls;
use crate::transport::Transport;

/// Connections accepted before those that are ready get their turn.
const ACCEPTS_IN_A_ROW: usize = 16;

impl Reactor {
    /// Listens on `port` (0: chosen by the system) of `bind_address`: an IP address, or `*` for
    /// both families. With `tls` all connections speak TLS.
    ///
    /// # Errors
    /// When an argument cannot be used, or when the address is taken or not of this machine.
    pub fn listen(
        &mut self,
        port: i64,
        bind_address: &str,
        tls: Option<ServerTls>,
    ) -> Result<(), Error> {
        let port = u16::try_from(port).map_err(|_| Error::Port(port))?;
        let mut listener = listen::listen(listen::bind_address(bind_address)?, port)?;
        self.poll
            .registry()
            .register(&mut listener, LISTENER, Interest::READABLE)
            .map_err(|error| Error::system(&error))?;
        self.listener = Some(listener);
        self.entrance = Entrance::new(tls);
        Ok(())
    }

    /// Ends listening, and the connections that nobody has claimed.
    pub fn stop_listening(&mut self) {
        self.stop(|connection| !connection.is_claimed());
    }

    /// Ends listening and all connections, whoever else may keep this.
    pub(crate) fn end(&mut self) {
        self.stop(|_| true);
    }

    fn stop(&mut self, ends: impl Fn(&Connection) -> bool) {
        self.listener = None;
        self.accept_ready = false;
        for (_, slot) in &self.slots {
            let mut connection = slot.connection.borrow_mut();
            if ends(&connection) {
                connection.leave_now();
            }
        }
    }

    /// The identity that newcomers are shown, if the listener speaks TLS.
    pub(crate) fn tls(&self) -> Option<&ServerTls> {
        self.entrance.tls.as_ref()
    }

    /// Shows newcomers another identity. Handshakes that have begun go on with the earlier one.
    pub(crate) fn set_tls(&mut self, tls: ServerTls) {
        self.entrance.tls = Some(tls);
    }

    /// Sets when the listener's owner goes, until when nobody is let in any more; `None`: it stays.
    pub(crate) fn set_departure(&self, departure: Option<Instant>) {
        self.entrance.set_departure(departure);
    }

    /// The port that is listened on; 0 without a listener.
    #[must_use]
    pub fn local_port(&self) -> u16 {
        let address = self.listener.as_ref().and_then(|listener| listener.local_addr().ok());
        address.map_or(0, |address| address.port())
    }

    /// Connections that have been accepted and are not in.
    #[must_use]
    pub fn newcomers(&self) -> usize {
        self.entrance.newcomers.len()
    }

    /// Whether nobody more may be in.
    pub(crate) fn is_full(&self, config: &AdmissionConfig) -> bool {
        self.entrance.limit_places(config.max_clients);
        !self.entrance.has_place()
    }

    /// Takes in a stream on the terms of the listener.
    pub(crate) fn admit(
        &mut self,
        transport: Transport,
        now: Instant,
        admission: &mut Admission<'_>,
    ) {
        if let Some(arrival) = self.entrance.receive(transport, now, admission) {
            self.welcome(arrival, now, admission);
        }
    }

    /// Starts the handshake of a newcomer.
    fn welcome(&mut self, arrival: Arrival, now: Instant, admission: &Admission<'_>) {
        let config = self.entrance.share(admission.connections);
        let limit = limit_after(now, admission.handshake_timeout);
        let newcomer = self.adopt(arrival.transport, config, limit);
        if let Some(proxied) = arrival.proxied {
            newcomer.borrow_mut().await_proxy(proxied);
        }
        let token = newcomer.borrow().token();
        if let Some(slot) = self.slot(token) {
            slot.is_newcomer = true;
            self.entrance.newcomers.add(newcomer.borrow().serial(), token);
        }
        self.give_up_beyond(admission.config.max_pending_handshakes as usize);
    }

    /// Accepts and drives those that come with their request, in the time that newcomers have.
    pub(super) fn take_in(
        &mut self,
        now: Instant,
        admission: &mut Admission<'_>,
        budget: &mut PollBudget,
    ) {
        budget.begin();
        // Who cannot be served yet waits in the kernel, where nobody is given up for others.
        while self.entrance.is_open(now) && budget.has_handshake_time() && !budget.is_used_up() {
            // Those who are in must not keep others out by taking all the time: one comes in each
            // poll, and has its turns as they have theirs.
            let is_late = budget.is_late();
            let most = if is_late { 1 } else { ACCEPTS_IN_A_ROW };
            if self.accept(most, now, admission) == 0 || is_late {
                return;
            }
            // Most requests are here already.
            self.wait();
            self.drive_ready(now, Some(admission.config), budget);
        }
    }

    /// Accepts at most so many; how many there were.
    fn accept(&mut self, most: usize, now: Instant, admission: &mut Admission<'_>) -> usize {
        // Not more than may be unfinished, so that each gets a turn before it is given up.
        let most = most.min(admission.config.max_pending_handshakes as usize);
        let mut count = 0;
        while count < most && self.accept_ready {
            let Some(listener) = &self.listener else {
                break;
            };
            match listener.accept() {
                Ok((stream, address)) => {
                    count += 1;
                    if let Some(arrival) = self.entrance.admit(stream, address, now, admission) {
                        self.welcome(arrival, now, admission);
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => self.accept_ready = false,
                    // Gone before it was accepted: the next one is not affected.
                    io::ErrorKind::Interrupted
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::ConnectionReset => {}
                    _ => {
                        self.entrance.failed(&error, now, admission);
                        // Silent ones must not keep others out until the time limit of their
                        // handshakes. Those of this call have had no turn yet.
                        if count == 0 {
                            self.give_up_beyond(self.entrance.newcomers.len().div_ceil(2));
                        }
                        break;
                    }
                },
            }
        }
        count
    }

    /// Gives up the oldest newcomers until there are no more than `most`.
    fn give_up_beyond(&mut self, most: usize) {
        while let Some(token) = self.entrance.newcomers.pop_beyond(most) {
            if let Some(connection) = self.connection(token) {
                connection.borrow_mut().displace();
                self.settle(token);
            }
        }
    }
}
