//! Another certificate for a server that goes on.

use std::time::Instant;

use godot::global::Error as GodotError;
use godot::prelude::*;
use mio_websocket_core::error::Error;
use mio_websocket_core::tls::{ServerTls, TlsError};

use super::{MioWebSocketMultiplayerPeer, accessors};
use crate::convert::time;
use crate::tls_options::{OptionalTls, Source, has_tls13};

accessors!(get_tls_reload_interval, set_tls_reload_interval;);

#[godot_api(secondary)]
impl MioWebSocketMultiplayerPeer {
    /// Shows those who come from now on another certificate. Players who are connected notice
    /// nothing, and handshakes that have begun go on. Sessions of the earlier certificate are not
    /// resumed, so that everybody who comes back sees the new one.
    ///
    /// Without [param tls_server_options] the files are read again that the certificate and the key
    /// came from: those of [member tls_certificate_chain] and [member tls_private_key], or, where a
    /// property is empty, the file from which the object in the [TLSOptions] was loaded (an object
    /// without a file is read itself). With [param tls_server_options] these take the place of
    /// those that [method create_server] got; as there, a property that is not empty comes before
    /// them.
    /// ```gdscript
    /// peer.tls_certificate_chain = "user://fullchain.pem"
    /// peer.tls_private_key = "user://privkey.pem"
    /// peer.create_server(9443)
    /// # When the files have been renewed:
    /// peer.reload_tls()
    /// # Or the peer finds that out:
    /// peer.tls_reload_interval = 60.0
    /// ```
    /// Returns [constant ERR_UNCONFIGURED] unless this is a server that speaks TLS, and
    /// [constant ERR_INVALID_PARAMETER] for a certificate or key that cannot be read or used, or that do not
    /// belong together: then the one in use stays, and the log says what is wrong.
    #[func]
    fn reload_tls(
        &mut self,
        #[opt(default = OptionalTls(None))] tls_server_options: OptionalTls,
    ) -> GodotError {
        let reloaded = if tls_server_options.is_for_clients() {
            Err(Error::TlsSide)
        } else {
            self.reload(tls_server_options)
        };
        self.answer("reload_tls", reloaded)
    }

    #[func]
    pub(super) fn get_tls_reload_interval(&self) -> f64 {
        self.peer.borrow().tls_reload_interval().as_secs_f64()
    }

    #[func]
    pub(super) fn set_tls_reload_interval(&mut self, interval: f64) {
        self.set("tls_reload_interval", time(interval), |peer, value| {
            peer.set_tls_reload_interval(value)
        });
    }
}

impl MioWebSocketMultiplayerPeer {
    fn reload(&mut self, given: OptionalTls) -> Result<(), Error> {
        self.peer.get_mut().check_tls()?;
        let (options, source) = match given.0 {
            Some(_) => (given, Source::Objects),
            None => (self.tls_server_options.clone(), Source::Files),
        };
        let (chain, key) = self.tls_pair(&options, source)?;
        let tls = ServerTls::new(&chain, &key, has_tls13())?;
        self.peer.get_mut().reload_tls(tls)?;
        self.tls_server_options = options;
        Ok(())
    }

    /// Looks whether the files hold another certificate.
    pub(super) fn look_at_tls(&mut self, now: Instant) {
        let read = self.tls_pair(&self.tls_server_options, Source::Files);
        self.peer.get_mut().look_at_tls(read, has_tls13(), now);
    }

    /// What [member tls_certificate_chain], [member tls_private_key] and `options` say now.
    fn tls_pair(
        &self,
        options: &OptionalTls,
        source: Source,
    ) -> Result<(String, String), TlsError> {
        let (chain, key) = (&self.tls_certificate_chain, &self.tls_private_key);
        options.pair(&chain.to_string(), &key.to_string(), source)
    }
}
