//! Limits and back pressure in both directions, and when bytes leave.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::io::Write;
use std::sync::mpsc::{TryRecvError, channel};
use std::time::{Duration, Instant};

use mio_websocket_core::connection::State;
use mio_websocket_core::error::Error;
use mio_websocket_core::peer::Peer;
use mio_websocket_core::websocket::Kind;
use support::{
    Node, Raw, alone_and_raw, close_payload, eventually, frame, masked, numbered, raw_pair, reach,
    settle, until,
};

/// Sends numbered packets until one is refused for want of room; how many were accepted.
fn fill(server: &mut Node, target: i32, size: usize) -> u32 {
    for number in 0..100_000 {
        match server.put(target, &numbered(number, size)) {
            Ok(()) => {}
            Err(Error::OutOfMemory { size: refused, peers }) => {
                assert_eq!((refused, peers), (size, format!("peer {target}")));
                return number;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("nothing was refused");
}

fn buffered(node: &Node, id: i32) -> usize {
    node.peer.connection(id).unwrap().borrow().buffered()
}

#[test]
fn a_packet_may_be_as_large_as_the_outbound_buffer() {
    let mut server = Node::server_with(|peer| peer.config.outbound_buffer_size = 1000);
    let (mut client, id) = server.join_raw();
    server.put(id, &[1; 1000]).unwrap();
    let peers = format!("peer {id}");
    assert_eq!(server.put(id, &[1; 1001]), Err(Error::OutOfMemory { size: 1001, peers }));
    server.put(id, b"still open").unwrap();
    assert_eq!(client.frame(), Some((0x82, vec![1; 1000])));
    assert_eq!(client.frame(), Some((0x82, b"still open".to_vec())));

    let (mut client, mut server) = raw_pair();
    client.peer.put_packet(&[1; 65535]).unwrap();
    assert_eq!(server.frame(), Some((0x82, vec![1; 65535])));
    let error = client.peer.put_packet(&[1; 65536]).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { size: 65536, .. }), "{error}");
}

#[test]
fn an_outbound_buffer_of_zero_has_no_limit() {
    let mut server = Node::server_with(|peer| peer.config.outbound_buffer_size = 0);
    let (mut client, id) = server.join_raw();
    let script = std::thread::spawn(move || client.frame());
    server.put(id, &vec![3; 5_000_000]).unwrap();
    assert_eq!(server.run(script), Some((0x82, vec![3; 5_000_000])));
}

#[test]
fn the_outbound_buffer_is_filled_to_the_last_byte() {
    let mut server = Node::server_with(|peer| peer.config.outbound_buffer_size = 10_500);
    let raw = Raw::connect_small(server.port());
    let (_raw, id) = server.upgrade(raw);
    fill(&mut server, id, 1000);
    assert_eq!(buffered(&server, id), 10_000);
    server.put(id, &[1; 500]).unwrap();
    assert_eq!(buffered(&server, id), 10_500);
    assert!(matches!(server.put(id, &[1; 1]), Err(Error::OutOfMemory { size: 1, .. })));
}

#[test]
fn the_outbound_queue_is_filled_to_the_last_packet() {
    let mut server = Node::server_with(|peer| {
        peer.config.outbound_buffer_size = 0;
        peer.config.max_queued_packets = 5;
    });
    let raw = Raw::connect_small(server.port());
    let (_raw, id) = server.upgrade(raw);
    fill(&mut server, id, 1000);
    assert_eq!(buffered(&server, id), 5000);
}

#[test]
fn a_reader_that_starts_late_gets_what_was_accepted_and_nothing_else() {
    let mut server = Node::server();
    let raw = Raw::connect_small(server.port());
    let (mut client, id) = server.upgrade(raw);
    let accepted = fill(&mut server, id, 1000);
    assert!(accepted > 65);
    let script = std::thread::spawn(move || {
        for number in 0..accepted {
            assert_eq!(client.frame(), Some((0x82, numbered(number, 1000))));
        }
        client
    });
    let mut client = server.run(script);
    assert!(client.is_silent());
    server.put(id, b"room again").unwrap();
    assert_eq!(client.frame(), Some((0x82, b"room again".to_vec())));
    assert_eq!(server.events, []);
}

#[test]
fn a_client_of_ours_gets_everything_when_it_polls_late() {
    let (mut server, mut client, id) = support::pair();
    let accepted = fill(&mut server, id, 60_000);
    let mut received = Vec::new();
    eventually(|| {
        server.poll();
        client.poll();
        received.extend(client.take());
        received.len() == accepted as usize
    });
    for (number, (sender, packet)) in received.into_iter().enumerate() {
        assert_eq!((sender, packet), (1, numbered(number as u32, 60_000)));
    }
}

#[test]
fn a_broadcast_reaches_the_others_when_one_peer_is_full() {
    let mut server = Node::server();
    let (mut first, _) = server.join_raw();
    let raw = Raw::connect_small(server.port());
    let (_full, full_id) = server.upgrade(raw);
    let (mut last, _) = server.join_raw();
    fill(&mut server, full_id, 1000);
    let before = buffered(&server, full_id);
    let peers = format!("peer {full_id}");
    let size = 60_000;
    assert_eq!(server.put(0, &[4; 60_000]), Err(Error::OutOfMemory { size, peers }));
    assert_eq!(buffered(&server, full_id), before, "not even in part");
    for client in [&mut first, &mut last] {
        assert_eq!(client.frame(), Some((0x82, vec![4; size])));
    }
}

#[test]
fn two_full_peers_are_counted() {
    let mut server = Node::server_with(|peer| peer.config.outbound_buffer_size = 100);
    let _clients = [server.join_raw(), server.join_raw()];
    let peers = "2 peers".to_owned();
    assert_eq!(server.put(0, &[0; 101]), Err(Error::OutOfMemory { size: 101, peers }));
}

/// Makes `node` one that is polled once per frame.
fn enter_frames(node: &mut Node) {
    for _ in 0..2 {
        node.next_frame();
        node.poll();
    }
    node.peer.take_flush_due();
}

#[test]
fn a_peer_that_is_polled_in_a_loop_writes_at_once() {
    let mut server = Node::server();
    let (mut client, id) = server.join_raw();
    server.put(id, b"now").unwrap();
    assert!(!server.peer.take_flush_due());
    assert_eq!(client.frame(), Some((0x82, b"now".to_vec())));
    // Once per frame, then a second time in one.
    enter_frames(&mut server);
    server.poll();
    server.put(id, b"now").unwrap();
    assert_eq!(client.frame(), Some((0x82, b"now".to_vec())));
}

#[test]
fn a_peer_that_is_polled_once_per_frame_writes_when_it_is_flushed() {
    let mut server = Node::server();
    let (mut client, id) = server.join_raw();
    enter_frames(&mut server);
    for index in 0..200_u8 {
        server.put(id, &[index; 10]).unwrap();
    }
    assert!(client.is_silent());
    assert!(server.peer.take_flush_due());
    assert!(!server.peer.take_flush_due(), "told once");
    server.peer.flush();
    for index in 0..200_u8 {
        assert_eq!(client.frame(), Some((0x82, vec![index; 10])));
    }
}

#[test]
fn the_next_poll_writes_what_was_collected() {
    let mut server = Node::server();
    let (mut client, id) = server.join_raw();
    enter_frames(&mut server);
    server.put(id, b"x").unwrap();
    server.next_frame();
    server.peer.poll(server.clock, false);
    assert_eq!(client.frame(), Some((0x82, b"x".to_vec())));
}

#[test]
fn replies_leave_when_the_last_packet_has_been_taken() {
    let mut server = Node::server();
    let (mut client, id) = server.join_raw();
    enter_frames(&mut server);
    client.send(&[masked(0x82, b"1"), masked(0x82, b"2")].concat());
    eventually(|| {
        server.next_frame();
        server.poll();
        server.peer.available() == 2
    });
    while server.peer.available() > 0 {
        assert!(client.is_silent(), "not before the last one");
        let packet = server.peer.get_packet().unwrap();
        server.put(id, &packet.data).unwrap();
    }
    assert_eq!(client.frame(), Some((0x82, b"1".to_vec())));
    assert_eq!(client.frame(), Some((0x82, b"2".to_vec())));
}

#[test]
fn a_client_collects_and_flushes_too() {
    let (mut client, mut server) = raw_pair();
    enter_frames(&mut client);
    client.peer.put_packet(b"x").unwrap();
    assert!(server.is_silent());
    assert!(client.peer.take_flush_due());
    client.peer.flush();
    assert_eq!(server.frame(), Some((0x82, b"x".to_vec())));
}

#[test]
fn more_than_the_outbound_buffer_can_be_collected_in_a_frame() {
    let mut server = Node::server();
    let (mut client, id) = server.join_raw();
    enter_frames(&mut server);
    for number in 0..200 {
        server.put(id, &numbered(number, 1000)).unwrap();
    }
    server.peer.flush();
    for number in 0..200 {
        assert_eq!(client.frame(), Some((0x82, numbered(number, 1000))));
    }
}

#[test]
fn a_message_may_be_as_large_as_the_inbound_buffer_in_one_frame_or_in_many() {
    let mut server = Node::server_with(|peer| peer.config.inbound_buffer_size = 1000);
    let fragments = |count: usize| {
        let middle = masked(0x00, &[5; 100]).repeat(count - 2);
        [masked(0x02, &[5; 100]), middle, masked(0x80, &[5; 100])].concat()
    };
    let (mut client, id) = server.join_raw();
    for bytes in [masked(0x82, &[5; 1000]), fragments(10)] {
        client.send(&bytes);
        assert_eq!(server.receive(1), [(id, vec![5; 1000])]);
    }
    for bytes in [masked(0x82, &[5; 1001]), fragments(11)] {
        let (mut client, _) = server.join_raw();
        client.send(&bytes);
        server.next_events();
        assert_eq!(client.frame(), Some((0x88, close_payload(1009, ""))));
        assert_eq!(client.frame(), None);
    }
}

#[test]
fn many_messages_of_one_peer_arrive_in_one_poll() {
    let mut server = Node::server_with(support::take_all_the_time);
    let (mut client, id) = server.join_raw();
    let bytes: Vec<u8> = (0..1000).flat_map(|n| masked(0x82, &numbered(n, 500))).collect();
    let script = std::thread::spawn(move || client.send(&bytes));
    eventually(|| {
        settle();
        server.poll();
        script.is_finished()
    });
    settle();
    server.poll();
    let packets = server.take();
    assert_eq!(packets.len(), 1000);
    for (number, packet) in packets.into_iter().enumerate() {
        assert_eq!(packet, (id, numbered(number as u32, 500)));
    }
}

#[test]
fn a_standalone_peer_holds_no_more_packets_than_max_queued_packets() {
    let (mut peer, mut server) = alone_and_raw(|config| config.max_queued_packets = 3);
    let bytes: Vec<u8> = (0..10).flat_map(|number| frame(0x82, &[number])).collect();
    server.send(&bytes);
    let available = |peer: &Peer| peer.connection().unwrap().borrow().available();
    let mut numbers = Vec::new();
    for expected in [3, 3, 3, 1] {
        settle();
        for _ in 0..3 {
            peer.poll(Instant::now());
        }
        assert_eq!(available(&peer), expected);
        numbers.extend(std::iter::from_fn(|| peer.receive()).map(|message| message.data[0]));
    }
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
}

#[test]
fn what_arrives_while_there_is_no_room_is_read_when_there_is() {
    let (mut peer, mut server) = alone_and_raw(|config| config.max_queued_packets = 3);
    let available = |peer: &Peer| peer.connection().unwrap().borrow().available();
    server.send(&frame(0x82, b"x").repeat(3));
    eventually(|| {
        peer.poll(Instant::now());
        available(&peer) == 3
    });
    // In a segment of its own, which the system tells of once.
    server.send(&[frame(0x82, b"y"), frame(0x88, &[])].concat());
    settle();
    peer.poll(Instant::now());
    while peer.receive().is_some() {}
    let message = until(|| {
        peer.poll(Instant::now());
        peer.receive()
    });
    assert_eq!(message.data, "y");
    reach(&mut peer, State::Closed);
}

#[test]
fn a_poll_takes_a_bounded_number_of_messages_and_the_next_one_the_rest() {
    const MORE: usize = 100;
    let most = 1000;
    let mut server = Node::server();
    server.peer.budget.frames = most;
    server.peer.budget.time = Duration::from_secs(3600);
    let (mut client, _) = server.join_raw();
    // The first one shifts the others: the last read has messages of both polls.
    client.send(&[masked(0x82, &[0; 50]), masked(0x82, b"x").repeat(most + MORE - 1)].concat());
    settle();
    let mut counts = Vec::new();
    while counts.iter().sum::<usize>() < most + MORE {
        server.poll();
        counts.push(server.take().len());
        assert!(counts.len() < 100, "{counts:?}");
    }
    assert!(counts.iter().all(|count| *count <= most), "{counts:?}");
    assert!(counts.contains(&most), "{counts:?}");
}

#[test]
fn a_poll_ends_when_its_time_is_up_and_everybody_gets_a_turn() {
    const CLIENTS: usize = 3;
    let mut server = Node::server();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.join_raw()).collect();
    server.poll_for_nothing();
    for (client, _) in &mut clients {
        client.send(&masked(0x82, b"x").repeat(100));
    }
    settle();
    // Time for one turn.
    server.peer.budget.time = Duration::ZERO;
    let mut served: Vec<i32> = Vec::new();
    for _ in 0..CLIENTS {
        server.poll();
        let packets = server.take();
        let (sender, _) = packets[0];
        assert_eq!(packets.len(), 100);
        assert!(packets.iter().all(|(peer, _)| *peer == sender));
        served.push(sender);
    }
    served.sort_unstable();
    let mut ids: Vec<i32> = clients.iter().map(|(_, id)| *id).collect();
    ids.sort_unstable();
    assert_eq!(served, ids);
}

