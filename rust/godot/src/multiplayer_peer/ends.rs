//! Ends with a code and a reason, and why a client has no connection.

use godot::global::Error as GodotError;
use godot::prelude::*;

use super::{MioWebSocketMultiplayerPeer, accessors};
use crate::convert::{peer_id, time};

accessors!(
    get_resolve_timeout, set_resolve_timeout;
    get_connect_timeout, set_connect_timeout;
    get_tls_timeout, set_tls_timeout;
    get_upgrade_timeout, set_upgrade_timeout;
);

#[godot_api(secondary)]
impl MioWebSocketMultiplayerPeer {
    /// Disconnects the peer [param id], as [method MultiplayerPeer.disconnect_peer] does, and tells
    /// it why: packets that were put before still arrive, then it gets [param code] and
    /// [param reason] in its close frame, and the next poll emits [signal peer_closed] and
    /// [signal MultiplayerPeer.peer_disconnected] here. A client can only close its server, 1.
    /// ```gdscript
    /// for id in peer.get_peer_ids():
    ///     if peer.get_peer_address(id) == "203.0.113.7":
    ///         peer.close_peer(id, 4001, "Banned until Friday")
    /// ```
    /// Codes of your own are 4000 to 4999. 1000 is a normal end, 1001 a server that stops, 1008 a
    /// broken rule of the game; 3000 to 3999 are registered by libraries. [param reason] is cut at
    /// 123 bytes of UTF-8, which is all that a close frame holds. A peer that is being closed
    /// already keeps the first code.
    ///
    /// Returns [constant ERR_INVALID_PARAMETER] for a code that must not be sent (all but 1000 to
    /// 1003, 1007 to 1014 and 3000 to 4999), and for an id that is not connected.
    #[func]
    fn close_peer(
        &mut self,
        id: i64,
        #[opt(default = 1000)] code: i64,
        #[opt(default = "")] reason: GString,
    ) -> GodotError {
        let result = self.peer.get_mut().close_peer(peer_id(id), code, &reason.to_string());
        self.answer("close_peer", result)
    }

    /// Why this client failed to connect, or lost its server without a close frame; empty if it has
    /// not. It can be asked for from [signal peer_closed] or the poll in which the state goes back to
    /// [constant MultiplayerPeer.CONNECTION_DISCONNECTED] on, until [method create_client] or
    /// [method create_server] is called again.
    /// ```gdscript
    /// if peer.get_connection_status() == MultiplayerPeer.CONNECTION_DISCONNECTED:
    ///     var error := peer.get_connection_error()
    ///     if error.get("status") == 403:
    ///         print("Not let in: ", error.body)
    ///     elif not error.is_empty():
    ///         print("No connection (%s): %s" % [error.phase, error.message])
    /// ```
    /// - `phase`: what the client was doing: `"resolve"` the name, `"connect"`, the `"tls"`
    ///   handshake, the `"upgrade"`, waiting for its `"id"`, or `"open"`, when it was connected.
    /// - `message`: the cause, in words for a log.
    /// - `status`: the HTTP status of an answer that refused the upgrade, such as 403; else 0.
    /// - `body`: the text of that answer, at most 4096 bytes. It is awaited for as long as the answer
    ///   says that it is, but not more than a quarter of a second. It comes from the server: do not
    ///   trust it.
    #[func]
    fn get_connection_error(&self) -> VarDictionary {
        let peer = self.peer.borrow();
        let Some(error) = peer.connection_error() else {
            return VarDictionary::new();
        };
        vdict! {
            "phase" => error.phase.name(),
            "message" => error.message.as_str(),
            "status" => i64::from(error.status),
            "body" => error.body.as_str(),
        }
    }

    #[func]
    pub(super) fn get_resolve_timeout(&self) -> f64 {
        self.peer.borrow().phase_timeouts.resolve.as_secs_f64()
    }

    #[func]
    pub(super) fn set_resolve_timeout(&mut self, timeout: f64) {
        self.set("resolve_timeout", time(timeout), |peer, value| {
            peer.phase_timeouts.resolve = value
        });
    }

    #[func]
    pub(super) fn get_connect_timeout(&self) -> f64 {
        self.peer.borrow().phase_timeouts.connect.as_secs_f64()
    }

    #[func]
    pub(super) fn set_connect_timeout(&mut self, timeout: f64) {
        self.set("connect_timeout", time(timeout), |peer, value| {
            peer.phase_timeouts.connect = value
        });
    }

    #[func]
    pub(super) fn get_tls_timeout(&self) -> f64 {
        self.peer.borrow().phase_timeouts.tls.as_secs_f64()
    }

    #[func]
    pub(super) fn set_tls_timeout(&mut self, timeout: f64) {
        self.set("tls_timeout", time(timeout), |peer, value| peer.phase_timeouts.tls = value);
    }

    #[func]
    pub(super) fn get_upgrade_timeout(&self) -> f64 {
        self.peer.borrow().phase_timeouts.upgrade.as_secs_f64()
    }

    #[func]
    pub(super) fn set_upgrade_timeout(&mut self, timeout: f64) {
        self.set("upgrade_timeout", time(timeout), |peer, value| {
            peer.phase_timeouts.upgrade = value
        });
    }
}

impl MioWebSocketMultiplayerPeer {
    /// Signals how the connection to a peer has ended.
    pub(super) fn signal_ending(&mut self, id: i32) {
        if let Some(ending) = self.peer.get_mut().ending(id) {
            let code = i64::from(ending.code);
            let reason = GString::from(&ending.reason);
            self.signals().peer_closed().emit(i64::from(id), code, &reason, ending.was_clean);
        }
    }
}
