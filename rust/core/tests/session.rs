//! Sessions of multiplayer peers: ids, targets, order, statuses, ends.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::net::{TcpListener, TcpStream};

use mio_websocket_core::connection::State;
use mio_websocket_core::error::Error;
use mio_websocket_core::multiplayer::{Event, Status};
use support::{
    Node, Raw, eventually, finish, frame, listen, masked, pair, raw_pair, raw_server, request,
    serve, serve_on, settle, tcp,
};
use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

const SIZES: [usize; 4] = [1, 125, 126, 65535];

/// Packets of all sizes that are encoded differently, each with its own content.
fn packets() -> Vec<Vec<u8>> {
    let packet = |(seed, size): (usize, &usize)| (0..*size).map(|i| (i * 7 + seed) as u8).collect();
    SIZES.iter().cycle().take(12).enumerate().map(packet).collect()
}

fn close(code: CloseCode) -> Message {
    Message::Close(Some(CloseFrame { code, reason: "".into() }))
}

#[test]
fn a_server_sends_the_id_that_it_announces() {
    let mut server = Node::server();
    // join() compares them.
    let (_clients, ids): (Vec<_>, Vec<_>) = (0..5).map(|_| server.join()).unzip();
    assert!(ids.iter().all(|id| *id >= 2), "{ids:?}");
    assert!(ids.iter().any(|id| *id != ids[0]), "{ids:?}");
}

#[test]
fn the_id_is_one_final_binary_frame_of_four_bytes_in_little_endian() {
    let mut server = Node::server();
    let mut raw = Raw::connect(server.port());
    raw.send(&request());
    let [Event::PeerConnected(id)] = server.next_events()[..] else {
        panic!("{:?}", server.events);
    };
    raw.head();
    server.peer.close();
    let expected = [&[0x82, 4][..], &id.to_le_bytes(), &[0x88, 2, 0x03, 0xe9]].concat();
    assert_eq!(raw.rest(), expected);
}

#[test]
fn a_client_takes_its_id_from_a_foreign_server() {
    let (port, server) = serve(|mut server| {
        server.send(Message::binary(77_i32.to_le_bytes().to_vec())).unwrap();
        server
    });
    let mut client = Node::client(port);
    assert_eq!((client.peer.status(), client.peer.unique_id()), (Status::Connecting, 0));
    assert!(!client.peer.is_server());
    assert_eq!(client.next_events(), [Event::PeerConnected(1)]);
    assert_eq!((client.peer.status(), client.peer.unique_id()), (Status::Connected, 77));
    finish(server);
}

#[test]
fn a_client_takes_any_first_message_of_four_bytes_from_two_up() {
    let id = 0x0102_0304_i32.to_le_bytes();
    for bytes in [
        frame(0x81, &id),
        [frame(0x02, &id[..1]), frame(0x80, &id[1..])].concat(),
        [frame(0x89, b"ping"), frame(0x82, &id)].concat(),
    ] {
        let (listener, port) = listen();
        let mut client = Node::client(port);
        let mut server = raw_server(&mut client, &listener);
        server.send(&bytes);
        assert_eq!(client.next_events(), [Event::PeerConnected(1)]);
        assert_eq!(client.peer.unique_id(), 0x0102_0304);
    }
}

#[test]
fn a_client_leaves_a_server_whose_first_message_is_no_id() {
    for first in [&1_i32.to_le_bytes()[..], &[0; 4], &(-5_i32).to_le_bytes(), b"", b"abc", &[9; 5]]
    {
        let (listener, port) = listen();
        let mut client = Node::client(port);
        let mut server = raw_server(&mut client, &listener);
        server.send(&frame(0x82, first));
        eventually(|| {
            client.poll();
            client.peer.status() == Status::Disconnected
        });
        assert_eq!((client.peer.unique_id(), client.events.len()), (0, 0), "{first:?}");
        assert_eq!(server.frame(), Some((0x88, vec![0x03, 0xe8])), "{first:?}");
    }
}

#[test]
fn packets_behind_the_id_are_packets() {
    let (listener, port) = listen();
    let mut client = Node::client(port);
    let mut server = raw_server(&mut client, &listener);
    server.send(&[frame(0x82, &[9, 0, 0, 0]), frame(0x82, b"a"), frame(0x81, b"b")].concat());
    let mut while_announced = None;
    eventually(|| {
        client.poll_with(|peer, _| while_announced = Some((peer.status(), peer.available())));
        client.is_connected()
    });
    assert_eq!(while_announced, Some((Status::Connected, 0)));
    assert_eq!(client.receive(2), [(1, b"a".to_vec()), (1, b"b".to_vec())]);
}

