//! The end of a server that its players know of beforehand.

use std::time::Instant;

use godot::global::Error as GodotError;
use godot::prelude::*;

use super::MioWebSocketMultiplayerPeer;

#[godot_api(secondary)]
impl MioWebSocketMultiplayerPeer {
    /// Empties this server, so that it can be stopped without cutting players off. From now on nobody
    /// is let in: newcomers, and those whose handshake is under way, are answered with HTTP status
    /// 503 and a `Retry-After` of the seconds that are left, at least 1; also with
    /// [member MultiplayerPeer.refuse_new_connections]. [signal drain_started] is emitted at once.
    /// Players can play on and leave. Whoever is still there after [param seconds] (0: the next poll, which
    /// is too soon for clients of [WebSocketMultiplayerPeer] to hear of it: that class loses
    /// packets that come together with a close) is closed with [param code] and [param reason], and
    /// [signal MultiplayerPeer.peer_disconnected] follows. [signal drained] is emitted when nobody
    /// is left; one who does not answer the close is given up within a few seconds, so that it
    /// comes in any case.
    /// ```gdscript
    /// @rpc
    /// func going_down(seconds: float) -> void:
    ///     print("The server restarts in %d seconds." % seconds)
    ///
    /// func shut_down() -> void:
    ///     peer.drain_started.connect(func(seconds: float) -> void: going_down.rpc(seconds))
    ///     peer.drained.connect(get_tree().quit)
    ///     peer.begin_drain(30.0, 1001, "restart")
    /// ```
    /// A second call takes the place of the first. [method cancel_drain] ends a drain, as does
    /// [method MultiplayerPeer.close]. A client knows from [param code] whether to come back: 1001
    /// says that the server goes away, codes from 4000 to 4999 what the game wants.
    /// [WebSocketMultiplayerPeer] does not know 1012 to 1014 and sees 1002 instead.
    ///
    /// Returns [constant ERR_UNCONFIGURED] unless this is a server, and
    /// [constant ERR_INVALID_PARAMETER] when [param seconds] is negative, infinite or not a number,
    /// or when [param code] is not one of 1000-1003, 1007-1014 and 3000-4999; a drain that is under
    /// way then goes on. [param reason] is cut to 123 bytes of UTF-8.
    #[func]
    fn begin_drain(
        &mut self,
        seconds: f64,
        #[opt(default = 1001)] code: i64,
        #[opt(default = "")] reason: GString,
    ) -> GodotError {
        let peer = self.peer.get_mut();
        let begun = peer.begin_drain(seconds, code, &reason.to_string(), Instant::now());
        if begun.is_ok() {
            self.emitting(|this| this.signals().drain_started().emit(seconds));
        }
        self.answer("begin_drain", begun)
    }

    /// Lets players in again after [method begin_drain]. Those who have been closed go all the
    /// same. Does nothing unless [method is_draining].
    #[func]
    fn cancel_drain(&mut self) {
        self.peer.get_mut().cancel_drain();
    }

    /// Whether [method begin_drain] keeps newcomers out; also after [signal drained].
    #[func]
    fn is_draining(&self) -> bool {
        self.peer.borrow().is_draining()
    }
}
