//! Packets sent in an unreliable mode to a peer that reads too slowly.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use mio_websocket_core::connection::Delivery;
use mio_websocket_core::error::Error;
use mio_websocket_core::multiplayer::Event;
use support::{Node, Raw, close_payload, frame, listen, numbered, raw_server};

const SIZE: usize = 1000;
const BUFFER: usize = 60_000;

fn dropping() -> Node {
    Node::server_with(|peer| {
        peer.config.drop_stale_packets = true;
        peer.config.outbound_buffer_size = BUFFER as i32;
    })
}

fn ordered(channel: i32) -> Delivery {
    Delivery::UnreliableOrdered { channel }
}

fn put_as(node: &mut Node, target: i32, delivery: Delivery, data: &[u8]) -> Result<(), Error> {
    node.peer.set_delivery(delivery);
    let put = node.put(target, data);
    node.peer.set_delivery(Delivery::Reliable);
    put
}

/// Sends numbered reliable packets from `first` on until some wait here; the number of the next.
fn congest(node: &mut Node, target: i32, first: u32) -> u32 {
    for number in first..100_000 {
        node.put(target, &numbered(number, SIZE)).unwrap();
        node.peer.flush();
        if node.buffered(target) > 2 * SIZE {
            return number + 1;
        }
    }
    panic!("the kernel takes everything");
}

/// The payloads that `raw` gets while the node polls, up to one that is `last`.
#[track_caller]
fn read_up_to(node: &mut Node, mut raw: Raw, last: &'static [u8]) -> (Raw, Vec<Vec<u8>>) {
    let reader = std::thread::spawn(move || {
        let mut payloads = Vec::new();
        while payloads.last().is_none_or(|payload: &Vec<u8>| payload != last) {
            payloads.push(raw.frame().unwrap().1);
        }
        payloads.pop();
        (raw, payloads)
    });
    node.run(reader)
}

fn reliable(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(|number| numbered(number, SIZE)).collect()
}

#[test]
fn by_default_all_modes_wait_as_reliable_packets_do() {
    let mut server = Node::server();
    let (slow, id) = server.join_slow();
    let count = congest(&mut server, id, 0);
    put_as(&mut server, id, Delivery::Unreliable, b"a").unwrap();
    put_as(&mut server, id, ordered(0), b"b").unwrap();
    put_as(&mut server, id, ordered(0), b"c").unwrap();
    server.put(id, b"end").unwrap();
    let (_slow, payloads) = read_up_to(&mut server, slow, b"end");
    let modes = [b"a".to_vec(), b"b".to_vec(), b"c".to_vec()];
    assert_eq!(payloads, [reliable(count), modes.to_vec()].concat());
    assert_eq!(server.peer.stats.packets_dropped, 0);
}

#[test]
fn unreliable_packets_to_a_slow_reader_are_dropped_and_nothing_else_is() {
    let mut server = dropping();
    let (mut good, good_id) = server.join_raw();
    let (slow, id) = server.join_slow();
    put_as(&mut server, id, Delivery::Unreliable, b"while all is well").unwrap();
    let count = congest(&mut server, id, 0);
    for dropped in 1..=10 {
        put_as(&mut server, id, Delivery::Unreliable, b"stale").unwrap();
        assert_eq!(server.peer.stats.packets_dropped, dropped);
    }
    // To all: who has room gets it.
    put_as(&mut server, 0, Delivery::Unreliable, b"to all").unwrap();
    assert_eq!(good.frame(), Some((0x82, b"to all".to_vec())));
    server.put(id, &numbered(count, SIZE)).unwrap();
    server.put(id, b"end").unwrap();
    server.plays_on(&mut good, good_id);
    let (slow, payloads) = read_up_to(&mut server, slow, b"end");
    let expected = [vec![b"while all is well".to_vec()], reliable(count + 1)].concat();
    assert_eq!(payloads, expected);
    put_as(&mut server, id, Delivery::Unreliable, b"again").unwrap();
    server.put(id, b"end").unwrap();
    assert_eq!(read_up_to(&mut server, slow, b"end").1, [b"again".to_vec()]);
    let stats = server.peer.stats;
    assert_eq!((stats.packets_dropped, stats.packets_refused), (11, 0));
}

#[test]
fn of_unreliable_ordered_packets_the_newest_of_each_channel_arrives() {
    let mut server = dropping();
    let (mut good, good_id) = server.join_raw();
    let (slow, id) = server.join_slow();
    let count = congest(&mut server, id, 0);
    let waiting = server.buffered(id);
    for number in 0..10 {
        for channel in [0, 3] {
            put_as(&mut server, id, ordered(channel), &numbered(1000 + number, 40)).unwrap();
        }
        put_as(&mut server, id, ordered(7), format!("to {number}").as_bytes()).unwrap();
    }
    assert_eq!(server.buffered(id), waiting + 40 + 40 + 4, "what is held back counts");
    // Put later, sent earlier: it is reliable.
    server.put(id, &numbered(count, SIZE)).unwrap();
    server.plays_on(&mut good, good_id);
    let (slow, payloads) = read_up_to(&mut server, slow, b"to 9");
    let newest = vec![numbered(1009, 40); 2];
    assert_eq!(payloads, [reliable(count + 1), newest].concat());
    assert_eq!(server.peer.stats.packets_dropped, 27);
    server.poll_for_nothing();
    assert_eq!(server.buffered(id), 0);
    // Now that there is room each is sent.
    for number in 0..3 {
        put_as(&mut server, id, ordered(0), &[number]).unwrap();
    }
    server.put(id, b"end").unwrap();
    assert_eq!(read_up_to(&mut server, slow, b"end").1, [[0], [1], [2]]);
    assert_eq!(server.peer.stats.packets_dropped, 27);
}