#[test]
fn packets_from_a_server_arrive_in_order_and_intact() {
    let mut server = Node::server();
    let (mut client, id) = server.join();
    for packet in packets() {
        server.put(id, &packet).unwrap();
        assert_eq!(client.read().unwrap(), Message::binary(packet));
    }
}

#[test]
fn packets_from_a_client_arrive_in_order_and_intact() {
    let (port, server) = serve(|mut server| {
        server.send(Message::binary(vec![2, 0, 0, 0])).unwrap();
        (0..packets().len()).map(|_| server.read().unwrap()).collect::<Vec<_>>()
    });
    let mut client = Node::client(port);
    client.next_events();
    for packet in packets() {
        // The outbound queue holds one of the large ones.
        eventually(|| {
            client.poll();
            client.peer.put_packet(&packet).is_ok()
        });
    }
    let received = client.run(server);
    assert_eq!(received, packets().into_iter().map(Message::binary).collect::<Vec<_>>());
}

#[test]
fn packets_of_a_foreign_client_arrive_in_order_and_intact() {
    let mut server = Node::server();
    let (mut client, id) = server.join();
    let script = std::thread::spawn(move || {
        for packet in packets() {
            client.send(Message::binary(packet)).unwrap();
        }
        client
    });
    let expected: Vec<_> = packets().into_iter().map(|packet| (id, packet)).collect();
    assert_eq!(server.receive(expected.len()), expected);
    finish(script);
}

#[test]
fn packets_of_a_foreign_server_arrive_in_order_and_intact() {
    let (port, server) = serve(|mut server| {
        server.send(Message::binary(vec![2, 0, 0, 0])).unwrap();
        for packet in packets() {
            server.send(Message::binary(packet)).unwrap();
        }
        server
    });
    let mut client = Node::client(port);
    let expected: Vec<_> = packets().into_iter().map(|packet| (1, packet)).collect();
    assert_eq!(client.receive(expected.len()), expected);
    finish(server);
}

#[test]
fn two_of_our_own_exchange_packets() {
    let (mut server, mut client, id) = pair();
    for packet in packets() {
        client.peer.put_packet(&packet).unwrap();
        assert_eq!(server.receive(1), [(id, packet.clone())]);
        server.put(id, &packet).unwrap();
        assert_eq!(client.receive(1), [(1, packet)]);
    }
}

#[test]
fn a_packet_goes_to_its_target() {
    let mut server = Node::server();
    let (mut clients, ids): (Vec<_>, Vec<_>) = (0..3).map(|_| server.join_raw()).unzip();
    let unknown = (2..).find(|id| !ids.contains(id)).unwrap();

    server.put(ids[1], b"one").unwrap();
    server.put(0, b"all").unwrap();
    server.put(-ids[1], b"others").unwrap();
    server.put(-unknown, b"all but nobody").unwrap();
    server.put(i32::MIN, b"lowest").unwrap();
    assert_eq!(server.put(unknown, b"x"), Err(Error::UnknownPeer(unknown)));
    assert_eq!(server.put(1, b"x"), Err(Error::UnknownPeer(1)));
    server.peer.close();

    for (index, client) in clients.iter_mut().enumerate() {
        let mut texts = Vec::new();
        while let Some((0x82, payload)) = client.frame() {
            texts.push(String::from_utf8(payload).unwrap());
        }
        let expected: &[&str] = match index {
            1 => &["one", "all", "all but nobody", "lowest"],
            _ => &["all", "others", "all but nobody", "lowest"],
        };
        assert_eq!(texts, expected, "client {index}");
    }
}

#[test]
fn a_broadcast_to_nobody_is_fine_and_an_empty_packet_is_not_sent() {
    let mut server = Node::server();
    assert_eq!(server.put(0, b"x"), Ok(()));
    let (mut client, id) = server.join_raw();
    assert_eq!(server.put(id, b""), Ok(()));
    server.put(id, b"y").unwrap();
    assert_eq!(client.frame(), Some((0x82, b"y".to_vec())));
}

