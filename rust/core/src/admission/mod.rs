//! Who is let in: the places of those who are in, the order of those who want to be, and how often
//! an address may come.
//!
//! The [reactor](crate::reactor) asks when a connection has been accepted, a
//! [connection](crate::connection) when its request is complete.

mod rates;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use mio::Token;
use mio::net::TcpStream;

use self::rates::Rates;
use crate::config::{AdmissionConfig, ConnectionConfig, ProxyProtocol};
use crate::notice::Notices;
use crate::proxy::{self, ProxyFailure};
use crate::stats::Stats;
use crate::tls::ServerTls;
use crate::transport::{Transport, plain};
use crate::upgrade::{Refusal, Request, check_allowed};

/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Time between two lines in the log about that: it can last for hours.
const ACCEPT_NOTICE: Duration = Duration::from_secs(10);
/// The answer to a connection of an address that comes too often.
static TOO_MANY: LazyLock<Refusal> =
    LazyLock::new(|| Refusal::new(429, "too many connections from this address"));
static TOO_MANY_BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| TOO_MANY.to_bytes());

/// How a server takes in newcomers in one poll, and where it writes down what came of it.
pub struct Admission<'a> {
    /// Who is let in.
    pub config: &'a AdmissionConfig,
    /// The settings of their connections.
    pub connections: &'a ConnectionConfig,
    /// Time from accept until the answer, and the id, have been handed to the kernel.
    pub handshake_timeout: Duration,
    /// New connections are left waiting.
    pub is_refusing: bool,
    /// Counts.
    pub stats: &'a mut Stats,
    /// Lines for the log.
    pub notices: &'a mut Notices,
}

/// What a listener knows of those who come to it.
#[derive(Default)]
pub(crate) struct Entrance {
    pub(crate) newcomers: Newcomers,
    /// Who the listener is, if it speaks TLS.
    pub(crate) tls: Option<ServerTls>,
    /// Nothing is accepted before that.
    pause: Option<Instant>,
    /// When the log was last told that nothing can be accepted.
    notice: Option<Instant>,
    /// The settings of the connections that were accepted last.
    shared: Rc<ConnectionConfig>,
    places: Places,
    rates: Rates,
}

impl Entrance {
    /// Of a listener that speaks TLS, or not.
    pub(crate) fn new(tls: Option<ServerTls>) -> Self {
        Self { tls, ..Self::default() }
    }

    /// Whether connections can be accepted.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        self.pause.is_none_or(|until| now >= until)
    }

    /// A connection could not be accepted: none is for a while.
    pub(crate) fn failed(
        &mut self,
        error: &io::Error,
        now: Instant,
        admission: &mut Admission<'_>,
    ) {
        admission.stats.accept_errors += 1;
        self.pause = now.checked_add(ACCEPT_PAUSE);
        let is_said = |said: Instant| now.saturating_duration_since(said) < ACCEPT_NOTICE;
        if !self.notice.is_some_and(is_said) {
            self.notice = Some(now);
            let text = format_args!("cannot accept connections for now: {error}");
            admission.notices.error(now, text);
        }
    }

    /// How a connection that has been accepted begins; not at all if its address comes too often.
    pub(crate) fn admit(
        &mut self,
        mut stream: TcpStream,
        address: SocketAddr,
        now: Instant,
        admission: &mut Admission<'_>,
    ) -> Option<Arrival> {
        if let Err(refusal) = self.door(admission.config).count(address.ip(), now) {
            admission.stats.accepted += 1;
            admission.stats.refused_rate += 1;
            let text = format_args!("{}: {}", plain(address), refusal.reason);
            admission.notices.verbose(now, text);
            // Nothing is said where a TLS handshake would have to come first.
            if self.tls.is_none() {
                // The kernel of a new connection takes these few bytes, or it has gone. A request
                // that is left unread would make it reset the connection and take the answer back.
                let _ = stream.write(&TOO_MANY_BYTES);
                let _ = stream.shutdown(Shutdown::Write);
                let _ = stream.read(&mut [0; 4096]);
            }
            return None;
        }
        self.receive(Transport::tcp(stream), now, admission)
    }

    /// How a connection begins: with what a proxy says, with the listener's TLS, or with its
    /// request.
    pub(crate) fn receive(
        &self,
        transport: Transport,
        now: Instant,
        admission: &mut Admission<'_>,
    ) -> Option<Arrival> {
        admission.stats.accepted += 1;
        let proxy = &admission.config.proxy;
        if proxy.protocol != ProxyProtocol::Off {
            let remote = transport.remote();
            let is_trusted = remote.is_some_and(|peer| proxy::is_trusted(proxy, peer.ip()));
            let is_required = proxy.protocol == ProxyProtocol::Required;
            if is_required && !is_trusted {
                admission.stats.refused_proxy += 1;
                let name = remote.map_or_else(|| "a peer".to_owned(), |peer| peer.to_string());
                admission.notices.verbose(now, format_args!("{name}: {}", ProxyFailure::Untrusted));
                transport.end();
                return None;
            }
            let proxied = Proxied { is_trusted, is_required, tls: self.tls.clone() };
            return Some(Arrival { transport, proxied: Some(proxied) });
        }
        let secured = match &self.tls {
            Some(tls) => transport.secure_server(tls),
            None => Ok(transport),
        };
        let note = |error| admission.notices.error(now, format_args!("tls cannot start: {error}"));
        secured.map(|transport| Arrival { transport, proxied: None }).map_err(note).ok()
    }

    /// Sets how many may be in.
    pub(crate) fn limit_places(&self, max_clients: u32) {
        self.places.0.most.set(max_clients);
    }

    /// Sets when the listener's owner goes: then nobody is let in any more.
    pub(crate) fn set_departure(&self, departure: Option<Instant>) {
        self.places.0.departure.set(departure);
    }

    /// Whether a place is free.
    pub(crate) fn has_place(&self) -> bool {
        self.places.has_room()
    }

    /// `config` as a new connection gets it: those that were accepted with the same share it.
    pub(crate) fn share(&mut self, config: &ConnectionConfig) -> Rc<ConnectionConfig> {
        if *self.shared != *config {
            self.shared = Rc::new(config.clone());
        }
        self.shared.clone()
    }

    /// What newcomers are judged by.
    pub(crate) fn door<'a>(&'a mut self, config: &'a AdmissionConfig) -> Door<'a> {
        Door { config, places: &self.places, rates: &mut self.rates }
    }
}

