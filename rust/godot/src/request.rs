//! `MioWebSocketRequest`: what a client asks for, and how a server answers it.

use std::time::Instant;

use godot::global::Error as GodotError;
use godot::prelude::*;
use mio_websocket_core::connection::ClientRequest;
use mio_websocket_core::error::Error;
use mio_websocket_core::transport::address_text;

use crate::convert::{error_code, string_array, strings};

/// A client that asks to be let in: what its request says, and the answer.
///
/// [member MioWebSocketMultiplayerPeer.admission_callback] gets one for each client that comes to a
/// server. It answers with [method accept] or [method reject], at once or later; whoever is not
/// answered within [member MioWebSocketMultiplayerPeer.handshake_timeout] is sent away with HTTP status
/// 503. Keep the object to answer later:
/// ```gdscript
/// func _ready() -> void:
///     peer.admission_callback = _on_request
///     peer.create_server(9080)
///
/// func _on_request(request: MioWebSocketRequest) -> void:
///     var token: String = request.get_query().get("token", "")
///     if token.is_empty():
///         request.reject(401, "a token is needed")
///         return
///     var user: String = await name_of(token)
///     if user.is_empty():
///         request.reject(403, "unknown token")
///     else:
///         request.set_meta("user", user)
///         request.accept()
///
/// # In place of a request to whoever knows.
/// func name_of(token: String) -> String:
///     await get_tree().create_timer(0.1).timeout
///     return "Ann" if token == "letmein" else ""
/// ```
/// [method MioWebSocketMultiplayerPeer.get_peer_request] returns the same object, with the metadata
/// set here, while the peer is connected.
///
/// Clients show who they are in four ways. A game that is no web page can send any header:
/// `"Authorization: Bearer …"` in [member MioWebSocketMultiplayerPeer.handshake_headers], and
/// `get_header("authorization")` here. A browser sends none of its own; from there a token comes in
/// the query of the URL ([method get_query]), in a cookie that the site has set
/// ([method get_cookies]), or as a sub-protocol ([method get_protocols]). A URL may be kept in the logs
/// of proxies, so a token in a query should be valid once or for seconds. Cookies are sent by any
/// page: use [member MioWebSocketMultiplayerPeer.allowed_origins] with them. Nothing of a request is
/// ever written to the log from here.
///
/// One that a script makes, or that was there when the extension was loaded anew in the editor, is
/// nobody's: it is empty and cannot be answered.
#[derive(GodotClass)]
#[class(tool, init, base = RefCounted)]
pub(crate) struct MioWebSocketRequest {
    request: ClientRequest,
    base: Base<RefCounted>,
}

#[godot_api]
impl MioWebSocketRequest {
    /// The path of the URL, such as `"/play"`, as it was sent: percent-encoding is not decoded.
    #[func]
    fn get_path(&self) -> GString {
        GString::from(self.request.request.path())
    }

    /// The query of the URL by name, as strings. `%xx` and `+` are decoded; a name without `=` has an
    /// empty value; of several with one name the last counts. See [method get_query_string] for what
    /// was sent.
    #[func]
    fn get_query(&self) -> VarDictionary {
        dictionary(self.request.request.query())
    }

    /// The query of the URL as it was sent, without the `?`.
    #[func]
    fn get_query_string(&self) -> GString {
        GString::from(self.request.request.query_string())
    }

    /// All headers by name, as strings. Names are in lower case; the values of several lines with one
    /// name are joined with `", "`, those of cookies with `"; "`.
    #[func]
    fn get_headers(&self) -> VarDictionary {
        dictionary(self.request.request.headers_by_name())
    }

    /// The value of a header, whatever the case of [param name]; empty if there is none. Several
    /// lines are joined as in [method get_headers].
    #[func]
    fn get_header(&self, name: GString) -> GString {
        let value = self.request.request.joined_header(&name.to_string());
        value.map(|value| GString::from(&*value)).unwrap_or_default()
    }

    /// The cookies by name, as strings and as they were sent: nothing is decoded, quotes stay. Of
    /// several with one name the first counts, which browsers send for the longest path.
    #[func]
    fn get_cookies(&self) -> VarDictionary {
        dictionary(self.request.request.cookies())
    }

    /// The origin of the web page that holds the game, such as `"https://example.com"`; empty for a
    /// client that is no browser. Only browsers can be trusted to tell the truth here.
    #[func]
    fn get_origin(&self) -> GString {
        GString::from(self.request.request.origin())
    }

    /// The sub-protocols that the client offers, in its order of preference.
    #[func]
    fn get_protocols(&self) -> PackedStringArray {
        string_array(&self.request.request.protocols)
    }

