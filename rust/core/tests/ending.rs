//! Ends of connections: what was sent before arrives, what is signalled when, what has a time limit.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::io::Write;
use std::time::Duration;

use mio_websocket_core::config::CLOSE_TIMEOUT;
use mio_websocket_core::connection::State;
use mio_websocket_core::error::Error;
use mio_websocket_core::multiplayer::{Event, MultiplayerPeer, Status};
use support::{
    Node, Raw, accept, answer, close_payload, dial, eventually, finish, frame, listen, masked,
    no_resolver, pair, raw_pair, request, serve, serve_on, settle, tcp, until,
};
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

const MILLISECOND: Duration = Duration::from_millis(1);

/// How the other end goes, once it has sent its last bytes.
#[derive(Clone, Copy, Debug)]
enum Way {
    CloseFrame,
    End,
    /// The kernel keeps what arrived before a reset only on some systems.
    #[cfg(target_os = "linux")]
    Reset,
}

const WAYS: &[Way] = &[
    Way::CloseFrame,
    Way::End,
    #[cfg(target_os = "linux")]
    Way::Reset,
];

/// Sends `bytes` and goes, in one go. What has to be kept is returned.
fn leave(mut raw: Raw, mut bytes: Vec<u8>, close: Vec<u8>, way: Way) -> Option<Raw> {
    if let Way::CloseFrame = way {
        bytes.extend(close);
    }
    raw.send(&bytes);
    let raw = match way {
        Way::CloseFrame => Some(raw),
        Way::End => {
            raw.end();
            Some(raw)
        }
        #[cfg(target_os = "linux")]
        Way::Reset => {
            raw.reset();
            None
        }
    };
    settle();
    raw
}

#[test]
fn a_server_delivers_what_came_with_the_end_and_signals_the_end_in_the_next_poll() {
    for way in WAYS {
        let mut server = Node::server();
        let (raw, id) = server.join_raw();
        let data = [masked(0x82, b"last"), masked(0x82, b"words")].concat();
        let _raw = leave(raw, data, masked(0x88, &close_payload(1000, "")), *way);
        assert_eq!(server.poll(), [], "{way:?}");
        assert!(server.peer.connection(id).is_some(), "{way:?}");
        assert_eq!(server.take(), [(id, b"last".to_vec()), (id, b"words".to_vec())], "{way:?}");
        assert_eq!(server.poll(), [Event::PeerDisconnected(id)], "{way:?}");
        server.poll_for_nothing();
        assert_eq!(server.events, [Event::PeerDisconnected(id)], "{way:?}");
    }
}

#[test]
fn a_client_delivers_what_came_with_the_end_and_signals_the_end_in_the_next_poll() {
    for way in WAYS {
        let (mut client, raw) = raw_pair();
        let data = [frame(0x82, b"last"), frame(0x82, b"words")].concat();
        let _raw = leave(raw, data, frame(0x88, &close_payload(1001, "")), *way);
        assert_eq!(client.poll(), [], "{way:?}");
        assert!(client.is_connected(), "{way:?}");
        assert_eq!(client.peer.available(), 2, "{way:?}");
        let mut during = None;
        let events = client.poll_with(|peer, _| {
            during = Some((peer.status(), peer.unique_id(), peer.available()));
        });
        assert_eq!(events, [Event::PeerDisconnected(1)], "{way:?}");
        assert_eq!(during, Some((Status::Connected, 7, 2)), "{way:?}");
        assert_eq!(client.peer.status(), Status::Disconnected, "{way:?}");
        // Readable still, until the next session.
        assert_eq!(client.take(), [(1, b"last".to_vec()), (1, b"words".to_vec())], "{way:?}");
        assert_eq!(client.peer.get_packet(), Err(Error::Unconfigured), "{way:?}");
    }
}

/// A client whose server sends the 101, the id 9, `data` and the end at once, before its next poll.
fn whole_session(data: &[u8], way: Way) -> (Node, Option<Raw>) {
    let (listener, port) = listen();
    let mut client = Node::client(port);
    client.poll();
    let mut raw = Raw::new(accept(&listener));
    client.poll();
    let answer = answer(&raw.head()).into_bytes();
    let all = [&answer, &frame(0x82, &[9, 0, 0, 0])[..], data].concat();
    let raw = leave(raw, all, frame(0x88, &close_payload(1000, "")), way);
    (client, raw)
}

