//! Asking the owner of the server about those who want in.

use std::collections::HashMap;
use std::time::Instant;

use godot::classes::object::ConnectFlags;
use godot::prelude::*;
use mio_websocket_core::error::Error;

use super::{MioWebSocketMultiplayerPeer, accessors};
use crate::convert::peer_id;
use crate::request::MioWebSocketRequest;

/// So many requests of clients that are not peers, and those that are over are looked for.
const MANY: usize = 16;

accessors!(
    get_admission_callback, set_admission_callback;
);

/// Who is asked, and about whom.
pub(super) struct Requests {
    callback: Callable,
    /// It has not been called yet.
    is_new: bool,
    /// Of clients that are not peers yet, by the number of their connection.
    newcomers: HashMap<u64, Gd<MioWebSocketRequest>>,
    /// How many of them there may be before those that are over are looked for.
    most: usize,
    /// Of peers.
    peers: HashMap<i32, Gd<MioWebSocketRequest>>,
}

impl Default for Requests {
    fn default() -> Self {
        let (newcomers, peers) = (HashMap::new(), HashMap::new());
        Self { callback: Callable::invalid(), is_new: false, newcomers, most: MANY, peers }
    }
}

impl Requests {
    /// Keeps a request for when its client is a peer. Those that are over, for which nobody will ask,
    /// now and then.
    fn keep(
        &mut self,
        serial: u64,
        request: Gd<MioWebSocketRequest>,
    ) -> Vec<Gd<MioWebSocketRequest>> {
        let mut over = Vec::new();
        if self.newcomers.len() >= self.most {
            let is_over = |_: &u64, request: &mut Gd<MioWebSocketRequest>| request.bind().is_over();
            over.extend(self.newcomers.extract_if(is_over).map(|(_, request)| request));
            self.most = MANY.max(2 * self.newcomers.len());
        }
        over.extend(self.newcomers.insert(serial, request));
        over
    }
}

#[godot_api(secondary)]
impl MioWebSocketMultiplayerPeer {
    #[func]
    pub(super) fn get_admission_callback(&self) -> Callable {
        self.requests.callback.clone()
    }

    #[func]
    pub(super) fn set_admission_callback(&mut self, callback: Callable) {
        self.peer.get_mut().admission.asks_owner = !callback.is_null();
        self.requests.is_new = true;
        let former = std::mem::replace(&mut self.requests.callback, callback);
        self.let_go(former);
    }

    /// What a peer asked for when it came: the object that [member admission_callback] got, with the
    /// metadata that it was given, as long as the peer is connected. `null` if there was no callback
    /// then, because nothing is kept without one, and for an id that is not connected.
    #[func]
    fn get_peer_request(&mut self, id: i64) -> Option<Gd<MioWebSocketRequest>> {
        let id = peer_id(id);
        if self.peer.get_mut().connection(id).is_none() {
            self.answer_to("get_peer_request", Err(Error::UnknownPeer(id)));
            return None;
        }
        self.requests.peers.get(&id).cloned()
    }
}

/// Calls `callback` with `request`. The engine says in the log when it cannot be called so, which it
/// does for signals only; once is enough.
fn emit_to(callback: &Callable, request: &Gd<MioWebSocketRequest>) {
    const SIGNAL: &str = "_asked";
    let mut emitter = request.clone();
    emitter.add_user_signal(SIGNAL);
    emitter.connect_flags(SIGNAL, callback, ConnectFlags::ONE_SHOT);
    emitter.emit_signal(SIGNAL, &[request.to_variant()]);
}

impl MioWebSocketMultiplayerPeer {
    /// Asks the owner about a client, with nothing borrowed: it may answer, poll, close, start anew.
    pub(super) fn ask(&mut self, serial: u64) {
        let Some(request) = self.peer.get_mut().take_request(serial) else {
            return;
        };
        let callback = self.requests.callback.clone();
        if callback.is_null() {
            // Nobody wants to be asked any more.
            let _ = request.accept(&[], "", Instant::now());
            return;
        }
        if !callback.is_valid() {
            let _ = request.reject(503, "");
            let text = "admission_callback cannot be called any more, so a client is sent away";
            self.peer.get_mut().note_error(Instant::now(), text);
            return;
        }
        let request = MioWebSocketRequest::of(request);
        let over = self.requests.keep(serial, request.clone());
        let is_new = std::mem::take(&mut self.requests.is_new);
        let _unbound = self.base_mut();
        if is_new {
            emit_to(&callback, &request);
        } else {
            callback.call(&[request.to_variant()]);
        }
        drop((callback, request, over));
    }

    /// The client of a request has become a peer.
    pub(super) fn assign_request(&mut self, id: i32) {
        if self.requests.newcomers.is_empty() {
            return;
        }
        let serial = self.peer.get_mut().connection(id).map(|known| known.borrow().serial());
        let request = serial.and_then(|serial| self.requests.newcomers.remove(&serial));
        self.requests.peers.extend(request.map(|request| (id, request)));
    }

    /// Lets go of the request of a peer that has gone.
    pub(super) fn forget_request(&mut self, id: i32) {
        if self.requests.peers.contains_key(&id) && self.peer.get_mut().connection(id).is_none() {
            let request = self.requests.peers.remove(&id);
            self.let_go(request);
        }
    }

    /// Lets go of all requests: the session has ended.
    pub(super) fn forget_requests(&mut self) {
        let newcomers = std::mem::take(&mut self.requests.newcomers);
        let peers = std::mem::take(&mut self.requests.peers);
        self.let_go((newcomers, peers));
    }
}
