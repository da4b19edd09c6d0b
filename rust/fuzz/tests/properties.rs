//! What holds for all streams of frames, all heads and all steps. The reference decides.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::time::Instant;

use mio_websocket_core::config::ConnectionConfig;
use mio_websocket_core::peer::Peer;
use mio_websocket_core::websocket::{Kind, Role};
use mio_websocket_fuzz::link::{Given, Link};
use mio_websocket_fuzz::reference::frames::{End, Item, Sender, frame, read};
use mio_websocket_fuzz::targets;
use mio_websocket_fuzz::wire::Fault;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Messages in the tests are not larger than this.
const LIMIT: usize = 2000;

/// A message, the lengths of its fragments, and the pings and pongs behind each of these.
#[derive(Clone, Debug)]
struct Sent {
    is_text: bool,
    data: Vec<u8>,
    cuts: Vec<Index>,
    between: Vec<Item>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let data = prop_oneof![
        ".{0,20}".prop_map(|text| (true, text.into_bytes())),
        vec(any::<u8>(), 0..20).prop_map(|data| (false, data)),
        // All three forms of a length would be too slow; the longest has tests of its own.
        (100..LIMIT).prop_map(|size| (false, vec![7; size])),
    ];
    let control = (any::<bool>(), vec(any::<u8>(), 0..126))
        .prop_map(|(is_ping, data)| if is_ping { Item::Ping(data) } else { Item::Pong(data) });
    (data, vec(any::<Index>(), 0..4), vec(control, 0..3))
        .prop_map(|((is_text, data), cuts, between)| Sent { is_text, data, cuts, between })
}

fn role() -> impl Strategy<Value = Role> {
    select(vec![Role::Client, Role::Server])
}

/// Where to cut something of `len` bytes; in order.
fn places(cuts: &[Index], len: usize) -> Vec<usize> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(len + 1)).collect();
    places.sort_unstable();
    places
}

/// `bytes` in pieces.
fn pieces<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for to in places(cuts, bytes.len()) {
        pieces.push(&bytes[from..to]);
        from = to;
    }
    pieces.push(&bytes[from..]);
    pieces
}

/// The frames of messages, each of which is called with its first byte and payload; and what a
/// reader of them should see.
fn write(messages: &[Sent], mut frame: impl FnMut(u8, &[u8])) -> Vec<Item> {
    let mut items = Vec::new();
    for message in messages {
        let fragments = pieces(&message.data, &message.cuts);
        let mut between = message.between.iter();
        for (index, fragment) in fragments.iter().enumerate() {
            let opcode = match (index, message.is_text) {
                (0, true) => 1,
                (0, false) => 2,
                _ => 0,
            };
            let is_last = index + 1 == fragments.len();
            frame(if is_last { 0x80 | opcode } else { opcode }, fragment);
            if is_last {
                let data = message.data.clone();
                items.push(if message.is_text { Item::Text(data) } else { Item::Binary(data) });
            }
            if let Some(control) = between.next() {
                match control {
                    Item::Ping(data) => frame(0x89, data),
                    Item::Pong(data) => frame(0x8a, data),
                    other => panic!("{other:?} is no ping and no pong"),
                }
                items.push(control.clone());
            }
        }
    }
    items
}

/// The bytes of `messages` as they come to the end `role`, and what they say.
fn bytes_to(role: Role, messages: &[Sent]) -> (Vec<u8>, Vec<Item>) {
    let mask = (role == Role::Server).then_some([0x12, 0xab, 0x00, 0xf7]);
    let mut bytes = Vec::new();
    let items = write(messages, |first, payload| bytes.extend(frame(first, payload, mask)));
    (bytes, items)
}

fn sender_to(role: Role) -> Sender {
    match role {
        Role::Server => Sender::Client,
        Role::Client => Sender::Server,
    }
}

