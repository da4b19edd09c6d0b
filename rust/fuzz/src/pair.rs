//! A server and a client of core's with a stream between them that can fail anywhere.

use std::time::Instant;

use mio_websocket_core::config::ConnectionConfig;
use mio_websocket_core::connection::{State, Target};
use mio_websocket_core::multiplayer::{SERVER_ID, Status};

use crate::game::Game;
use crate::identity;
use crate::wire::Wire;

/// More than there are without a packet among them.
const MANY_FRAMES: usize = 4096;

/// Both ends and what was given to them to send.
pub struct Pair {
    /// The server, at the near end of the wire.
    pub server: Game,
    /// The client, at the far end.
    pub client: Game,
    /// The stream.
    pub wire: Wire,
    /// Packets that the server has accepted for the client.
    pub to_client: Vec<Vec<u8>>,
    /// Packets that the client has accepted.
    pub to_server: Vec<Vec<u8>>,
}

impl Pair {
    /// A client that has begun to connect to a server, with TLS between them or without.
    #[must_use]
    pub fn new(config: &ConnectionConfig, is_secure: bool) -> Self {
        let clock = Instant::now();
        let wire = Wire::default();
        let (mut server, mut client) = (Game::new(clock), Game::new(clock));
        server.peer.config = config.clone();
        client.peer.config = config.clone();
        let tls = is_secure.then(identity::server_tls);
        server.peer.create_server(0, "127.0.0.1", tls, clock).unwrap();
        server.peer.accept(wire.near(1), clock).unwrap();
        let scheme = if is_secure { "wss" } else { "ws" };
        let url = format!("{scheme}://{}/", identity::HOST);
        let options = || Ok(identity::client_options());
        let target = Target::over(wire.far(2), &url, options).unwrap();
        client.peer.create_client(target, clock).unwrap();
        Self { server, client, wire, to_client: Vec::new(), to_server: Vec::new() }
    }

    /// The id of the client, if the server has announced it.
    #[must_use]
    pub fn id(&self) -> Option<i32> {
        self.server.known.first().copied()
    }

    /// Polls the server, in a new frame.
    pub fn poll_server(&mut self) {
        self.server.next_frame();
        self.server.poll();
    }

    /// Polls the client, in a new frame.
    pub fn poll_client(&mut self) {
        self.client.next_frame();
        self.client.poll();
    }

    /// Gives the server a packet for the client; whether it was accepted.
    pub fn put_to_client(&mut self, data: Vec<u8>) -> bool {
        let Some(id) = self.id() else { return false };
        self.server.peer.set_target(id);
        let is_put = self.server.peer.put_packet(&data).is_ok();
        if is_put {
            self.to_client.push(data);
        }
        is_put
    }

    /// Gives the client a packet; whether it was accepted.
    pub fn put_to_server(&mut self, data: Vec<u8>) -> bool {
        let is_put = self.client.peer.put_packet(&data).is_ok();
        if is_put {
            self.to_server.push(data);
        }
        is_put
    }

    /// Packets that the client has taken.
    #[must_use]
    pub fn taken_by_client(&self) -> &[Vec<u8>] {
        self.client.received_from(SERVER_ID)
    }

    /// Packets that the server has taken.
    #[must_use]
    pub fn taken_by_server(&self) -> &[Vec<u8>] {
        self.id().map_or(&[], |id| self.server.received_from(id))
    }

    /// Polls both and takes all packets, until nothing happens any more.
    ///
    /// # Panics
    /// When that does not come.
    pub fn settle(&mut self) {
        // Pings and their answers show nothing of themselves: now all that are there are through
        // before it counts as quiet.
        for game in [&mut self.server, &mut self.client] {
            game.peer.budget.frames = game.peer.budget.frames.max(MANY_FRAMES);
        }
        let mut quiet = 0;
        let mut last = 0;
        for _ in 0..10_000 {
            self.poll_server();
            self.poll_client();
            while self.server.take() {}
            while self.client.take() {}
            let packets = self.taken_by_client().len() + self.taken_by_server().len();
            let sum = packets + self.wire.traffic();
            quiet = if sum == last { quiet + 1 } else { 0 };
            last = sum;
            // A fault that is still to come takes a poll, too.
            if quiet == 8 {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// Whether both take the other for connected.
    #[must_use]
    pub fn is_up(&self) -> bool {
        let connection = self.id().and_then(|id| self.server.peer.connection(id));
        let is_open = connection.is_some_and(|it| it.borrow().state() == State::Open);
        is_open && self.client.peer.status() == Status::Connected
    }

    /// Whether neither knows of the other any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.server.present.is_empty() && self.client.peer.status() == Status::Disconnected
    }

    /// Checks that nothing came that was not sent, twice, or in another order; and that nothing is
    /// missing while both are connected.
    ///
    /// # Panics
    /// When it is not so.
    pub fn check(&self) {
        for (taken, given) in
            [(self.taken_by_client(), &self.to_client), (self.taken_by_server(), &self.to_server)]
        {
            assert!(given.starts_with(taken), "{taken:?} of {given:?}");
            assert!(!self.is_up() || taken.len() == given.len(), "packets are missing");
        }
    }
}