#[test]
fn newcomers_get_in_one_step_a_poll_when_there_is_no_time_for_them() {
    let mut server = Node::server();
    server.peer.budget.handshakes = Duration::ZERO;
    let clients: Vec<_> = (0..20).map(|_| server.join_raw()).collect();
    assert!(clients.iter().all(|(_, id)| server.peer.connection(*id).is_some()));
}

/// Sends `bytes` over and over while the server polls. Whether its polls came back while it did.
#[track_caller]
fn withstands(server: &mut Node, mut client: Raw, bytes: &[u8]) -> bool {
    let bytes = bytes.repeat(1 + (1 << 18) / bytes.len());
    let start = Instant::now();
    let (stop, stopped) = channel::<()>();
    let flood = std::thread::spawn(move || {
        while stopped.try_recv() == Err(TryRecvError::Empty) && start.elapsed() < FLOOD {
            if client.stream.write_all(&bytes).is_err() {
                break;
            }
        }
    });
    while start.elapsed() < FLOOD / 10 {
        server.poll();
        server.take();
    }
    let came_back = start.elapsed() < FLOOD;
    drop(stop);
    server.run(flood);
    came_back
}

/// The longest that a flood lasts; a poll that does all that there is to do lasts as long.
const FLOOD: Duration = Duration::from_secs(3);

