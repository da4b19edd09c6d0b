//! Starting a session, and whom it is with.

use std::rc::Rc;
use std::time::Instant;

use godot::global::Error as GodotError;
use godot::prelude::*;
use mio_websocket_core::connection::Target;
use mio_websocket_core::error::Error;
use mio_websocket_core::multiplayer::Status;
use mio_websocket_core::transport::address_text;

use super::MioWebSocketMultiplayerPeer;
use crate::convert::{self, peer_id};
use crate::resolver::EngineResolver;
use crate::tls_options::OptionalTls;
use crate::web_socket_peer::{MioWebSocketPeer, OptionalPeer};

#[godot_api(secondary)]
impl MioWebSocketMultiplayerPeer {
    /// Starts to connect to [param url], such as `"ws://example.com:9080/path"`. The state becomes
    /// [constant MultiplayerPeer.CONNECTION_CONNECTING]; when the server has given an id,
    /// [signal MultiplayerPeer.peer_connected] is emitted with 1. When nobody answers within
    /// [member handshake_timeout] the state goes back without a signal, and
    /// [method get_connection_error] says why.
    ///
    /// [param tls_client_options] say whom to trust for `wss://`; without them the project's or the
    /// system's certificates are trusted, and the server's must be for the host of the URL.
    ///
    /// Returns [constant ERR_ALREADY_IN_USE] when active, and [constant ERR_INVALID_PARAMETER] for
    /// a URL, header or TLS option that cannot be used.
    #[func]
    fn create_client(
        &mut self,
        url: GString,
        #[opt(default = OptionalTls(None))] tls_client_options: OptionalTls,
    ) -> GodotError {
        let peer = self.peer.get_mut();
        let created = if peer.status() != Status::Disconnected {
            Err(Error::AlreadyInUse)
        } else if tls_client_options.is_for_servers() {
            Err(Error::TlsSide)
        } else {
            let tls = || tls_client_options.for_client(&self.tls_ca_bundle.to_string());
            Target::new(&url.to_string(), EngineResolver::boxed, tls)
                .and_then(|target| peer.create_client(target, Instant::now()))
        };
        self.update_monitors();
        self.answer("create_client", created)
    }

    /// Listens on [param port] (0: chosen by the system, see [method get_local_port]) of
    /// [param bind_address]: an IP address, or `"*"` for all addresses, IPv4 and IPv6. The state
    /// becomes [constant MultiplayerPeer.CONNECTION_CONNECTED] at once. With
    /// [param tls_server_options] clients must come with `wss://`.
    ///
    /// Returns [constant ERR_ALREADY_IN_USE] when active or when the address is taken, and
    /// [constant ERR_INVALID_PARAMETER] for a port, address, header, certificate or key that cannot
    /// be used.
    #[func]
    fn create_server(
        &mut self,
        port: i64,
        #[opt(default = "*")] bind_address: GString,
        #[opt(default = OptionalTls(None))] tls_server_options: OptionalTls,
    ) -> GodotError {
        let peer = self.peer.get_mut();
        let created = if peer.status() != Status::Disconnected {
            Err(Error::AlreadyInUse)
        } else if tls_server_options.is_for_clients() {
            Err(Error::TlsSide)
        } else {
            let chain = self.tls_certificate_chain.to_string();
            let key = self.tls_private_key.to_string();
            tls_server_options.for_server(&chain, &key).map_err(Error::from).and_then(|tls| {
                peer.create_server(port, &bind_address.to_string(), tls, Instant::now())
            })
        };
        if created.is_ok() {
            self.tls_server_options = tls_server_options;
        }
        self.update_monitors();
        self.answer("create_server", created)
    }

    /// The connection to a peer: a live view, the same object each time. On a client only the
    /// server, 1, is known. `null` for an id that is not connected.
    #[func]
    fn get_peer(&mut self, peer_id: i64) -> OptionalPeer {
        let peer_id = convert::peer_id(peer_id);
        let peer = self.peer.get_mut();
        let Some(connection) = peer.connection(peer_id).cloned() else {
            self.answer_to("get_peer", Err(Error::UnknownPeer(peer_id)));
            return OptionalPeer(None);
        };
        if let Some(view) = self.views.get(&peer_id)
            && view.bind().connection().is_some_and(|own| Rc::ptr_eq(own, &connection))
        {
            return OptionalPeer(Some(view.clone()));
        }
        let view = peer.view(peer_id).map(MioWebSocketPeer::of);
        let former = view.clone().and_then(|view| self.views.insert(peer_id, view));
        self.let_go(former);
        OptionalPeer(view)
    }

    /// The ids of all peers that are connected, in the order in which they came; on a client the
    /// server's, 1, once it is connected. [method MultiplayerAPI.get_peers] knows only those who
    /// have been authenticated, and on a client also the other clients.
    #[func]
    fn get_peer_ids(&self) -> PackedInt32Array {
        self.peer.borrow().peer_ids().into()
    }

    /// The IP address of a peer; behind a proxy of [member trusted_proxies] the player's, not the
    /// proxy's. IPv6 addresses are not shortened (`"0:0:0:0:0:0:0:1"`). Empty for
    /// an id that is not connected.
    #[func]
    fn get_peer_address(&mut self, id: i64) -> GString {
        let id = peer_id(id);
        match self.peer.get_mut().connection(id) {
            Some(connection) => {
                let remote = connection.borrow().remote();
                remote.map(|remote| GString::from(&address_text(remote.ip()))).unwrap_or_default()
            }
            None => {
                self.answer_to("get_peer_address", Err(Error::UnknownPeer(id)));
                GString::new()
            }
        }
    }

    /// The TCP port of a peer; behind a proxy of [member trusted_proxies] the player's, or 0 if the
    /// proxy does not tell it. 0 for an id that is not connected.
    #[func]
    fn get_peer_port(&mut self, id: i64) -> i64 {
        let id = peer_id(id);
        match self.peer.get_mut().connection(id) {
            Some(connection) => {
                connection.borrow().remote().map_or(0, |remote| i64::from(remote.port()))
            }
            None => {
                self.answer_to("get_peer_port", Err(Error::UnknownPeer(id)));
                0
            }
        }
    }

    /// The port that this server listens on, also when [method create_server] was given 0. Returns
    /// 0 unless this is a server.
    #[func]
    fn get_local_port(&self) -> i64 {
        i64::from(self.peer.borrow().local_port())
    }
}