#[test]
fn a_client_can_get_its_whole_session_in_one_segment() {
    for way in WAYS {
        let (mut client, _raw) = whole_session(&frame(0x82, b"all"), *way);
        assert_eq!(client.poll(), [Event::PeerConnected(1)], "{way:?}");
        assert_eq!((client.peer.unique_id(), client.peer.available()), (9, 1), "{way:?}");
        assert_eq!(client.take(), [(1, b"all".to_vec())], "{way:?}");
        assert_eq!(client.poll(), [Event::PeerDisconnected(1)], "{way:?}");
    }
}

/// The engine asks for the state once after a poll: an end in the poll that connects would be told
/// as `connection_failed`, after `connected_to_server`.
#[test]
fn a_client_whose_session_is_over_at_once_is_connected_for_one_poll() {
    for way in WAYS {
        let (mut client, _raw) = whole_session(&[], *way);
        assert_eq!(client.poll(), [Event::PeerConnected(1)], "{way:?}");
        assert_eq!(client.peer.status(), Status::Connected, "{way:?}");
        assert_eq!(client.poll(), [Event::PeerDisconnected(1)], "{way:?}");
        assert_eq!(client.peer.status(), Status::Disconnected, "{way:?}");
    }
}

#[test]
fn an_end_without_data_is_signalled_in_its_poll() {
    for way in WAYS {
        let mut server = Node::server();
        let (raw, id) = server.join_raw();
        let _raw = leave(raw, Vec::new(), masked(0x88, &close_payload(1000, "")), *way);
        assert_eq!(server.poll(), [Event::PeerDisconnected(id)], "{way:?}");

        let (mut client, raw) = raw_pair();
        let _raw = leave(raw, Vec::new(), frame(0x88, &close_payload(1000, "")), *way);
        assert_eq!(client.poll(), [Event::PeerDisconnected(1)], "{way:?}");
        assert_eq!(client.peer.status(), Status::Disconnected, "{way:?}");
    }
}

#[test]
fn half_a_frame_before_the_end_is_dropped() {
    let mut server = Node::server();
    let (raw, id) = server.join_raw();
    let data = [&masked(0x82, b"whole")[..], &masked(0x82, b"half")[..8]].concat();
    let _raw = leave(raw, data, Vec::new(), Way::End);
    assert_eq!(server.poll(), []);
    assert_eq!(server.take(), [(id, b"whole".to_vec())]);
    assert_eq!(server.poll(), [Event::PeerDisconnected(id)]);
    assert_eq!(server.take(), []);
}

#[test]
fn packets_in_the_servers_queue_outlive_their_sender() {
    let mut server = Node::server();
    let (mut raw, id) = server.join_raw();
    raw.send(&masked(0x82, b"first"));
    eventually(|| {
        server.poll();
        server.peer.available() == 1
    });
    drop(raw);
    assert_eq!(server.next_events(), [Event::PeerDisconnected(id)]);
    assert_eq!(server.take(), [(id, b"first".to_vec())]);
}

#[test]
fn a_new_session_has_no_packets_of_the_old_one() {
    let (mut client, raw) = raw_pair();
    let _raw = leave(raw, frame(0x82, b"old"), Vec::new(), Way::End);
    client.poll();
    client.poll();
    assert_eq!((client.peer.status(), client.peer.available()), (Status::Disconnected, 1));
    let server = Node::server();
    client.dial(server.port()).unwrap();
    assert_eq!(client.peer.available(), 0);
}

#[test]
fn the_close_code_of_the_other_side_can_be_read_while_its_end_is_signalled() {
    for (way, expected) in [(Way::CloseFrame, (4007, "kicked")), (Way::End, (-1, ""))] {
        let (mut client, raw) = raw_pair();
        let _raw = leave(raw, Vec::new(), frame(0x88, &close_payload(4007, "kicked")), way);
        let mut seen = None;
        client.poll_with(|peer, _| {
            let connection = peer.connection(1).unwrap().borrow();
            seen = Some((connection.close_code(), connection.close_reason().to_owned()));
        });
        assert_eq!(seen, Some((expected.0, expected.1.to_owned())), "{way:?}");
    }
}