#[test]
fn a_client_sends_to_the_server_whatever_the_target_is() {
    let (mut client, mut server) = raw_pair();
    for target in [0, 1, -1, 7, 4711, i32::MIN] {
        client.put(target, b"x").unwrap();
        assert_eq!(server.frame(), Some((0x82, b"x".to_vec())), "{target}");
    }
}

#[test]
fn packets_of_a_poll_are_grouped_by_sender_in_the_order_of_connection() {
    let mut server = Node::server();
    let (mut clients, ids): (Vec<_>, Vec<_>) = (0..3).map(|_| server.join_raw()).unzip();
    for text in [b"a", b"b"] {
        for client in clients.iter_mut().rev() {
            client.send(&masked(0x82, text));
        }
    }
    settle();
    let expected: Vec<_> =
        ids.iter().flat_map(|id| [(*id, b"a".to_vec()), (*id, b"b".to_vec())]).collect();
    assert_eq!(server.receive(6), expected);
}

#[test]
fn the_sender_is_that_of_the_packet_that_is_taken_next() {
    let mut server = Node::server();
    let (mut first, first_id) = server.join_raw();
    let (mut second, second_id) = server.join_raw();
    assert_eq!(server.peer.packet_peer(), Err(Error::Unavailable));
    first.send(&masked(0x82, b"1"));
    second.send(&masked(0x82, b"2"));
    eventually(|| {
        server.poll();
        server.peer.available() == 2
    });
    for id in [first_id, second_id] {
        assert_eq!(server.peer.packet_peer(), Ok(id));
        assert_eq!(server.peer.packet_peer(), Ok(id));
        server.peer.get_packet().unwrap();
    }
    assert_eq!(server.peer.get_packet(), Err(Error::Unavailable));
}

#[test]
fn empty_messages_do_not_hold_up_what_follows() {
    let mut server = Node::server();
    let (mut client, id) = server.join_raw();
    client.send(&[masked(0x82, b"").repeat(5000), masked(0x82, b"after")].concat());
    settle();
    server.poll();
    assert_eq!(server.take(), [(id, b"after".to_vec())]);
}

#[test]
fn a_peer_that_is_not_active_knows_nothing() {
    let mut node = Node::new();
    node.poll();
    assert_eq!((node.peer.status(), node.peer.unique_id()), (Status::Disconnected, 0));
    assert_eq!(node.peer.put_packet(b"x"), Err(Error::Unconfigured));
    assert_eq!(node.peer.get_packet(), Err(Error::Unconfigured));
    assert_eq!(node.peer.disconnect_peer(1, false), Err(Error::UnknownPeer(1)));
    assert_eq!((node.peer.local_port(), node.peer.connection(1).is_none()), (0, true));
}

#[test]
fn an_active_peer_cannot_be_created_again() {
    let mut server = Node::server();
    let port = server.port();
    assert_eq!(serve_on(&mut server.peer, 0, "*", server.clock), Err(Error::AlreadyInUse));
    assert_eq!(server.dial(port), Err(Error::AlreadyInUse));
    let mut client = Node::client(port);
    assert_eq!(client.dial(port), Err(Error::AlreadyInUse));
    assert_eq!((server.peer.status(), server.peer.unique_id()), (Status::Connected, 1));
    assert!(server.peer.is_server());
}

#[test]
fn a_taken_port_cannot_be_listened_on() {
    let first = Node::server();
    let mut second = Node::new();
    let error = serve_on(&mut second.peer, first.port(), "127.0.0.1", second.clock);
    assert!(matches!(error, Err(Error::Listen { .. })), "{error:?}");
    assert_eq!(second.peer.status(), Status::Disconnected);
}

#[test]
fn a_server_on_all_addresses_is_reached_through_both_families() {
    let mut server = Node::new();
    serve_on(&mut server.peer, 0, "*", server.clock).unwrap();
    let port = server.port();
    let mut addresses = vec![format!("127.0.0.1:{port}")];
    // Not every machine has IPv6.
    if TcpListener::bind("[::1]:0").is_ok() {
        addresses.push(format!("[::1]:{port}"));
    }
    let mut clients = Vec::new();
    for address in addresses {
        let (client, id) = server.upgrade(Raw::new(TcpStream::connect(&address).unwrap()));
        let remote = server.peer.connection(id).unwrap().borrow().remote().unwrap();
        assert_eq!(remote, client.stream.local_addr().unwrap());
        clients.push(client);
    }
}