/// What a proxy has to say of a connection, whether it is believed, and what comes behind it.
pub(crate) struct Proxied {
    /// A PROXY header of this address counts.
    pub(crate) is_trusted: bool,
    /// There has to be one.
    pub(crate) is_required: bool,
    /// The TLS behind it.
    pub(crate) tls: Option<ServerTls>,
}

/// A connection that has been accepted.
pub(crate) struct Arrival {
    pub(crate) transport: Transport,
    /// What it waits for before anything else.
    pub(crate) proxied: Option<Proxied>,
}

/// What newcomers are judged by.
pub(crate) struct Door<'a> {
    config: &'a AdmissionConfig,
    places: &'a Places,
    rates: &'a mut Rates,
}

impl Door<'_> {
    /// Counts a connection of `address`, which has just become known. Proxies that are trusted come
    /// as often as they like: it is their players who are counted.
    pub(crate) fn count(&mut self, address: IpAddr, now: Instant) -> Result<(), Refusal> {
        let config = self.config;
        let per_second = config.connections_per_second_per_address;
        if per_second == 0
            || proxy::is_trusted(&config.proxy, address)
            || self.rates.allows(address, per_second, now)
        {
            Ok(())
        } else {
            Err(TOO_MANY.clone())
        }
    }

    /// Who sent `request`, which came from `peer`. A player who was hidden by a proxy until now is
    /// counted.
    pub(crate) fn identify(
        &mut self,
        request: &Request,
        peer: SocketAddr,
        now: Instant,
    ) -> (SocketAddr, Result<(), Refusal>) {
        let player = proxy::forwarded::player(request, &self.config.proxy, peer);
        let counted = if player == peer { Ok(()) } else { self.count(player.ip(), now) };
        (player, counted)
    }

    /// Whether what is asked for is allowed.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Refusal> {
        check_allowed(request, self.config)
    }

    /// Whether the owner decides about what is allowed.
    pub(crate) fn asks_owner(&self) -> bool {
        self.config.asks_owner
    }

    /// A place for one that may come in, if there is one.
    pub(crate) fn place(&self, now: Instant) -> Result<Place, Refusal> {
        self.places.take(now)
    }

    /// Where a place is taken later.
    pub(crate) fn places(&self) -> Places {
        self.places.clone()
    }
}

/// How many are in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Rc<Count>);

#[derive(Debug, Default)]
struct Count {
    taken: Cell<u32>,
    /// How many may be in; 0 for any number.
    most: Cell<u32>,
    /// When the owner goes, if nobody is let in because of that.
    departure: Cell<Option<Instant>>,
}

impl Places {
    /// A place, if there is one.
    pub(crate) fn take(&self, now: Instant) -> Result<Place, Refusal> {
        if let Some(departure) = self.0.departure.get() {
            return Err(Refusal::departure(departure.saturating_duration_since(now)));
        }
        if !self.has_room() {
            return Err(Refusal::new(503, "the server is full"));
        }
        self.0.taken.set(self.0.taken.get() + 1);
        Ok(Place(self.0.clone()))
    }

    fn has_room(&self) -> bool {
        let most = self.0.most.get();
        most == 0 || self.0.taken.get() < most
    }
}

/// One client's place, which is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place(Rc<Count>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
    }
}

/// The connections that have been accepted and are not in, in the order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Newcomers {
    by_serial: BTreeMap<u64, Token>,
}

impl Newcomers {
    pub(crate) fn add(&mut self, serial: u64, token: Token) {
        self.by_serial.insert(serial, token);
    }

    /// It is in, or has gone.
    pub(crate) fn remove(&mut self, serial: u64) {
        self.by_serial.remove(&serial);
    }

    pub(crate) fn len(&self) -> usize {
        self.by_serial.len()
    }

    /// The one that has been here longest, if there are more than `most`.
    pub(crate) fn pop_beyond(&mut self, most: usize) -> Option<Token> {
        if self.len() <= most {
            return None;
        }
        self.by_serial.pop_first().map(|(_, token)| token)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let entrance = Entrance::default();
        entrance.limit_places(2);
        let (places, now) = (entrance.places.clone(), Instant::now());
        let first = places.take(now).unwrap();
        let _second = places.take(now).unwrap();
        assert!(!entrance.has_place());
        assert_eq!(places.take(now).unwrap_err().status, 503);
        drop(first);
        assert!(entrance.has_place() && places.take(now).is_ok());
    }

    #[test]
    fn nobody_gets_a_place_when_the_owner_is_about_to_go() {
        let entrance = Entrance::default();
        let (places, now) = (entrance.places.clone(), Instant::now());
        entrance.set_departure(Some(now + Duration::from_secs(9)));
        assert!(places.take(now).unwrap_err().departure.is_some());
        entrance.set_departure(None);
        assert!(places.take(now).is_ok());
    }
}