/// Polled in a loop, which writes at once, and once per frame, which collects.
fn paces() -> [fn(&mut Node); 2] {
    let once_per_frame = |node: &mut Node| {
        for _ in 0..2 {
            node.next_frame();
            node.poll();
        }
    };
    [|_| {}, once_per_frame]
}

#[test]
fn a_packet_before_disconnect_peer_arrives() {
    for pace in paces() {
        for force in [false, true] {
            let mut server = Node::server();
            let (mut client, id) = server.join();
            pace(&mut server);
            server.put(id, b"you are out").unwrap();
            server.peer.disconnect_peer(id, force).unwrap();
            assert_eq!(client.read().unwrap(), Message::binary(b"you are out".to_vec()));
            let Message::Close(Some(close)) = client.read().unwrap() else { panic!("no close") };
            assert_eq!(close.code, CloseCode::Normal);
        }
    }
}

#[test]
fn a_packet_before_the_servers_close_arrives() {
    for pace in paces() {
        let mut server = Node::server();
        let (mut client, _) = server.join();
        pace(&mut server);
        server.put(0, b"good night").unwrap();
        server.peer.close();
        assert_eq!(client.read().unwrap(), Message::binary(b"good night".to_vec()));
        let Message::Close(Some(close)) = client.read().unwrap() else { panic!("no close") };
        assert_eq!(close.code, CloseCode::Away);
    }
}

#[test]
fn a_packet_before_the_clients_close_arrives() {
    let ends: [fn(&mut MultiplayerPeer); 3] = [
        |peer| peer.close(),
        |peer| peer.disconnect_peer(1, true).unwrap(),
        |peer| peer.disconnect_peer(1, false).unwrap(),
    ];
    for pace in paces() {
        for end in ends {
            let (port, server) = serve(|mut server| {
                server.send(Message::binary(vec![2, 0, 0, 0])).unwrap();
                [server.read().unwrap(), server.read().unwrap()]
            });
            let mut client = Node::client(port);
            client.next_events();
            pace(&mut client);
            client.peer.put_packet(b"bye").unwrap();
            end(&mut client.peer);
            let [data, close] = client.run(server);
            assert_eq!(data, Message::binary(b"bye".to_vec()));
            let Message::Close(Some(close)) = close else { panic!("{close}") };
            assert_eq!(close.code, CloseCode::Normal);
        }
    }
}

#[test]
fn all_packets_of_a_frame_arrive_before_a_close() {
    let [_, once_per_frame] = paces();
    let mut server = Node::server();
    let (mut client, _) = server.join();
    once_per_frame(&mut server);
    for index in 0..200_u8 {
        server.put(0, &[index; 100]).unwrap();
    }
    server.peer.close();
    for index in 0..200 {
        assert_eq!(client.read().unwrap(), Message::binary(vec![index; 100]));
    }
    assert!(client.read().unwrap().is_close());
}

#[test]
fn what_a_peer_sends_all_the_time_does_not_destroy_our_last_packet() {
    for force in [None, Some(true), Some(false)] {
        let mut server = Node::server();
        let (client, id) = server.join_raw();
        let mut writer = client.stream.try_clone().unwrap();
        let mut reader = client;
        let chatter = std::thread::spawn(move || {
            let bytes = masked(0x82, &[7; 1000]);
            // Ends when the server has gone.
            while writer.write_all(&bytes).is_ok() {}
        });
        let script = std::thread::spawn(move || {
            let data = reader.frame();
            let close = reader.frame();
            // Whether the end is clean depends on what was on its way.
            (data, close)
        });
        // Let it pile up.
        std::thread::sleep(Duration::from_millis(20));
        server.put(id, b"last").unwrap();
        match force {
            None => server.peer.close(),
            Some(force) => server.peer.disconnect_peer(id, force).unwrap(),
        }
        let (data, close) = server.run(script);
        assert_eq!(data, Some((0x82, b"last".to_vec())), "{force:?}");
        assert_eq!(close.map(|(first, _)| first), Some(0x88), "{force:?}");
        server.wait(CLOSE_TIMEOUT + MILLISECOND);
        server.run(chatter);
    }
}