#[test]
fn a_connection_tells_the_url_and_the_address_of_the_other_end() {
    let (server, client, id) = pair();
    let at_server = server.peer.connection(id).unwrap().borrow();
    let at_client = client.peer.connection(1).unwrap().borrow();
    let url = format!("ws://127.0.0.1:{}/", server.port());
    assert_eq!((at_server.requested_url(), at_client.requested_url()), (url.as_str(), &*url));
    assert_eq!(at_client.remote().unwrap().port(), server.port());
    assert!(at_server.remote().unwrap().ip().is_loopback());
    assert_eq!((at_server.state(), at_client.state()), (State::Open, State::Open));
    assert!(server.peer.connection(1).is_none() && client.peer.connection(id).is_none());
}

#[test]
fn a_server_that_closes_says_going_away() {
    let mut server = Node::server();
    let (mut client, _) = server.join();
    server.peer.close();
    assert_eq!((server.peer.status(), server.peer.unique_id()), (Status::Disconnected, 0));
    assert_eq!(client.read().unwrap(), close(CloseCode::Away));
    server.poll();
    assert_eq!(server.events, []);
}

#[test]
fn a_client_that_closes_says_normal() {
    let (mut client, mut server) = raw_pair();
    client.peer.close();
    assert_eq!((client.peer.status(), client.peer.unique_id()), (Status::Disconnected, 0));
    assert_eq!(server.frame(), Some((0x88, vec![0x03, 0xe8])));
    assert_eq!(server.frame(), None);
}

#[test]
fn a_peer_that_is_dropped_closes() {
    let mut server = Node::server();
    let (mut client, _) = server.join();
    drop(server);
    assert_eq!(client.read().unwrap(), close(CloseCode::Away));
}

#[test]
fn a_disconnected_peer_is_told_and_its_end_signalled_in_the_next_poll() {
    let mut server = Node::server();
    let (mut client, id) = server.join();
    server.peer.disconnect_peer(id, false).unwrap();
    assert_eq!(client.read().unwrap(), close(CloseCode::Normal));
    assert_eq!(server.put(id, b"x"), Err(Error::NotOpen));
    assert_eq!(server.put(0, b"x"), Ok(()), "a broadcast goes to the others");
    let mut known = false;
    server.poll_with(|peer, event| {
        assert_eq!(event, Event::PeerDisconnected(id));
        known = peer.connection(id).is_some();
    });
    assert!(known, "while it is signalled");
    assert!(server.peer.connection(id).is_none());
    assert_eq!(server.peer.disconnect_peer(id, false), Err(Error::UnknownPeer(id)));
    server.poll_for_nothing();
    assert_eq!(server.events, [Event::PeerDisconnected(id)]);
}

#[test]
fn a_forced_disconnection_is_told_and_not_signalled() {
    let mut server = Node::server();
    let (mut client, id) = server.join();
    server.peer.disconnect_peer(id, true).unwrap();
    assert!(server.peer.connection(id).is_none());
    assert_eq!(server.put(id, b"x"), Err(Error::UnknownPeer(id)));
    assert_eq!(client.read().unwrap(), close(CloseCode::Normal));
    drop(client);
    server.poll_for_nothing();
    assert_eq!(server.events, []);
}

#[test]
fn a_client_that_disconnects_stays_until_the_server_has_answered() {
    let (mut server, mut client, id) = pair();
    client.peer.disconnect_peer(1, false).unwrap();
    client.poll_for_nothing();
    assert!(client.is_connected());
    assert_eq!(client.peer.put_packet(b"x"), Err(Error::NotOpen));
    assert_eq!(server.next_events(), [Event::PeerDisconnected(id)]);
    assert_eq!(client.next_events(), [Event::PeerDisconnected(1)]);
    assert_eq!((client.peer.status(), client.peer.unique_id()), (Status::Disconnected, 0));
}

#[test]
fn a_client_that_disconnects_by_force_is_disconnected_at_once() {
    let (mut server, mut client, id) = pair();
    assert_eq!(client.peer.disconnect_peer(5, true), Err(Error::UnknownPeer(5)));
    client.peer.disconnect_peer(1, true).unwrap();
    assert_eq!(client.peer.status(), Status::Disconnected);
    client.poll_for_nothing();
    assert_eq!(client.events, []);
    assert_eq!(server.next_events(), [Event::PeerDisconnected(id)]);
}

