//! The HTTP endpoint for those who watch the server.

use godot::global::Error as GodotError;
use godot::prelude::*;

use super::MioWebSocketMultiplayerPeer;
use crate::convert::error_code;

#[godot_api(secondary)]
impl MioWebSocketMultiplayerPeer {
    /// Listens on [param port] (0: chosen by the system, see [method get_status_endpoint_port]) of
    /// [param bind_address], as in [method create_server], for machines that watch this server over
    /// plain HTTP: orchestrators, load balancers, Prometheus.
    ///
    /// `/healthz` is answered with 200 whenever this peer is polled: no answer in time means that
    /// the game hangs. `/readyz` is answered with 200 while players can join, and with 503 and the
    /// reason in words while not: there is no server, it is draining,
    /// [member MultiplayerPeer.refuse_new_connections] is set, or [member max_clients] are in.
    /// `/metrics` is what [method get_stats] knows in the text format of Prometheus, 0.0.4, with
    /// names that begin with `mio_websocket_`.
    ///
    /// Requests are answered in [method MultiplayerPeer.poll], so nobody can watch a peer that is
    /// not polled. The endpoint has nothing to do with [method create_server] and
    /// [method MultiplayerPeer.close]: it lives until [method close_status_endpoint], or until this
    /// object is freed. While it is neither server nor client, [SceneTree] does not poll it; a game
    /// that restarts its server and wants to be watched meanwhile polls it itself.
    ///
    /// Everybody who can reach the address can read it: there is no password and no TLS. Do not
    /// bind it to a public address; the default is this machine alone. At most 16 connections are
    /// held, each for 5 seconds at most, and they are no players: no limit and no count of the game
    /// knows them. Without an endpoint a poll costs no more than before, with one it costs a system
    /// call more.
    ///
    /// Returns [constant ERR_ALREADY_IN_USE] when there is a status endpoint already or when the
    /// address is taken, and [constant ERR_INVALID_PARAMETER] for a port or address that cannot be
    /// used.
    /// ```gdscript
    /// var peer := MioWebSocketMultiplayerPeer.new()
    /// peer.create_server(9080)
    /// peer.create_status_endpoint(9180)
    /// ```
    #[func]
    fn create_status_endpoint(
        &mut self,
        port: i64,
        #[opt(default = "127.0.0.1")] bind_address: GString,
    ) -> GodotError {
        let peer = self.peer.get_mut();
        match peer.create_status_endpoint(port, &bind_address.to_string()) {
            Ok(()) => GodotError::OK,
            Err(error) => {
                self.complain("create_status_endpoint", &error);
                error_code(&error)
            }
        }
    }

    /// Ends what [method create_status_endpoint] has begun. Without a status endpoint nothing
    /// happens.
    #[func]
    fn close_status_endpoint(&mut self) {
        self.peer.get_mut().close_status_endpoint();
    }

    /// The port of the status endpoint, also when [method create_status_endpoint] was given 0.
    /// Returns 0 without one.
    #[func]
    fn get_status_endpoint_port(&self) -> i64 {
        i64::from(self.peer.borrow().status_endpoint_port())
    }
}