#[test]
fn what_is_held_back_has_the_room_that_reliable_packets_leave() {
    let mut server = dropping();
    let (slow, id) = server.join_slow();
    let mut count = congest(&mut server, id, 0);
    put_as(&mut server, id, ordered(1), &[1; BUFFER / 2]).unwrap();
    put_as(&mut server, id, ordered(2), &[2; BUFFER / 2]).unwrap();
    assert_eq!(server.peer.stats.packets_dropped, 1, "two have no room");
    put_as(&mut server, id, ordered(3), b"small").unwrap();
    let error = put_as(&mut server, id, ordered(4), &[4; BUFFER + 1]);
    assert_eq!(error, Ok(()), "a peer that is slow is not sent it anyway");
    assert_eq!(server.peer.stats.packets_dropped, 2);
    // A reliable packet that can never have room does not cost the others theirs.
    server.put(id, &[0; BUFFER + 1]).unwrap_err();
    assert_eq!(server.peer.stats.packets_dropped, 2);
    // One that needs the room gets it.
    while server.peer.stats.packets_dropped == 2 {
        server.put(id, &numbered(count, SIZE)).unwrap();
        count += 1;
    }
    assert!(server.buffered(id) <= BUFFER / 2 + SIZE + 5);
    server.put(id, &numbered(count, SIZE)).unwrap();
    let (_slow, payloads) = read_up_to(&mut server, slow, b"small");
    assert_eq!(payloads, reliable(count + 1));
    assert_eq!(server.peer.stats.packets_dropped, 3);
}

#[test]
fn packets_that_do_not_fit_before_the_kernel_was_asked_are_stale_too() {
    let mut server = dropping();
    let (_slow, id) = server.join_slow();
    congest(&mut server, id, 0);
    let (_other, other) = server.join_slow();
    // As in a frame, in which everything is collected.
    for _ in 0..2 {
        server.next_frame();
        server.poll();
    }
    let mut put = 0;
    while server.peer.stats.packets_dropped == 0 {
        put_as(&mut server, other, Delivery::Unreliable, &[7; SIZE]).unwrap();
        put += 1;
        assert!(put < 100_000, "the kernel takes everything");
    }
    assert_eq!(server.peer.stats.packets_refused, 0);
}

#[test]
fn a_packet_that_never_fits_is_refused_while_there_is_room() {
    let mut server = dropping();
    let (_client, id) = server.join_raw();
    for delivery in [Delivery::Unreliable, ordered(0)] {
        let error = put_as(&mut server, id, delivery, &[0; BUFFER + 1]).unwrap_err();
        assert!(matches!(error, Error::OutOfMemory { .. }));
    }
    assert_eq!(server.peer.stats.packets_refused, 2);
}

#[test]
fn what_is_held_back_is_dropped_when_the_peer_is_disconnected() {
    let mut server = dropping();
    let (mut slow, id) = server.join_slow();
    let count = congest(&mut server, id, 0);
    put_as(&mut server, id, ordered(0), b"held").unwrap();
    server.peer.disconnect_peer(id, false).unwrap();
    assert_eq!(put_as(&mut server, id, ordered(0), b"late"), Err(Error::NotOpen));
    assert_eq!(server.next_events(), [Event::PeerDisconnected(id)]);
    assert_eq!(server.peer.stats.packets_dropped, 1);
    let reader = std::thread::spawn(move || {
        for number in 0..count {
            assert_eq!(slow.frame(), Some((0x82, numbered(number, SIZE))));
        }
        assert_eq!(slow.frame(), Some((0x88, close_payload(1000, ""))));
        assert_eq!(slow.frame(), None);
    });
    server.run(reader);
}

#[test]
fn a_client_drops_stale_packets_too() {
    let mut client = Node::new();
    client.peer.config.drop_stale_packets = true;
    let (listener, port) = listen();
    client.dial(port).unwrap();
    let mut server = raw_server(&mut client, &listener);
    server.send(&frame(0x82, &7_i32.to_le_bytes()));
    client.next_events();
    let count = congest(&mut client, 1, 0);
    put_as(&mut client, 1, Delivery::Unreliable, b"stale").unwrap();
    put_as(&mut client, 1, ordered(5), b"older").unwrap();
    put_as(&mut client, 1, ordered(5), b"newest").unwrap();
    assert_eq!(client.peer.stats.packets_dropped, 2);
    let (_server, payloads) = read_up_to(&mut client, server, b"newest");
    assert_eq!(payloads, reliable(count));
}