#[test]
fn a_client_that_disconnects_while_connecting_is_disconnected_without_a_signal() {
    let server = Node::server();
    let mut client = Node::client(server.port());
    client.peer.disconnect_peer(1, false).unwrap();
    client.poll();
    assert_eq!((client.peer.status(), client.events.len()), (Status::Disconnected, 0));
}

#[test]
fn peers_that_go_in_one_poll_are_signalled_in_the_order_of_connection() {
    let mut server = Node::server();
    let (mut clients, ids): (Vec<_>, Vec<_>) = (0..3).map(|_| server.join_raw()).unzip();
    for client in clients.iter_mut().rev() {
        client.send(&masked(0x88, &[0x03, 0xe8]));
    }
    settle();
    assert_eq!(server.next_events(), [0, 1, 2].map(|i| Event::PeerDisconnected(ids[i])));
}

#[test]
fn a_port_can_be_listened_on_again_at_once() {
    let mut server = Node::server();
    let port = server.port();
    for cycle in 0..10 {
        let (mut client, id) = server.join();
        server.put(id, &[cycle]).unwrap();
        assert_eq!(client.read().unwrap(), Message::binary(vec![cycle]));
        server.peer.close();
        serve_on(&mut server.peer, port, "127.0.0.1", server.clock).unwrap();
        assert_eq!(server.port(), port);
        assert!(server.peer.connection(id).is_none());
    }
}

#[test]
fn a_client_can_connect_again_and_again() {
    let mut server = Node::server();
    let mut client = Node::new();
    for _ in 0..10 {
        client.dial(server.port()).unwrap();
        eventually(|| {
            server.poll();
            client.poll();
            client.is_connected()
        });
        client.peer.close();
        let id = match server.next_events()[..] {
            [Event::PeerDisconnected(id)] => id,
            ref events => panic!("{events:?}"),
        };
        assert_eq!(server.events, [Event::PeerConnected(id), Event::PeerDisconnected(id)]);
        server.events.clear();
    }
}

#[test]
fn new_connections_wait_while_they_are_refused() {
    let mut server = Node::server();
    let (mut old, old_id) = server.join_raw();
    server.refuse = true;
    let mut new = Raw::connect(server.port());
    new.send(&request());
    server.poll_for_nothing();
    assert!(new.is_silent());
    assert_eq!(server.events, []);

    old.send(&masked(0x82, b"still here"));
    assert_eq!(server.receive(1), [(old_id, b"still here".to_vec())]);

    server.refuse = false;
    assert!(matches!(server.next_events()[..], [Event::PeerConnected(_)]));
    assert!(new.head().starts_with("HTTP/1.1 101 "));
}

#[test]
fn a_connection_whose_upgrade_ends_while_refusing_is_ended() {
    let mut server = Node::server();
    let mut raw = Raw::connect(server.port());
    server.poll_for_nothing();
    server.refuse = true;
    raw.send(&request());
    server.poll_for_nothing();
    assert!(raw.head().starts_with("HTTP/1.1 101 "));
    assert_eq!(raw.frame(), None, "no id and no close frame");
    assert_eq!(server.events, []);
}

#[test]
fn three_hundred_clients_at_once_are_all_served_in_a_few_polls() {
    const CLIENTS: usize = 300;
    let mut server = Node::server_with(support::take_all_the_time);
    let mut clients: Vec<Raw> = (0..CLIENTS)
        .map(|_| {
            let mut client = Raw::new(tcp(server.port()));
            client.send(&request());
            client
        })
        .collect();
    settle();
    let polls = (1..=5).find(|_| {
        server.poll();
        server.events.len() == CLIENTS
    });
    assert!(polls.is_some(), "{} of them were served", server.events.len());

    server.put(0, b"welcome").unwrap();
    for (client, event) in clients.iter_mut().zip(&server.events) {
        client.head();
        let Some((0x82, id)) = client.frame() else { panic!("no id") };
        let id = i32::from_le_bytes(id.try_into().unwrap());
        assert_eq!(*event, Event::PeerConnected(id), "in the order of connection");
        assert_eq!(client.frame(), Some((0x82, b"welcome".to_vec())));
    }
}
