//! How often a server asks for memory while it echoes small packets.

#![allow(clippy::unwrap_used)] // A test may panic.

mod patience;
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};

use support::{Node, frame, masked};

thread_local! {
    /// Allocations of this thread, while they are counted.
    static COUNT: Cell<Option<u64>> = const { Cell::new(None) };
}

struct Counting;

fn count() {
    // A thread that is ending has nothing to count in.
    let _ = COUNT.try_with(|count| count.set(count.get().map(|count| count + 1)));
}

// SAFETY: every call goes to the system's allocator as it is; the counter does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are those that are asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The allocations that `work` makes.
fn allocations(work: impl FnOnce()) -> u64 {
    COUNT.set(Some(0));
    work();
    COUNT.take().unwrap()
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
    assert_eq!(allocations(|| ()), 0);
}

/// Takes all packets and sends each back; how many there were.
fn echo(server: &mut Node, id: i32) -> usize {
    server.peer.poll(server.clock, false);
    assert_eq!(server.peer.next_event(), None);
    let mut count = 0;
    server.peer.set_target(id);
    while server.peer.available() > 0 {
        let packet = server.peer.get_packet().unwrap();
        server.peer.put_packet(&packet.data).unwrap();
        count += 1;
    }
    server.peer.flush();
    count
}

/// Allocations per 1000 echoed packets of 64 bytes, of which `burst` come at a time.
fn echo_allocations(burst: usize, once_per_frame: bool) -> u64 {
    const PACKETS: usize = 10_000;
    let mut server = Node::server();
    let (raw, id) = server.join_raw();
    let mut stream = raw.stream;
    let request = masked(0x82, &[7; 64]).repeat(burst);
    let expected = frame(0x82, &[7; 64]).repeat(burst);
    let mut answer = vec![0; expected.len()];
    let mut run = |packets: usize| {
        let mut total = 0;
        for _ in 0..packets / burst {
            stream.write_all(&request).unwrap();
            let mut echoed = 0;
            while echoed < burst {
                if once_per_frame {
                    server.next_frame();
                }
                total += allocations(|| echoed += echo(&mut server, id));
            }
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer, expected);
        }
        total
    };
    run(PACKETS / 10);
    run(PACKETS) * 1000 / PACKETS as u64
}

/// What little there is comes from queues that grow for a burst and give their memory back.
#[test]
fn an_echo_of_small_packets_takes_next_to_no_memory() {
    for (burst, once_per_frame, limit) in
        [(1, false, 5), (1, true, 5), (100, false, 100), (100, true, 100)]
    {
        let count = echo_allocations(burst, once_per_frame);
        println!(
            "{count} allocations per 1000 packets, {burst} at a time, once per frame: \
             {once_per_frame}"
        );
        assert!(count <= limit, "{count} is over {limit}");
    }
}
