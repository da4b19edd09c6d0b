//! What a proxy says of a connection before the connection itself begins.

use bytes::{Buf, BytesMut};

use super::{Connection, Context, Stage};
use crate::admission::Proxied;
use crate::error::Failure;
use crate::proxy::ProxyFailure;
use crate::proxy::header::{self, Beginning};
use crate::tls::ServerTls;
use crate::upgrade::RequestReader;

impl Connection {
    /// Awaits a PROXY header before anything else.
    pub(crate) fn await_proxy(&mut self, proxied: Proxied) {
        self.stage = Stage::Proxied(Box::new(proxied));
    }

    /// Looks whether the header is complete, and if so goes on with what comes behind it.
    pub(super) fn read_proxy_header(&mut self, cx: &mut Context<'_>) {
        let Stage::Proxied(proxied) = &self.stage else {
            return;
        };
        let source = match header::read(&self.unread) {
            Ok(Beginning::More) => return,
            Ok(Beginning::Other) if proxied.is_required => Err(ProxyFailure::Missing),
            Ok(Beginning::Other) => Ok(None),
            _ if !proxied.is_trusted => Err(ProxyFailure::Untrusted),
            Ok(Beginning::Header { len, source }) => {
                self.unread.advance(len);
                Ok(source)
            }
            Err(malformed) => Err(malformed.into()),
        };
        let source = match source {
            Ok(source) => source,
            Err(failure) => return self.fail(Failure::Proxy(failure)),
        };
        let tls = proxied.tls.clone();
        self.stage = Stage::Answering(Box::new(RequestReader::new(self.config.max_request_size)));
        if let Some(source) = source {
            self.remote = Some(source);
            let counted = cx.door.as_mut().map_or(Ok(()), |door| door.count(source.ip(), cx.now));
            match counted {
                Ok(()) => {}
                Err(refusal) if tls.is_none() => return self.turn_away(refusal),
                // Nothing is said where a TLS handshake would have to come first.
                Err(refusal) => return self.fail(Failure::Refused(refusal)),
            }
        }
        if let Some(tls) = tls {
            self.start_tls(&tls);
        }
    }

    /// Puts TLS on the stream, of which a part has been read already.
    fn start_tls(&mut self, tls: &ServerTls) {
        let Some(transport) = self.transport.take() else {
            return;
        };
        match transport.secure_server(tls) {
            Ok(mut transport) => {
                transport.put_back(std::mem::replace(&mut self.unread, BytesMut::new()));
                self.transport = Some(transport);
            }
            Err(error) => self.fail(Failure::Tls(format!("tls cannot start: {error}"))),
        }
    }
}
