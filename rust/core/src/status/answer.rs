//! What is asked of the status endpoint, and what it answers.

use super::{Source, metrics};
use crate::upgrade::head::{RequestHead, whole_url};
use crate::upgrade::server::reason_phrase;
use crate::upgrade::{Refusal, push_header, push_line, single};

const TEXT: &str = "text/plain; charset=utf-8";
/// Of the Prometheus text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A well-formed request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// Without the query.
    path: String,
    method: Method,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Get,
    Head,
    Other,
}

/// An answer; the connection ends behind it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    status: u16,
    kind: &'static str,
    body: String,
    /// Only the head is sent, as it would be with the body.
    only_head: bool,
}

impl Question {
    /// Judges a complete head. HTTP/1.0 is spoken, too: health checks of proxies do.
    pub(super) fn parse(head: &[u8]) -> Result<Self, Refusal> {
        let RequestHead { method, target, minor_version, headers } = RequestHead::parse(head)?;
        match single(&headers, "Host") {
            Ok(None) if minor_version == 0 => {}
            Ok(Some(_)) => {}
            _ => return Err(Refusal::new(400, "one Host header is needed")),
        }
        let method = match method.as_str() {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => Method::Other,
        };
        // Whoever takes us for a proxy is understood.
        let path = whole_url(&target).map_or(target.as_str(), |(_, _, path)| path);
        let path = path.split_once('?').map_or(path, |(path, _)| path).to_owned();
        Ok(Self { path, method })
    }
}

impl Answer {
    /// The answer to a question.
    pub(super) fn to(question: &Question, source: &dyn Source) -> Self {
        let only_head = question.method == Method::Head;
        let is_known = matches!(question.path.as_str(), "/healthz" | "/readyz" | "/metrics");
        let mut answer = match question.path.as_str() {
            _ if !is_known => Self::text(404, "there are /healthz, /readyz and /metrics"),
            _ if question.method == Method::Other => {
                Self::text(405, "the method must be GET or HEAD")
            }
            "/metrics" => {
                let body = metrics::text(&source.snapshot(), source.readiness().is_ok());
                Self { status: 200, kind: METRICS, body, only_head }
            }
            "/readyz" => match source.readiness() {
                Ok(()) => Self::text(200, "ready"),
                Err(unready) => Self::text(503, &unready.to_string()),
            },
            // That there is an answer is the answer.
            _ => Self::text(200, "ok"),
        };
        answer.only_head = only_head;
        answer
    }

    /// The answer to a request that is not understood.
    pub(super) fn refusing(refusal: &Refusal) -> Self {
        Self::text(refusal.status, &refusal.reason)
    }

    fn text(status: u16, text: &str) -> Self {
        Self { status, kind: TEXT, body: format!("{text}\n"), only_head: false }
    }

    /// The whole HTTP answer.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256 + self.body.len());
        push_line(&mut bytes, &format!("HTTP/1.1 {} {}", self.status, reason_phrase(self.status)));
        if self.status == 405 {
            push_header(&mut bytes, "Allow", "GET, HEAD");
        }
        push_header(&mut bytes, "Connection", "close");
        push_header(&mut bytes, "Cache-Control", "no-store");
        push_header(&mut bytes, "Content-Type", self.kind);
        push_header(&mut bytes, "Content-Length", &self.body.len().to_string());
        push_line(&mut bytes, "");
        if !self.only_head {
            bytes.extend_from_slice(self.body.as_bytes());
        }
        bytes
    }
}
