//! Names resolved by the engine's own resolver, which does not block and keeps a cache.

use std::net::IpAddr;

use godot::builtin::GString;
use godot::classes::Ip;
use godot::classes::ip::{ResolverStatus, Type};
use godot::obj::Singleton;
use mio_websocket_core::dial::Resolve;

/// A name in the engine's queue.
pub(crate) struct EngineResolver {
    item: i32,
}

impl EngineResolver {
    /// Queues `host`.
    pub(crate) fn boxed(host: &str) -> Box<dyn Resolve> {
        let item = Ip::singleton()
            .resolve_hostname_queue_item_ex(&GString::from(host))
            .ip_type(Type::ANY)
            .done();
        Box::new(Self { item })
    }
}

impl Resolve for EngineResolver {
    fn poll(&mut self) -> Option<Result<Vec<IpAddr>, String>> {
        // The queue has a fixed number of places.
        if self.item < 0 {
            return Some(Err("the engine's queue of names is full".into()));
        }
        let ip = Ip::singleton();
        match ip.get_resolve_item_status(self.item) {
            ResolverStatus::WAITING => None,
            ResolverStatus::DONE => {
                let found = ip.get_resolve_item_addresses(self.item);
                let texts = found.iter_shared().map(|address| address.to_string());
                Some(Ok(texts.filter_map(|text| text.parse().ok()).collect()))
            }
            _ => Some(Err("no such name".into())),
        }
    }
}

impl Drop for EngineResolver {
    fn drop(&mut self) {
        if self.item >= 0 {
            Ip::singleton().erase_resolve_item(self.item);
        }
    }
}
