//! A client that stops reading, and then resets the connection under the server's unwritten bytes.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod tls_support;

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use mio_websocket_core::connection::State;
use mio_websocket_core::error::Error;
use mio_websocket_core::websocket::Kind;
use socket2::Socket;
use tls_support::{Identity, OurServer, VERSIONS, failure_of, finish, foreign_client, reach};

/// It once made the server try the failing write again and again within one poll.
#[test]
fn a_reset_under_unwritten_bytes_ends_the_connection_and_not_the_server() {
    let (done, wait) = channel();
    let test = thread::spawn(move || {
        play();
        done.send(()).unwrap();
    });
    // A panic in the test drops its end.
    if wait.recv_timeout(Duration::from_secs(20)) == Err(RecvTimeoutError::Timeout) {
        panic!("a poll does not return");
    }
    finish(test);
}

fn play() {
    let identity = Identity::new();
    let mut server = OurServer::new(identity.tls(true));
    server.server.config.outbound_buffer_size = 10_000_000;
    let (port, config) = (server.port(), Arc::new(identity.client_config(&VERSIONS)));
    let (wake, sleep) = channel::<()>();
    let client = thread::spawn(move || {
        let socket = foreign_client(port, &config);
        sleep.recv().unwrap();
        let stream = socket.get_ref().sock.try_clone().unwrap();
        drop(socket);
        // Closing it now resets the connection.
        Socket::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
    });
    let mut peer = server.take();
    loop {
        match peer.send(Kind::Binary, &[7; 60_000]) {
            Ok(()) => {}
            Err(Error::OutOfMemory { .. }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    wake.send(()).unwrap();
    finish(client);
    // The write that finds out.
    let size = 60_000;
    assert!(peer.send(Kind::Binary, &vec![7; size]).is_err());
    peer.poll(Instant::now());
    reach(&mut peer, State::Closed);
    assert!(failure_of(&peer).is_some());
}