#[test]
fn unread_input_does_not_destroy_what_the_kernel_has_taken() {
    const PACKETS: usize = 100;
    let mut server = Node::server();
    let raw = Raw::connect_small(server.port());
    let (mut raw, id) = server.upgrade(raw);
    // More than fits on the way to a reader that does not read yet.
    for _ in 0..PACKETS {
        server.put(id, &[7; 1000]).unwrap();
    }
    assert_eq!(server.peer.connection(id).unwrap().borrow().buffered(), 0);
    raw.send(&masked(0x82, b"never read").repeat(1000));
    settle();
    server.peer.close();
    for _ in 0..PACKETS {
        assert_eq!(raw.frame(), Some((0x82, vec![7; 1000])));
    }
    assert_eq!(raw.frame(), Some((0x88, close_payload(1001, ""))));
    assert_eq!(raw.frame(), None);
}

#[test]
fn a_client_waits_for_the_answer_to_its_close_for_a_limited_time() {
    let (mut client, mut raw) = raw_pair();
    client.peer.disconnect_peer(1, false).unwrap();
    client.poll_for_nothing();
    client.wait(CLOSE_TIMEOUT);
    client.poll();
    assert!(client.is_connected());
    client.wait(MILLISECOND);
    assert_eq!(client.poll(), [Event::PeerDisconnected(1)]);
    assert_eq!(client.peer.stats.handshake_timeouts, 0, "there was no handshake");
    assert_eq!(client.peer.status(), Status::Disconnected);
    assert_eq!(raw.frame(), Some((0x88, vec![0x03, 0xe8])));
    assert_eq!(raw.frame(), None);
}

#[test]
fn what_a_server_sends_does_not_extend_the_time_to_answer_a_close() {
    let (mut client, mut raw) = raw_pair();
    client.peer.disconnect_peer(1, false).unwrap();
    client.poll();
    for _ in 0..4 {
        raw.send(&frame(0x82, b"never mind"));
        client.wait(CLOSE_TIMEOUT / 4);
        client.poll_for_nothing();
    }
    assert!(client.is_connected());
    assert_eq!(client.peer.available(), 0);
    client.wait(MILLISECOND);
    assert_eq!(client.poll(), [Event::PeerDisconnected(1)]);
}

/// Our end closes with a code of its own; the other one does not answer.
#[test]
fn a_peer_that_does_not_answer_a_close_frame_is_dropped() {
    let mut server = Node::server();
    let (mut raw, id) = server.join_raw();
    server.peer.connection(id).unwrap().borrow_mut().close(4007, "kicked");
    assert_eq!(raw.frame(), Some((0x88, close_payload(4007, "kicked"))));
    server.poll_for_nothing();
    server.wait(CLOSE_TIMEOUT + MILLISECOND);
    server.poll();
    assert_eq!(server.events, [Event::PeerDisconnected(id)]);
    assert_eq!(raw.frame(), None);
}

#[test]
fn a_disconnected_peer_that_keeps_its_end_open_is_dropped() {
    for force in [false, true] {
        let mut server = Node::server();
        let (mut raw, id) = server.join_raw();
        server.peer.disconnect_peer(id, force).unwrap();
        server.poll_for_nothing();
        assert_eq!(raw.frame(), Some((0x88, vec![0x03, 0xe8])));
        assert_eq!(raw.frame(), None, "the stream ends without the answer");
        // Read and forgotten for a while, so that nothing of ours is lost to a reset.
        raw.send(&masked(0x82, b"x"));
        server.poll_for_nothing();
        raw.send(&masked(0x82, b"x"));
        server.wait(CLOSE_TIMEOUT + MILLISECOND);
        server.poll_for_nothing();
        eventually(|| raw.stream.write_all(b"x").is_err());
        assert_eq!(server.take(), []);
    }
}

/// Fills the way to a peer that does not read yet; the number of packets that were accepted.
fn fill(server: &mut Node, id: i32) -> usize {
    let accepted = (0..100_000).find(|_| server.put(id, &[7; 1000]).is_err()).unwrap();
    assert!(server.peer.connection(id).unwrap().borrow().buffered() > 0);
    accepted
}

