//! From a dial or an accepted socket to an open WebSocket.

use bytes::{Buf, BytesMut};

use super::{Asking, Connection, Context, Stage};
use crate::config::ConnectionConfig;
use crate::dial::Progress;
use crate::error::Failure;
use crate::transport::Transport;
use crate::upgrade::{Refusal, client, server};
use crate::websocket::WebSocket;

impl Connection {
    pub(super) fn dial(&mut self, cx: &Context<'_>) {
        let Stage::Dialing(dialing) = &mut self.stage else {
            return;
        };
        match dialing.dial.advance(cx.now, cx.registry, self.token) {
            Progress::Pending => self.remote = dialing.dial.first_address().or(self.remote),
            Progress::Failed(failure) => self.fail(failure),
            Progress::Connected(stream) => {
                let transport = Transport::tcp(stream);
                let secured = match &dialing.tls {
                    Some(tls) => transport.secure_client(tls),
                    None => Ok(transport),
                };
                let mut transport = match secured {
                    Ok(transport) => transport,
                    Err(error) => {
                        return self.fail(Failure::Tls(format!("tls cannot start: {error}")));
                    }
                };
                transport.set_no_delay(true);
                if dialing.only_connect {
                    self.limit = None;
                }
                self.remote = transport.remote();
                let key = client::new_key();
                self.outbox.push_bytes(&client::request(&dialing.url, &key, &self.config));
                self.transport = Some(transport);
                self.stage = Stage::Asking(Box::new(Asking { key, ..Asking::default() }));
                self.flush();
            }
        }
    }

    pub(super) fn upgrade(&mut self) {
        let secure = self.transport.as_ref().is_some_and(Transport::is_secure);
        match &mut self.stage {
            Stage::Answering(reader) => {
                let answered = reader.read(&self.unread).and_then(|read| match read {
                    Some((request, len)) => {
                        answer(&request, &self.config).map(|answer| Some((request, answer, len)))
                    }
                    None => Ok(None),
                });
                match answered {
                    Ok(None) => {}
                    Ok(Some((request, (protocol, answer), len))) => {
                        self.requested_url = request.requested_url(secure);
                        self.outbox.push_bytes(&answer);
                        self.open(protocol, len);
                    }
                    Err(refusal) => {
                        self.outbox.push_bytes(&refusal.to_bytes());
                        self.failure = Some(Failure::Refused(refusal));
                        self.end();
                    }
                }
            }
            Stage::Asking(asking) => {
                let protocols = &self.config.supported_protocols;
                match asking.reader.read(&self.unread, &asking.key, protocols) {
                    Ok(None) => {}
                    Ok(Some((answer, len))) => self.open(answer.protocol, len),
                    Err(error) => self.fail(Failure::Answer(error)),
                }
            }
            _ => {}
        }
    }

    fn open(&mut self, protocol: String, head_len: usize) {
        self.protocol = protocol;
        self.unread.advance(head_len);
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
        self.limit = None;
        self.upgraded = true;
        let max_message = usize::try_from(self.config.inbound_buffer_size).unwrap_or(0);
        self.stage = Stage::Open(WebSocket::new(self.role, max_message));
    }
}

/// The sub-protocol and the answer for a request, or why there is none.
fn answer(
    request: &server::Request,
    config: &ConnectionConfig,
) -> Result<(String, Vec<u8>), Refusal> {
    let protocol = server::choose_protocol(request, &config.supported_protocols)?;
    let answer = server::answer(request, protocol.as_deref(), &config.handshake_headers);
    Ok((protocol.unwrap_or_default(), answer))
}
