//! Limits on one message and on control frames, and what of the protocol is checked: each with a
//! well-behaved client on the same server.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use mio_websocket_core::multiplayer::Event;
use mio_websocket_core::stats::Stats;
use support::{Node, Raw, close_payload, frame, masked, raw_pair};

/// The well-behaved client and its id.
type Good = (Raw, i32);

/// A message of `count` fragments of one byte.
fn fragments(count: usize) -> Vec<u8> {
    let middle = masked(0x00, b"x").repeat(count - 2);
    [masked(0x02, b"x"), middle, masked(0x80, b"x")].concat()
}

/// The same without its end.
fn unfinished(count: usize) -> Vec<u8> {
    [masked(0x02, b"x"), masked(0x00, b"x").repeat(count - 1)].concat()
}

/// Sends `bytes`, for which the connection is closed with `code` and `reason`, while `good` plays on;
/// the counts after it.
#[track_caller]
fn is_closed(server: &mut Node, good: &mut Good, bytes: &[u8], code: u16, reason: &str) -> Stats {
    let (good, good_id) = (&mut good.0, good.1);
    let (mut bad, bad_id) = server.join_raw();
    server.notices();
    bad.send(bytes);
    server.plays_on(good, good_id);
    if server.events.is_empty() {
        server.next_events();
    }
    assert_eq!(server.events, [Event::PeerDisconnected(bad_id)]);
    server.notes_once(&format!("(close code {code})"));
    assert_eq!(bad.frame(), Some((0x88, close_payload(code, reason))));
    assert_eq!(bad.frame(), None);
    server.plays_on(good, good_id);
    server.peer.stats
}

#[test]
fn a_message_may_come_in_max_fragments_frames_and_pings_between_them_do_not_count() {
    let mut server = Node::server_with(|peer| peer.config.max_fragments = 10);
    let (mut client, id) = server.join_raw();
    client.send(&fragments(10));
    client.send(&unfinished(9));
    client.send(&masked(0x89, b"ping").repeat(20));
    client.send(&masked(0x80, b"x"));
    client.send(&fragments(10));
    assert_eq!(server.receive(3), vec![(id, b"x".repeat(10)); 3]);
    for _ in 0..20 {
        assert_eq!(client.frame(), Some((0x8a, b"ping".to_vec())));
    }
    assert_eq!(server.events, []);
}

#[test]
fn more_than_max_fragments_frames_end_the_connection_as_soon_as_they_are_known_to_come() {
    let mut server = Node::server_with(|peer| peer.config.max_fragments = 10);
    let mut good = server.join_raw();
    // The tenth frame is not the last one, so there is one too many.
    let stats = is_closed(&mut server, &mut good, &unfinished(10), 1008, "Too many fragments");
    assert_eq!(stats.closed_fragments, 1);
    let stats = is_closed(&mut server, &mut good, &fragments(11), 1008, "Too many fragments");
    assert_eq!(stats, Stats { closed_fragments: 2, ..unrelated(stats) });
}

#[test]
fn with_one_fragment_allowed_messages_come_whole() {
    let mut server = Node::server_with(|peer| peer.config.max_fragments = 1);
    let mut good = server.join_raw();
    let stats = is_closed(&mut server, &mut good, &masked(0x02, b""), 1008, "Too many fragments");
    assert_eq!(stats.closed_fragments, 1);
}

#[test]
fn the_default_allows_what_the_autobahn_suite_sends() {
    let mut server = Node::server_with(|peer| peer.config.inbound_buffer_size = 65536);
    let (mut client, id) = server.join_raw();
    let script = std::thread::spawn(move || {
        // Its cases 9.3.1 and 9.4.1; there they have 64 bytes each, but for the last.
        client.send(&[unfinished(65536), masked(0x80, b"")].concat());
        client
    });
    assert_eq!(server.receive(1), [(id, b"x".repeat(65536))]);
    let mut good = (support::finish(script), id);
    // Without bytes, to stay below the other limit.
    let endless = [masked(0x02, b""), masked(0x00, b"").repeat(131_071)].concat();
    let stats = is_closed(&mut server, &mut good, &endless, 1008, "Too many fragments");
    assert_eq!(stats.closed_fragments, 1);
}