#[test]
fn what_waits_for_a_slow_reader_is_written_after_it_was_disconnected() {
    for force in [false, true] {
        let mut server = Node::server();
        let raw = Raw::connect_small(server.port());
        let (mut raw, id) = server.upgrade(raw);
        let accepted = fill(&mut server, id);
        server.peer.disconnect_peer(id, force).unwrap();
        server.poll_for_nothing();
        let script = std::thread::spawn(move || {
            for _ in 0..accepted {
                assert_eq!(raw.frame(), Some((0x82, vec![7; 1000])));
            }
            (raw.frame(), raw.frame())
        });
        let end = server.run(script);
        assert_eq!(end, (Some((0x88, vec![0x03, 0xe8])), None), "{force}");
    }
}

#[test]
fn a_disconnected_peer_that_never_reads_is_dropped() {
    let mut server = Node::server();
    let raw = Raw::connect_small(server.port());
    let (mut raw, id) = server.upgrade(raw);
    fill(&mut server, id);
    server.peer.disconnect_peer(id, true).unwrap();
    server.poll_for_nothing();
    raw.send(b"x");
    server.wait(CLOSE_TIMEOUT + MILLISECOND);
    server.poll_for_nothing();
    eventually(|| raw.stream.write_all(b"x").is_err());
}

/// The kernel keeps what arrived before a reset only on some systems.
#[cfg(target_os = "linux")]
#[test]
fn a_write_that_fails_does_not_lose_what_had_arrived() {
    let mut server = Node::server();
    let (mut raw, id) = server.join_raw();
    raw.send(&masked(0x82, b"last"));
    raw.reset();
    settle();
    let _ = server.put(id, b"nobody reads this");
    let _ = server.put(id, b"nor this");
    assert_eq!(server.poll(), []);
    assert_eq!(server.take(), [(id, b"last".to_vec())]);
    assert_eq!(server.poll(), [Event::PeerDisconnected(id)]);

    let (mut client, mut raw) = raw_pair();
    raw.send(&frame(0x82, b"last"));
    raw.reset();
    settle();
    let _ = client.peer.put_packet(b"nobody reads this");
    let _ = client.peer.put_packet(b"nor this");
    assert_eq!(client.poll(), []);
    assert_eq!(client.take(), [(1, b"last".to_vec())]);
    assert_eq!(client.poll(), [Event::PeerDisconnected(1)]);
}

#[test]
fn what_had_arrived_before_a_write_failed_may_take_several_polls() {
    let slow = |node: &mut Node| node.peer.budget.frames = 1;
    let mut server = Node::server();
    let (mut raw, id) = server.join_raw();
    slow(&mut server);
    raw.send(&[masked(0x82, b"1"), masked(0x82, b"2"), masked(0x82, b"3")].concat());
    raw.reset();
    settle();
    let _ = server.put(id, b"nobody reads this");
    let _ = server.put(id, b"nor this");
    for packet in [b"1", b"2", b"3"] {
        assert_eq!((server.poll(), server.take()), (vec![], vec![(id, packet.to_vec())]));
    }
    assert_eq!(server.next_events(), [Event::PeerDisconnected(id)]);

    let (mut client, mut raw) = raw_pair();
    slow(&mut client);
    raw.send(&[frame(0x82, b"1"), frame(0x82, b"2"), frame(0x82, b"3")].concat());
    raw.reset();
    settle();
    let _ = client.peer.put_packet(b"nobody reads this");
    let _ = client.peer.put_packet(b"nor this");
    for packet in [b"1", b"2", b"3"] {
        assert_eq!((client.poll(), client.take()), (vec![], vec![(1, packet.to_vec())]));
    }
    assert_eq!(client.next_events(), [Event::PeerDisconnected(1)]);
}

#[test]
fn a_peer_that_is_forced_out_before_it_was_announced_is_never_announced() {
    let mut server = Node::server();
    let mut clients: Vec<Raw> = (0..2).map(|_| Raw::connect(server.port())).collect();
    clients.iter_mut().for_each(|client| client.send(&request()));
    settle();
    server.peer.poll(server.clock, false);
    let first = server.peer.next_event().unwrap();
    // The other one's id is only known from its own side.
    server.peer.flush();
    clients[1].head();
    let Some((0x82, id)) = clients[1].frame() else { panic!("no id") };
    let id = i32::from_le_bytes(id.try_into().unwrap());
    assert_ne!(first.event, Event::PeerConnected(id));
    server.peer.disconnect_peer(id, true).unwrap();
    server.peer.finish_event(first);
    assert_eq!(server.peer.next_event(), None);
}

