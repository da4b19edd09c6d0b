//! What the fuzzer and the faults have found, each reduced to the least that shows it.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use mio_websocket_core::config::ConnectionConfig;
use mio_websocket_core::connection::State;
use mio_websocket_core::error::{Failure, Phase};
use mio_websocket_core::multiplayer::Status;
use mio_websocket_core::peer::Peer;
use mio_websocket_core::transport::ByteStream;
use mio_websocket_core::websocket::Role;
use mio_websocket_fuzz::link::Link;
use mio_websocket_fuzz::pair::Pair;
use mio_websocket_fuzz::wire::Fault;

/// Runs a test that would hang where core does.
fn bounded(test: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    if wait.recv_timeout(Duration::from_secs(10)) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("it hangs");
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A write that failed was tried again without end where TLS had more to write: any client that
/// stopped reading and then reset the connection could stop the whole server.
#[test]
fn a_write_that_fails_under_tls_is_not_tried_again() {
    bounded(|| {
        let mut pair = Pair::new(&ConnectionConfig::default(), true);
        pair.settle();
        assert!(pair.is_up());
        pair.wire.out.borrow_mut().room = 0;
        assert!(pair.put_to_client(vec![1; 1000]));
        pair.poll_server();
        pair.wire.out.borrow_mut().writes.add(0, Fault::Fail(ErrorKind::ConnectionReset));
        pair.wire.out.borrow_mut().room = usize::MAX;
        pair.poll_server();
        pair.poll_server();
        assert!(pair.server.present.is_empty());
    });
}

/// An interruption while TLS wrote on its own account ended the connection.
#[test]
fn a_write_of_tls_may_be_interrupted() {
    let mut pair = Pair::new(&ConnectionConfig::default(), true);
    // In the server's first flight.
    pair.wire.out.borrow_mut().writes.add(10, Fault::Pause);
    pair.wire.out.borrow_mut().writes.add(10, Fault::Interrupt);
    pair.settle();
    assert!(pair.is_up());
    assert_eq!(pair.client.peer.status(), Status::Connected);
}

/// A broken rule in bytes that had waited for room was reported as an end of the stream, if that came
/// right behind it.
#[test]
fn a_broken_rule_is_told_although_the_end_follows() {
    let mut link = Link::new(Role::Server);
    let mut peer = Peer::default();
    peer.configure(|config| config.max_queued_packets = 2);
    peer.accept(link.wire.near(1)).unwrap();
    link.upgrade(None);
    link.send_frame(0x82, b"one");
    link.send_frame(0x82, b"two");
    link.send_frame(0x82, b"three");
    link.send_frame(0xff, b"a reserved opcode");
    link.wire.in_.borrow_mut().end();
    let now = Instant::now();
    let mut received = 0;
    for _ in 0..5 {
        peer.poll(now);
        while peer.receive().is_some() {
            received += 1;
        }
    }
    assert_eq!((received, peer.state()), (3, State::Closed));
    let connection = peer.connection().unwrap().borrow();
    assert_eq!(connection.close_code(), 1002);
    assert!(matches!(connection.failure(), Some(Failure::Violation(_))));
}

/// Has something to read, takes nothing and does not say why.
struct Idle(&'static [u8]);

impl Read for Idle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Idle {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ByteStream for Idle {
    fn remote(&self) -> Option<SocketAddr> {
        None
    }

    fn set_no_delay(&mut self, _enabled: bool) {}

    fn shutdown(&mut self) {}

    fn is_secure(&self) -> bool {
        false
    }
}

/// A stream of somebody else's that takes nothing, and does not say that it would block, was written
/// to without end.
#[test]
fn a_stream_that_takes_nothing_has_failed() {
    bounded(|| {
        let mut peer = Peer::default();
        let mut link = Link::new(Role::Server);
        link.upgrade(None);
        let request = link.wire.in_.borrow_mut().take();
        peer.accept(Box::new(Idle(request.leak()))).unwrap();
        for _ in 0..3 {
            peer.poll(Instant::now());
        }
        assert_eq!(peer.state(), State::Closed);
        let connection = peer.connection().unwrap().borrow();
        assert!(matches!(connection.failure(), Some(Failure::Socket(Phase::Open, _))));
    });
}

/// A stream of somebody else's was read once in each poll, though it gives less than it has: the
/// engine's gives one TLS record at a time, which was one message a poll.
#[test]
fn a_poll_reads_all_that_a_stream_gives_in_pieces() {
    let mut link = Link::new(Role::Server);
    let mut peer = Peer::default();
    peer.accept(link.wire.near(1)).unwrap();
    link.upgrade(None);
    for text in ["one", "two", "three", "four", "five", "six"] {
        link.send_frame(0x81, text.as_bytes());
    }
    for _ in 0..20 {
        // Each read ends here, and the next one goes on.
        link.wire.in_.borrow_mut().reads.add(10, Fault::Short);
    }
    peer.poll(Instant::now());
    assert_eq!(peer.connection().unwrap().borrow().available(), 6);
}