    /// The IP address that the client comes from, as
    /// [method MioWebSocketMultiplayerPeer.get_peer_address] has it: behind one of
    /// [member MioWebSocketMultiplayerPeer.trusted_proxies] the player's. Empty if it is not known.
    #[func]
    fn get_remote_address(&self) -> GString {
        let remote = self.request.remote;
        remote.map(|remote| GString::from(&address_text(remote.ip()))).unwrap_or_default()
    }

    /// The port that the client comes from; 0 if it is not known.
    #[func]
    fn get_remote_port(&self) -> i64 {
        self.request.remote.map_or(0, |remote| i64::from(remote.port()))
    }

    /// Whether the request came through TLS. Behind a proxy that ends TLS it has not.
    #[func]
    fn is_secure(&self) -> bool {
        self.request.is_secure
    }

    /// The version of TLS: `"TLSv1.2"` or `"TLSv1.3"`; empty without TLS, or if a [StreamPeerTLS]
    /// speaks it.
    #[func]
    fn get_tls_version(&self) -> GString {
        self.request.tls.as_ref().map(|tls| GString::from(tls.version)).unwrap_or_default()
    }

    /// The server's name that the client asked for in TLS (SNI), in lower case; empty without TLS, or
    /// if it came by IP address.
    #[func]
    fn get_server_name(&self) -> GString {
        let name = self.request.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        name.map(GString::from).unwrap_or_default()
    }

    /// Lets the client in. [signal MultiplayerPeer.peer_connected] is emitted in the next poll, if it
    /// has not left by then.
    ///
    /// [param extra_headers] are lines for the answer, such as `["Set-Cookie: session=…"]`, behind those
    /// of [member MioWebSocketMultiplayerPeer.handshake_headers]. [param protocol] is the sub-protocol to
    /// agree on, one of [method get_protocols]; without it, it is the first that is in
    /// [member MioWebSocketMultiplayerPeer.supported_protocols]. A browser that has offered some ends
    /// the connection if none is agreed on.
    ///
    /// Returns [constant ERR_INVALID_PARAMETER] for a header that is empty or has a line break, and
    /// for a sub-protocol that was not offered; then the client still waits. Returns
    /// [constant ERR_BUSY] if [member MioWebSocketMultiplayerPeer.max_clients] are in by now, because
    /// those who wait keep no place, or if the server drains; the client is told so. Returns
    /// [constant ERR_UNAVAILABLE] and does nothing unless [method is_pending].
    #[func]
    fn accept(
        &mut self,
        #[opt(default = &PackedStringArray::new())] extra_headers: PackedStringArray,
        #[opt(default = "")] protocol: GString,
    ) -> GodotError {
        let headers = strings(&extra_headers);
        let accepted = self.request.accept(&headers, &protocol.to_string(), Instant::now());
        self.answer("accept", accepted)
    }

    /// Sends the client away with an HTTP status, from 400 to 599, and [param reason] as the text of
    /// the answer; if that is empty, the text is what the status means. A browser shows neither to the
    /// page. Returns [constant ERR_INVALID_PARAMETER] for any other status; then the client still
    /// waits. Returns [constant ERR_UNAVAILABLE] and does nothing unless [method is_pending].
    #[func]
    fn reject(
        &mut self,
        #[opt(default = 403)] status: i64,
        #[opt(default = "")] reason: GString,
    ) -> GodotError {
        let result = self.request.reject(status, &reason.to_string());
        self.answer("reject", result)
    }

    /// Whether the client waits for an answer: it has had none, it has not left, and
    /// [member MioWebSocketMultiplayerPeer.handshake_timeout] is not over. All of that is found out
    /// while the server is polled.
    #[func]
    fn is_pending(&self) -> bool {
        self.request.is_pending()
    }
}

impl MioWebSocketRequest {
    pub(crate) fn of(request: ClientRequest) -> Gd<Self> {
        Gd::from_init_fn(|base| Self { request, base })
    }

    /// Whether the client has gone, or is being sent away.
    pub(crate) fn is_over(&self) -> bool {
        self.request.is_over()
    }

    /// The engine's code for a result. What is wrong with an argument goes to the log; that somebody
    /// has left, or that there is no place, is nobody's mistake.
    fn answer(&mut self, call: &str, result: Result<(), Error>) -> GodotError {
        let Err(error) = result else {
            return GodotError::OK;
        };
        if !matches!(error, Error::NotPending | Error::Full) {
            // A script logger may call back into this object.
            let _unbound = self.base_mut();
            godot_error!("Mio WebSocket: {call}: {error}");
        }
        error_code(&error)
    }
}

/// A dictionary of strings.
fn dictionary(entries: impl IntoIterator<Item = (String, String)>) -> VarDictionary {
    let entries = entries.into_iter();
    entries
        .map(|(name, value)| {
            (GString::from(&name).to_variant(), GString::from(&value).to_variant())
        })
        .collect()
}
