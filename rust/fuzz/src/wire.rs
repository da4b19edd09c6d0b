//! A stream in memory that can stop, be interrupted or break at any byte.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;

use mio_websocket_core::transport::ByteStream;

use crate::memory;

/// Calls that may find nothing to do, one after the other. More of them are a loop without an end.
const MOST_IDLE: usize = 1_000_000;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing can be done now.
    Pause,
    /// Less is moved than could be; the rest can be moved at once.
    Short,
    /// A signal came in between.
    Interrupt,
    /// The stream fails, from then on.
    Fail(ErrorKind),
}

/// The faults on one side of a direction, each after so many bytes more.
#[derive(Debug, Default)]
pub struct Plan {
    steps: VecDeque<(usize, Fault)>,
    failed: Option<ErrorKind>,
}

impl Plan {
    /// Adds a fault `after` so many bytes behind the last one.
    pub fn add(&mut self, after: usize, fault: Fault) {
        memory::uncounted(|| self.steps.push_back((after, fault)));
    }

    /// Forgets the faults that have not come yet.
    pub fn clear(&mut self) {
        self.steps.clear();
    }

    /// Whether there will be no fault any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.failed.is_none()
    }

    /// Whether all faults have come.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether it has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// How many bytes may move now.
    fn allow(&mut self) -> io::Result<usize> {
        if let Some(kind) = self.failed {
            return Err(kind.into());
        }
        while let Some((after, fault)) = self.steps.front().copied() {
            if after > 0 {
                return Ok(after);
            }
            self.steps.pop_front();
            match fault {
                Fault::Short => {}
                Fault::Pause => return Err(ErrorKind::WouldBlock.into()),
                Fault::Interrupt => return Err(ErrorKind::Interrupted.into()),
                Fault::Fail(kind) => {
                    self.failed = Some(kind);
                    return Err(kind.into());
                }
            }
        }
        Ok(usize::MAX)
    }

    fn moved(&mut self, count: usize) {
        if let Some((after, _)) = self.steps.front_mut() {
            *after -= count;
        }
    }
}

/// One direction of a stream.
#[derive(Debug)]
pub struct Way {
    /// Written and not read.
    bytes: VecDeque<u8>,
    /// Nothing more will be written.
    ended: bool,
    /// Nobody will read.
    deaf: bool,
    /// Bytes that it can hold.
    pub room: usize,
    /// Faults that the writer sees.
    pub writes: Plan,
    /// Faults that the reader sees.
    pub reads: Plan,
    /// Bytes that have been written.
    pub written: usize,
    /// Bytes that have been read.
    pub read: usize,
    /// Calls since the last byte was moved.
    idle: usize,
}

impl Default for Way {
    fn default() -> Self {
        Self {
            bytes: VecDeque::new(),
            ended: false,
            deaf: false,
            room: usize::MAX,
            writes: Plan::default(),
            reads: Plan::default(),
            written: 0,
            read: 0,
            idle: 0,
        }
    }
}