#[test]
fn a_message_over_the_inbound_buffer_and_a_broken_rule_are_counted_apart() {
    let mut server = Node::server_with(|peer| peer.config.inbound_buffer_size = 1000);
    let mut good = server.join_raw();
    let too_big = [masked(0x02, &[7; 600]), masked(0x80, &[7; 401])].concat();
    let stats = is_closed(&mut server, &mut good, &too_big, 1009, "");
    assert_eq!(stats, Stats { closed_too_big: 1, ..unrelated(stats) });
    let stats = is_closed(&mut server, &mut good, &masked(0x83, b"reserved"), 1002, "");
    assert_eq!((stats.closed_too_big, stats.closed_protocol), (1, 1));
    let stats = is_closed(&mut server, &mut good, &masked(0x81, &[0xff, 0xfe]), 1007, "");
    assert_eq!(stats, Stats { closed_too_big: 1, closed_protocol: 2, ..unrelated(stats) });
}

#[test]
fn text_and_the_reasons_of_closes_must_be_utf_8() {
    let mut server = Node::server();
    let mut good = server.join_raw();
    let cut = [masked(0x01, b"a"), masked(0x80, &[0xc3])].concat();
    let reason = masked(0x88, &[0x03, 0xe8, 0xff]);
    for (bytes, count) in [(cut, 1), (reason, 2)] {
        let stats = is_closed(&mut server, &mut good, &bytes, 1007, "");
        assert_eq!(stats.closed_protocol, count);
    }
    let half_a_code = is_closed(&mut server, &mut good, &masked(0x88, &[3]), 1002, "");
    assert_eq!(half_a_code.closed_protocol, 3);
    let unsendable =
        is_closed(&mut server, &mut good, &masked(0x88, &close_payload(1005, "")), 1002, "");
    assert_eq!(unsendable.closed_protocol, 4);
}

#[test]
fn a_limit_that_is_broken_together_with_the_upgrade_is_counted() {
    let mut server = Node::server_with(|peer| peer.config.max_fragments = 1);
    let mut raw = Raw::connect(server.port());
    raw.send(&[support::request(), masked(0x02, b"")].concat());
    support::eventually(|| {
        server.poll();
        server.peer.stats.closed_fragments == 1
    });
    assert_eq!(server.events, []);
    assert!(raw.head().starts_with("HTTP/1.1 101 "));
    assert_eq!(raw.frame(), Some((0x88, close_payload(1008, "Too many fragments"))));
}

#[test]
fn a_client_has_the_same_limits() {
    let (mut client, mut server) = raw_pair();
    let most = client.peer.config.max_fragments as usize;
    server.send(&frame(0x02, b""));
    server.send(&frame(0x00, b"").repeat(most - 1));
    assert_eq!(client.next_events(), [Event::PeerDisconnected(1)]);
    assert_eq!(client.peer.stats.closed_fragments, 1);
    let (code, payload) = server.frame().unwrap();
    assert_eq!((code, payload.len()), (0x88, 2 + "Too many fragments".len()));
}

#[test]
fn a_client_that_pings_and_does_not_read_is_owed_a_bounded_number_of_bytes() {
    const ROUNDS: usize = 600;
    const PINGS: usize = 100;
    let mut server = Node::server();
    let (mut good, good_id) = server.join_raw();
    let (mut bad, bad_id) = server.join_slow();
    let mut most = 0;
    for round in 0..ROUNDS {
        let payload = [&(round as u32).to_be_bytes()[..], &[7; 121]].concat();
        bad.send(&masked(0x89, &payload).repeat(PINGS));
        server.plays_on(&mut good, good_id);
        most = most.max(server.buffered(bad_id));
    }
    assert!(most > 16 * 1024, "the pings did not pile up: {most}");
    assert!(most < 64 * 1024 + 200, "{most}");
    // When it reads again, the newest of its pings is answered too.
    let reader = std::thread::spawn(move || {
        let newest = (ROUNDS as u32 - 1).to_be_bytes();
        while bad.frame().unwrap().1[..4] != newest {}
        bad
    });
    let mut bad = server.run(reader);
    server.poll_for_nothing();
    assert_eq!(server.buffered(bad_id), 0);
    server.plays_on(&mut bad, bad_id);
}

/// Counts of what has nothing to do with limits.
fn unrelated(stats: Stats) -> Stats {
    Stats {
        accepted: stats.accepted,
        joined: stats.joined,
        closes: stats.closes,
        ..Stats::default()
    }
}
