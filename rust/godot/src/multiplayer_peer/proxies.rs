//! Proxies that players come through.

use godot::prelude::*;
use mio_websocket_core::config::ProxyProtocol;
use mio_websocket_core::error::Error;
use mio_websocket_core::proxy;

use super::{MioWebSocketMultiplayerPeer, accessors};
use crate::convert::{string_array, strings, whole};

accessors!(
    get_trusted_proxies, set_trusted_proxies;
    get_proxy_header, set_proxy_header;
    get_proxy_protocol, set_proxy_protocol;
);

#[godot_api(secondary)]
impl MioWebSocketMultiplayerPeer {
    /// No connection begins with a PROXY header.
    #[constant]
    const PROXY_PROTOCOL_OFF: i64 = ProxyProtocol::Off as i64;
    /// Connections from [member trusted_proxies] may begin with a PROXY header. Others may come
    /// without one, and then have the address that they come from.
    #[constant]
    const PROXY_PROTOCOL_OPTIONAL: i64 = ProxyProtocol::Optional as i64;
    /// Connections come from [member trusted_proxies] and begin with a PROXY header. Others are
    /// ended at once.
    #[constant]
    const PROXY_PROTOCOL_REQUIRED: i64 = ProxyProtocol::Required as i64;

    #[func]
    pub(super) fn get_trusted_proxies(&self) -> PackedStringArray {
        string_array(&proxy::trusted(&self.peer.borrow().admission.proxy))
    }

    #[func]
    pub(super) fn set_trusted_proxies(&mut self, proxies: PackedStringArray) {
        let config = &mut self.peer.get_mut().admission.proxy;
        let set = proxy::set_trusted(config, &strings(&proxies));
        self.answer_to("trusted_proxies", set.map_err(Error::from));
    }

    #[func]
    pub(super) fn get_proxy_header(&self) -> GString {
        GString::from(&self.peer.borrow().admission.proxy.header)
    }

    #[func]
    pub(super) fn set_proxy_header(&mut self, name: GString) {
        let config = &mut self.peer.get_mut().admission.proxy;
        let set = proxy::set_header(config, &name.to_string());
        self.answer_to("proxy_header", set.map_err(Error::from));
    }

    #[func]
    pub(super) fn get_proxy_protocol(&self) -> i64 {
        self.peer.borrow().admission.proxy.protocol as i64
    }

    #[func]
    pub(super) fn set_proxy_protocol(&mut self, protocol: i64) {
        let protocol = whole(protocol, Self::PROXY_PROTOCOL_OFF..=Self::PROXY_PROTOCOL_REQUIRED);
        self.set("proxy_protocol", protocol, |peer, value: i64| {
            peer.admission.proxy.protocol = match value {
                Self::PROXY_PROTOCOL_REQUIRED => ProxyProtocol::Required,
                Self::PROXY_PROTOCOL_OPTIONAL => ProxyProtocol::Optional,
                _ => ProxyProtocol::Off,
            };
        });
    }
}