impl Way {
    /// Whether bytes wait that can be read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether everything can be written that may come.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.room == usize::MAX && self.writes.is_empty()
    }

    /// Writes `bytes`, whatever the faults and the room.
    pub fn put(&mut self, bytes: &[u8]) {
        self.written += bytes.len();
        memory::uncounted(|| self.bytes.extend(bytes));
    }

    /// Reads everything, whatever the faults.
    pub fn take(&mut self) -> Vec<u8> {
        self.read += self.bytes.len();
        memory::uncounted(|| self.bytes.drain(..).collect())
    }

    /// Ends it: what has been written can still be read.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Whether its writer has ended it.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Forgets all faults to come and lets everything through.
    pub fn heal(&mut self) {
        self.reads.clear();
        self.writes.clear();
        self.room = usize::MAX;
    }

    /// Notes a call, which is not the last when core tries again and again.
    fn call(&mut self) {
        self.idle += 1;
        assert!(self.idle < MOST_IDLE, "it is tried again and again");
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.call();
        let allowed = self.reads.allow()?;
        let count = allowed.min(buffer.len()).min(self.bytes.len());
        if count == 0 {
            return if self.ended { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        }
        self.bytes.read_exact(&mut buffer[..count])?;
        self.reads.moved(count);
        self.read += count;
        self.idle = 0;
        Ok(count)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.call();
        let allowed = self.writes.allow()?;
        if self.deaf || self.ended {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let room = self.room.saturating_sub(self.bytes.len());
        let count = allowed.min(bytes.len()).min(room);
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.put(&bytes[..count]);
        self.writes.moved(count);
        self.idle = 0;
        Ok(count)
    }
}

/// A direction that both of its ends know.
pub type SharedWay = Rc<RefCell<Way>>;

/// A stream: two directions.
#[derive(Clone, Debug, Default)]
pub struct Wire {
    /// From the far end to the near one.
    pub in_: SharedWay,
    /// From the near end to the far one.
    pub out: SharedWay,
}

impl Wire {
    /// The near end, for core; `port` is that of its other end's address.
    #[must_use]
    pub fn near(&self, port: u16) -> Box<dyn ByteStream> {
        Box::new(End { in_: self.in_.clone(), out: self.out.clone(), port })
    }

    /// The far end, where core is at both.
    #[must_use]
    pub fn far(&self, port: u16) -> Box<dyn ByteStream> {
        Box::new(End { in_: self.out.clone(), out: self.in_.clone(), port })
    }

    /// Breaks the stream for the near end, in both directions.
    pub fn reset(&self) {
        self.in_.borrow_mut().reads.failed = Some(ErrorKind::ConnectionReset);
        self.out.borrow_mut().writes.failed = Some(ErrorKind::BrokenPipe);
    }

    /// Forgets all faults to come and lets everything through.
    pub fn heal(&self) {
        self.in_.borrow_mut().heal();
        self.out.borrow_mut().heal();
    }

    /// Bytes that have moved so far; it grows while anything happens.
    #[must_use]
    pub fn traffic(&self) -> usize {
        [&self.in_, &self.out].iter().map(|way| way.borrow().written + way.borrow().read).sum()
    }
}

/// One end, as core holds it.
struct End {
    in_: SharedWay,
    out: SharedWay,
    port: u16,
}

impl Read for End {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.in_.borrow_mut().read(buffer)
    }
}

impl Write for End {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ByteStream for End {
    fn remote(&self) -> Option<SocketAddr> {
        Some(([127, 0, 0, 1], self.port).into())
    }

    fn set_no_delay(&mut self, _enabled: bool) {}

    fn shutdown(&mut self) {
        self.out.borrow_mut().ended = true;
        self.in_.borrow_mut().deaf = true;
    }

    fn is_secure(&self) -> bool {
        false
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.shutdown();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_at_their_byte_and_the_rest_goes_on() {
        let wire = Wire::default();
        let mut near = wire.near(1);
        wire.in_.borrow_mut().put(b"abcdef");
        wire.in_.borrow_mut().reads.add(2, Fault::Pause);
        wire.in_.borrow_mut().reads.add(1, Fault::Interrupt);
        let mut buffer = [0; 10];
        assert_eq!(near.read(&mut buffer).unwrap(), 2);
        assert_eq!(near.read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(near.read(&mut buffer).unwrap(), 1);
        assert_eq!(near.read(&mut buffer).unwrap_err().kind(), ErrorKind::Interrupted);
        assert_eq!(near.read(&mut buffer).unwrap(), 3);
        assert_eq!(&buffer[..3], b"def");
        assert_eq!(near.read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        wire.in_.borrow_mut().end();
        assert_eq!(near.read(&mut buffer).unwrap(), 0);
    }

    #[test]
    fn room_and_failures_bound_what_is_written() {
        let wire = Wire::default();
        let mut near = wire.near(1);
        wire.out.borrow_mut().room = 4;
        wire.out.borrow_mut().writes.add(5, Fault::Fail(ErrorKind::ConnectionReset));
        assert_eq!(near.write(b"abcdef").unwrap(), 4);
        assert_eq!(near.write(b"ef").unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(wire.out.borrow_mut().take(), b"abcd");
        assert_eq!(near.write(b"ef").unwrap(), 1);
        for _ in 0..2 {
            assert_eq!(near.write(b"f").unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
    }

    #[test]
    fn an_end_that_has_gone_is_noticed_at_the_other() {
        let wire = Wire::default();
        let (mut near, mut far) = (wire.near(1), wire.far(2));
        near.write_all(b"last").unwrap();
        drop(near);
        let mut text = String::new();
        far.read_to_string(&mut text).unwrap();
        assert_eq!(text, "last");
        assert_eq!(far.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}