#[test]
fn a_flood_of_control_frames_does_not_hold_up_a_poll() {
    for payload in [&[][..], &[7; 125]] {
        let mut server = Node::server();
        let (client, _) = server.join_raw();
        assert!(withstands(&mut server, client, &masked(0x8a, payload)));
    }
}

#[test]
fn a_flood_of_empty_fragments_does_not_hold_up_a_poll() {
    let mut server = Node::server();
    let (mut client, _) = server.join_raw();
    client.send(&masked(0x02, b"start"));
    assert!(withstands(&mut server, client, &masked(0x00, b"")));
}

#[test]
fn a_flood_of_messages_after_our_close_does_not_hold_up_a_poll() {
    let mut server = Node::server();
    let (client, id) = server.join_raw();
    server.peer.connection(id).unwrap().borrow_mut().close(4000, "");
    assert!(withstands(&mut server, client, &masked(0x82, b"x")));
}

#[test]
fn a_flood_from_a_refused_client_does_not_hold_up_a_poll() {
    let mut server = Node::server();
    let mut client = Raw::connect(server.port());
    client.send(b"nonsense\r\n\r\n");
    server.poll_for_nothing();
    assert!(withstands(&mut server, client, &[b'x'; 1 << 16]));
}

#[test]
fn a_standalone_peer_that_takes_nothing_makes_the_sender_wait() {
    let (mut peer, server) = alone_and_raw(|config| config.max_queued_packets = 3);
    server.stream.set_nonblocking(true).unwrap();
    let bytes: Vec<u8> = (0..255).flat_map(|number| frame(0x82, &[number; 1000])).collect();
    let mut sent = 0;
    let mut stuck = 0;
    // Until the kernel has not taken anything for a while.
    while stuck < 10 {
        peer.poll(Instant::now());
        match (&server.stream).write(&bytes[sent % bytes.len()..]) {
            Ok(count) => {
                sent += count;
                stuck = 0;
            }
            Err(_) => {
                settle();
                stuck += 1;
            }
        }
        assert!(sent < 100_000_000, "the sender does not have to wait");
    }
    assert_eq!(peer.connection().unwrap().borrow().available(), 3);
    // Nothing was dropped.
    let mut received = 0;
    eventually(|| {
        peer.poll(Instant::now());
        while let Some(message) = peer.receive() {
            assert_eq!(message.data, vec![(received % 255) as u8; 1000]);
            received += 1;
        }
        received == sent / (bytes.len() / 255)
    });
    peer.send(Kind::Binary, b"x").unwrap();
}

/// Each poll has somebody who keeps it busy for all the time that it has.
#[test]
fn peers_who_take_all_the_time_keep_nobody_out() {
    let mut server = Node::server();
    let (mut busy, id) = server.join_raw();
    server.peer.budget.time = Duration::ZERO;
    let mut newcomer = Raw::connect(server.port());
    newcomer.send(&support::request());
    settle();
    for _ in 0..20 {
        busy.send(&masked(0x82, b"busy"));
        settle();
        server.poll();
    }
    assert_eq!(server.events.len(), 1, "{:?}", server.events);
    assert_eq!(server.take().first(), Some(&(id, b"busy".to_vec())));
}