fn config() -> ConnectionConfig {
    ConnectionConfig {
        inbound_buffer_size: LIMIT as i32,
        outbound_buffer_size: 0,
        ..ConnectionConfig::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_split_of_any_messages_in_any_fragments_gives_these_messages(
        role in role(),
        messages in vec(sent(), 0..5),
        cuts in vec(any::<Index>(), 0..8),
        budget in 1..10_usize,
    ) {
        let (bytes, items) = bytes_to(role, &messages);
        let reading = read(&bytes, sender_to(role), LIMIT);
        prop_assert_eq!((reading.items, reading.end), (items, End::Open));
        targets::frames::run_pieces(role, LIMIT, 0, &pieces(&bytes, &cuts), budget);
    }

    #[test]
    fn any_change_of_a_stream_is_judged_as_the_reference_does(
        role in role(),
        messages in vec(sent(), 1..4),
        at in any::<Index>(),
        to in any::<u8>(),
        cuts in vec(any::<Index>(), 0..4),
        close_after in 0..4_u8,
    ) {
        let (mut bytes, _) = bytes_to(role, &messages);
        let at = at.index(bytes.len());
        bytes[at] = to;
        targets::frames::run_pieces(role, LIMIT, close_after, &pieces(&bytes, &cuts), 3);
    }

    #[test]
    fn any_bytes_as_text_in_any_fragments_are_judged_as_the_reference_does(
        text in ".{0,6}",
        removed in 0..4_usize,
        noise in vec(any::<u8>(), 0..2),
        cuts in vec(any::<Index>(), 0..3),
        splits in vec(any::<Index>(), 0..4),
    ) {
        let mut data = text.into_bytes();
        data.truncate(data.len().saturating_sub(removed));
        data.extend(noise);
        let sent = Sent { is_text: true, data, cuts, between: Vec::new() };
        let (bytes, _) = bytes_to(Role::Client, &[sent]);
        targets::frames::run_pieces(Role::Client, LIMIT, 0, &pieces(&bytes, &splits), 3);
    }

    #[test]
    fn any_messages_go_through_a_whole_connection_that_stops_anywhere(
        messages in vec(sent(), 0..5),
        sends in vec(".{0,100}", 0..5),
        reads in vec(0..200_usize, 0..6),
        writes in vec(0..200_usize, 0..6),
    ) {
        let mut link = Link::new(Role::Server);
        let mut peer = Peer::default();
        peer.configure(|own| *own = config());
        peer.accept(link.wire.near(1)).unwrap();
        link.upgrade(None);
        write(&messages, |first, payload| link.send_frame(first, payload));
        for after in &reads {
            link.wire.in_.borrow_mut().reads.add(*after, Fault::Pause);
        }
        for after in &writes {
            link.wire.out.borrow_mut().writes.add(*after, Fault::Interrupt);
            link.wire.out.borrow_mut().writes.add(0, Fault::Pause);
        }
        let now = Instant::now();
        let mut received = Vec::new();
        let mut given = Vec::new();
        for _ in 0..30 {
            peer.poll(now);
            while let Some(message) = peer.receive() {
                received.push((message.kind == Kind::Text, message.data.to_vec()));
            }
            if let Some(text) = sends.get(given.len())
                && peer.send(Kind::Text, text.as_bytes()).is_ok()
            {
                let data = text.clone().into_bytes();
                given.push(Given { is_text: true, data, is_certain: true });
            }
        }
        prop_assert_eq!(given.len(), sends.len());
        link.collect();
        let judgement = link.judge(LIMIT, &[]);
        judgement.check_received(&received, true);
        judgement.check_written(0, &given, true);
    }

    #[test]
    fn any_change_of_a_request_is_judged_as_the_reference_does(
        settings in 0..4_u8,
        protocol in select(vec!["", "Sec-WebSocket-Protocol: a,c\r\n"]),
        at in any::<Index>(),
        removed in 0..12_usize,
        added in vec(any::<u8>(), 0..8),
    ) {
        let mut head = format!(
            "GET /a?b HTTP/1.1\r\nHost: h\r\nUpgrade: x, websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             {protocol}\r\n"
        )
        .into_bytes();
        let at = at.index(head.len());
        head.splice(at..(at + removed).min(head.len()), added);
        targets::request_head::run(&[&[settings], head.as_slice()].concat());
    }

    #[test]
    fn any_change_of_an_answer_is_judged_as_the_reference_does(
        settings in 0..4_u8,
        protocol in select(vec!["", "Sec-WebSocket-Protocol: a\r\n"]),
        at in any::<Index>(),
        removed in 0..12_usize,
        added in vec(any::<u8>(), 0..8),
    ) {
        let mut head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{protocol}\r\n"
        )
        .into_bytes();
        let at = at.index(head.len());
        head.splice(at..(at + removed).min(head.len()), added);
        targets::answer_head::run(&[&[settings], head.as_slice()].concat());
    }

    #[test]
    fn a_player_cannot_pretend_to_be_somebody_else(
        header in 1..4_u8,
        in_two_lines in 0..2_u8,
        forged in "(for=|by=|\"|\\\\|,|;|\\[|\\]|:80|10\\.0\\.0\\.1|1\\.2\\.3\\.4|::1|unknown| |é){0,12}",
    ) {
        targets::proxy::run(&[&[header, in_two_lines], forged.as_bytes()].concat());
    }

    #[test]
    fn any_url_is_taken_as_it_is_written_or_refused(
        text in "((ws|wss|http)://)?([a-zé]{0,3}@)?(\\[[0-9a-f:.]{0,9}\\]|[a-zA-Z.é%]{0,9})(:[0-9]{0,6})?(/[ -~é]{0,9})?(#.{0,4})?",
    ) {
        targets::url::run(text.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_steps_keep_the_promises_of_a_connection(script in vec(any::<u8>(), 0..200)) {
        targets::connection::run(&script);
    }

    #[test]
    fn any_steps_keep_the_promises_of_a_multiplayer_peer(script in vec(any::<u8>(), 0..200)) {
        targets::multiplayer::run(&script);
    }

    #[test]
    fn any_steps_keep_the_promises_of_a_pair(script in vec(any::<u8>(), 0..100)) {
        targets::pair::run(&script);
    }
}