#[test]
fn a_close_frame_is_answered_with_its_code_and_the_stream_ended() {
    for (code, answered) in [(1000, 1000), (4001, 4001), (1012, 1012), (999, 1002), (2000, 1002)] {
        let mut server = Node::server();
        let (mut raw, id) = server.join_raw();
        raw.send(&masked(0x88, &close_payload(code, "")));
        assert_eq!(server.next_events(), [Event::PeerDisconnected(id)]);
        assert_eq!(raw.frame(), Some((0x88, close_payload(answered, ""))), "{code}");
        assert_eq!(raw.frame(), None, "{code}");
    }
}

#[test]
fn a_broken_rule_is_answered_with_its_code() {
    let bad_text = masked(0x81, &[0xc0, 0x80]);
    let too_big = masked(0x82, &[1; 65536]);
    for (bytes, code) in [
        (frame(0x82, b"plain"), 1002),
        (masked(0xc2, b"x"), 1002),
        (bad_text, 1007),
        (too_big, 1009),
    ] {
        let mut server = Node::server();
        let (mut raw, id) = server.join_raw();
        raw.send(&[masked(0x82, b"fine"), bytes].concat());
        assert_eq!(server.receive(1), [(id, b"fine".to_vec())], "{code}");
        assert_eq!(server.next_events(), [Event::PeerDisconnected(id)], "{code}");
        assert_eq!(raw.frame(), Some((0x88, close_payload(code, ""))));
        assert_eq!(raw.frame(), None, "{code}");
    }
}

#[test]
fn events_of_a_session_that_was_closed_are_not_signalled() {
    let mut server = Node::server();
    let mut clients: Vec<Raw> = (0..3).map(|_| Raw::connect(server.port())).collect();
    clients.iter_mut().for_each(|client| client.send(&request()));
    settle();
    let events = server.poll_with(|peer, _| peer.close());
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(server.peer.status(), Status::Disconnected);
}

#[test]
fn events_of_a_session_that_was_replaced_are_not_signalled() {
    let mut server = Node::server();
    let mut clients: Vec<Raw> = (0..3).map(|_| Raw::connect(server.port())).collect();
    clients.iter_mut().for_each(|client| client.send(&request()));
    settle();
    let clock = server.clock;
    let events = server.poll_with(|peer, _| {
        peer.close();
        serve_on(peer, 0, "127.0.0.1", clock).unwrap();
    });
    assert_eq!(events.len(), 1, "{events:?}");
    server.events.clear();
    assert!(server.peer.is_server());
    server.join_raw();
}

#[test]
fn a_client_can_be_created_anew_while_its_end_is_signalled() {
    let mut server = Node::server();
    let port = server.port();
    let (mut client, raw) = raw_pair();
    drop(raw);
    let clock = client.clock;
    let events = until(|| {
        let events = client.poll_with(|peer, _| {
            let url = format!("ws://127.0.0.1:{port}/");
            assert_eq!(dial(peer, &url, no_resolver, clock), Err(Error::AlreadyInUse));
            peer.close();
            dial(peer, &url, no_resolver, clock).unwrap();
        });
        (!events.is_empty()).then_some(events)
    });
    assert_eq!(events, [Event::PeerDisconnected(1)]);
    assert_eq!(client.peer.status(), Status::Connecting, "the end of the old one is over");
    eventually(|| {
        server.poll();
        client.poll();
        client.is_connected()
    });
}

#[test]
fn a_server_can_be_created_anew_while_an_end_is_signalled() {
    let mut server = Node::server();
    let (raw, _) = server.join_raw();
    let port = server.port();
    let clock = server.clock;
    drop(raw);
    eventually(|| {
        let events = server.poll_with(|peer, _| {
            peer.close();
            serve_on(peer, port, "127.0.0.1", clock).unwrap();
        });
        !events.is_empty()
    });
    server.events.clear();
    let (mut raw, id) = server.join_raw();
    raw.send(&masked(0x82, b"new"));
    assert_eq!(server.receive(1), [(id, b"new".to_vec())]);
}

