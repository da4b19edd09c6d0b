//! From core's events to signals.

use godot::prelude::*;
use mio_websocket_core::multiplayer::Event;

use super::MioWebSocketMultiplayerPeer;
use crate::log;

impl MioWebSocketMultiplayerPeer {
    /// Does what emits signals. A handler may drop the last reference to this object, which must
    /// not be freed while it is bound: then it is freed at the end of the frame.
    pub(super) fn emitting(&mut self, emit: impl FnOnce(&mut Self)) {
        let mut keep = self.to_gd();
        emit(self);
        if keep.get_reference_count() == 1 {
            // As a closure would, the argument keeps it; but no code of a library that may be loaded
            // anew meanwhile.
            let itself = keep.to_variant();
            keep.call_deferred("_release", &[itself]);
        }
    }

    /// Signals what a poll has brought, one by one and with nothing borrowed: a handler may send,
    /// take packets, poll, disconnect, close, start anew.
    pub(super) fn signal_events(&mut self) {
        loop {
            self.print_notices();
            let Some(event) = self.peer.get_mut().next_event() else {
                return;
            };
            match event.event {
                Event::ClientRequest(serial) => self.ask(serial),
                Event::PeerConnected(id) => {
                    self.assign_request(id);
                    self.signals().peer_connected().emit(i64::from(id));
                }
                Event::PeerDisconnected(id) => {
                    self.signal_ending(id);
                    // The handler of that may have ended the session, or forced the peer out.
                    if self.peer.get_mut().is_due(&event) {
                        self.signals().peer_disconnected().emit(i64::from(id));
                    }
                }
                Event::Drained => self.signals().drained().emit(),
            }
            self.peer.get_mut().finish_event(event);
            if let Event::PeerDisconnected(id) = event.event {
                self.forget_view(id);
                self.forget_request(id);
            }
        }
    }

    pub(super) fn print_notices(&mut self) {
        while let Some(notice) = self.peer.get_mut().next_notice() {
            // A script logger may call back into this object.
            let _unbound = self.base_mut();
            log::print(&notice);
        }
    }
}