#[test]
fn a_peer_that_a_handler_forces_out_is_not_signalled() {
    let mut server = Node::server();
    let (first, first_id) = server.join_raw();
    let (second, second_id) = server.join_raw();
    drop((first, second));
    settle();
    let events = server.poll_with(|peer, _| {
        peer.disconnect_peer(second_id, true).unwrap();
        assert!(peer.connection(second_id).is_none());
    });
    assert_eq!(events, [Event::PeerDisconnected(first_id)]);
    server.poll_for_nothing();
    assert_eq!(server.events, [Event::PeerDisconnected(first_id)]);
}

#[test]
fn a_peer_may_be_forced_out_while_its_own_end_is_signalled() {
    let mut server = Node::server();
    let (raw, id) = server.join_raw();
    drop(raw);
    settle();
    let events = server.poll_with(|peer, _| peer.disconnect_peer(id, true).unwrap());
    assert_eq!(events, [Event::PeerDisconnected(id)]);
    server.poll_for_nothing();
    assert_eq!(server.events.len(), 1);
}

#[test]
fn a_peer_may_be_disconnected_while_it_is_announced() {
    for force in [false, true] {
        let mut server = Node::server();
        let mut raw = Raw::connect(server.port());
        raw.send(&request());
        settle();
        let mut announced = 0;
        server.poll_with(|peer, event| {
            let Event::PeerConnected(id) = event else { panic!("{event:?}") };
            announced = id;
            peer.set_target(id);
            peer.put_packet(b"no room").unwrap();
            peer.disconnect_peer(id, force).unwrap();
        });
        raw.head();
        assert_eq!(raw.frame(), Some((0x82, announced.to_le_bytes().to_vec())));
        assert_eq!(raw.frame(), Some((0x82, b"no room".to_vec())));
        assert_eq!(raw.frame(), Some((0x88, vec![0x03, 0xe8])));
        server.poll_for_nothing();
        let connected = Event::PeerConnected(announced);
        match force {
            false => assert_eq!(server.events, [connected, Event::PeerDisconnected(announced)]),
            true => assert_eq!(server.events, [connected]),
        }
    }
}

#[test]
fn a_client_may_close_while_it_is_connected() {
    let mut server = Node::server();
    let mut client = Node::client(server.port());
    eventually(|| {
        server.poll();
        !client.poll_with(|peer, _| peer.close()).is_empty()
    });
    assert_eq!(client.peer.status(), Status::Disconnected);
    eventually(|| {
        server.poll();
        server.events.len() == 2
    });
    client.poll_for_nothing();
    assert_eq!(client.events, [Event::PeerConnected(1)]);
}

#[test]
fn a_connection_that_is_held_does_not_keep_a_closed_session_open() {
    let (mut server, client, id) = pair();
    let held = client.peer.connection(1).unwrap().clone();
    drop(client);
    assert_eq!(server.next_events(), [Event::PeerDisconnected(id)]);
    assert_eq!(held.borrow().state(), State::Closed);
}

/// A script may keep what `get_peer` has given it.
#[test]
fn a_view_that_is_held_does_not_keep_a_closed_server_listening() {
    let mut server = Node::server();
    let port = server.port();
    let (mut player, id) = server.join_raw();
    let mut newcomer = Raw::connect(port);
    server.poll_for_nothing();
    let mut view = server.peer.view(id).unwrap();
    server.peer.close();
    assert_eq!(player.frame(), Some((0x88, close_payload(1001, ""))));
    assert_eq!(newcomer.rest(), b"", "it is ended");
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    view.poll(server.clock);
    assert_eq!(view.state(), State::Closed);
}

#[test]
fn a_server_is_gone_for_those_who_come_too_late() {
    let server = Node::server();
    let port = server.port();
    let waiting = tcp(port);
    drop(server);
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    let script =
        std::thread::spawn(move || tungstenite::client("ws://127.0.0.1/", waiting).is_err());
    assert!(finish(script));
}
