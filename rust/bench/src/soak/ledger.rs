//! What a client and the server each say of a connection that has ended, compared.

use std::collections::{BTreeMap, HashMap};

use super::plan::{Cut, Leave};
use crate::client::End;

/// A connection: the number of its hall, and the id of the peer.
pub(super) type Name = (usize, u32);

/// What a client says.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) key: u32,
    /// How it was leaving, if it was.
    pub(super) leave: Option<Leave>,
    pub(super) end: End,
    pub(super) sent: u32,
    pub(super) echoed: u32,
    pub(super) heard: u32,
    /// It was not reading, or had not caught up yet.
    pub(super) is_slow: bool,
}

/// Why a connection ended, as the server sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Not by anything that the server did.
    Left,
    /// `disconnect_peer`.
    Kicked,
    /// The same with `force`.
    Forced,
    /// The end of a drain.
    Drained,
    /// `close`.
    Closed,
}

/// What the server says.
#[derive(Clone, Debug)]
pub(super) struct Theirs {
    pub(super) how: How,
    /// 0 if the client had no time to say it.
    pub(super) key: u32,
    pub(super) received: u32,
    pub(super) echoed: u32,
    pub(super) heard: u32,
    /// The last broadcast may not have been sent.
    pub(super) is_unsure: bool,
    /// The server has found something wrong already.
    pub(super) is_broken: bool,
}

enum Half {
    Own(Own),
    Theirs(Theirs),
    /// Something was wrong with the client, and has been told.
    Ignored,
}

#[derive(Default)]
pub(super) struct Ledger {
    /// Connections of which only one side has told.
    open: HashMap<Name, Half>,
    /// Ends by kind.
    pub(super) leaves: BTreeMap<&'static str, u64>,
}

impl Ledger {
    /// A client's connection has ended for it.
    pub(super) fn add_own(&mut self, name: Name, own: Own) -> Result<(), String> {
        match self.open.remove(&name) {
            Some(Half::Theirs(theirs)) => self.close(&own, &theirs),
            Some(Half::Own(_) | Half::Ignored) => Err(format!("two clients had the id {}", name.1)),
            None => {
                self.open.insert(name, Half::Own(own));
                Ok(())
            }
        }
    }

    /// The server says that a connection has ended.
    pub(super) fn add_theirs(&mut self, name: Name, theirs: Theirs) -> Result<(), String> {
        match self.open.remove(&name) {
            Some(Half::Own(own)) => self.close(&own, &theirs),
            Some(Half::Ignored) => Ok(()),
            // The first was of a client that never learnt its id.
            Some(Half::Theirs(_)) | None => {
                self.open.insert(name, Half::Theirs(theirs));
                Ok(())
            }
        }
    }

    /// A client is given up; what the server says of it does not matter.
    pub(super) fn ignore(&mut self, name: Name) {
        if self.open.remove(&name).is_none() {
            self.open.insert(name, Half::Ignored);
        }
    }

    /// Counts an end that needs no comparison.
    pub(super) fn count(&mut self, kind: &'static str) {
        *self.leaves.entry(kind).or_default() += 1;
    }

    /// All ends.
    pub(super) fn ends(&self) -> u64 {
        self.leaves.values().sum()
    }

    /// Clients of whose end the server has said nothing.
    pub(super) fn untold(&self) -> impl Iterator<Item = u32> {
        self.open.values().filter_map(|half| match half {
            Half::Own(own) => Some(own.key),
            Half::Theirs(_) | Half::Ignored => None,
        })
    }

    /// What the server says of clients that have no account of their own, though they have played.
    pub(super) fn strangers(&self) -> impl Iterator<Item = u32> {
        self.open.values().filter_map(|half| match half {
            Half::Theirs(theirs) if theirs.received > 0 => Some(theirs.key),
            _ => None,
        })
    }

    fn close(&mut self, own: &Own, theirs: &Theirs) -> Result<(), String> {
        self.count(kind(own, theirs));
        if theirs.is_broken {
            return Ok(());
        }
        compare(own, theirs)
            .map_err(|problem| format!("client {} ({}): {problem}", own.key, kind(own, theirs)))
    }
}

fn kind(own: &Own, theirs: &Theirs) -> &'static str {
    match (theirs.how, own.leave) {
        (How::Kicked, _) => "disconnected by the server",
        (How::Forced, _) => "disconnected by the server with force",
        (How::Drained, _) => "closed by a drain",
        (How::Closed, _) => "server closed",
        (How::Left, Some(Leave::Close)) => "close frame",
        (How::Left, Some(Leave::Hasty)) => "close frame behind packets",
        (How::Left, Some(Leave::End)) => "end of TCP",
        (How::Left, Some(Leave::Reset)) => "reset",
        (How::Left, Some(Leave::HalfFrame(Cut::End))) => "end within a frame",
        (How::Left, Some(Leave::HalfFrame(Cut::Reset))) => "reset within a frame",
        (How::Left, Some(Leave::Vanish)) => "half-open",
        (How::Left, None) => "lost",
    }
}

/// What must be true of every connection.
fn compare(own: &Own, theirs: &Theirs) -> Result<(), String> {
    let Own { sent, echoed, heard, .. } = *own;
    let ensure = |is_true: bool, problem: &dyn Fn() -> String| {
        if is_true { Ok(()) } else { Err(problem()) }
    };
    let has_name = theirs.key == own.key || theirs.key == 0 && theirs.received == 0;
    ensure(has_name, &|| format!("the server calls it {}", theirs.key))?;
    ensure(theirs.received <= sent, &|| {
        format!("{sent} packets were sent, {} came", theirs.received)
    })?;
    ensure(echoed <= theirs.echoed, &|| {
        format!("{} packets were sent back, {echoed} came", theirs.echoed)
    })?;

    if theirs.how == How::Left {
        ensure(own.leave.is_some(), &|| "it played, and the server lost it".to_owned())?;
        // What comes before an end arrives; only a reset takes it away.
        let ended = matches!(
            own.leave,
            Some(Leave::Close | Leave::Hasty | Leave::End | Leave::HalfFrame(Cut::End))
        );
        ensure(!ended || theirs.received == sent, &|| {
            format!(
                "packets {} to {} were lost on the way to the server",
                theirs.received,
                sent - 1
            )
        })?;
        let said_goodbye = matches!(own.leave, Some(Leave::Close | Leave::Hasty));
        ensure(!said_goodbye || own.end == End::Left, &|| {
            format!("its close frame was not answered: {:?}", own.end)
        })?;
    }
    let was_told = matches!(own.end, End::Left | End::Dismissed);
    if was_told {
        // A close frame comes behind everything else.
        ensure(echoed == theirs.echoed, &|| {
            format!("{} packets were sent back, {echoed} came before the goodbye", theirs.echoed)
        })?;
        let least = theirs.heard - u32::from(theirs.is_unsure && theirs.heard > 0);
        ensure((least..=theirs.heard).contains(&heard), &|| {
            format!("{} broadcasts were sent, {heard} came before the goodbye", theirs.heard)
        })?;
    }
    let listens = matches!(own.leave, None | Some(Leave::Close | Leave::Hasty)) && !own.is_slow;
    if matches!(theirs.how, How::Kicked | How::Forced | How::Drained) && listens {
        ensure(was_told, &|| "it was disconnected without a close frame".to_owned())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Own = Own {
        key: 5,
        leave: Some(Leave::Hasty),
        end: End::Left,
        sent: 10,
        echoed: 6,
        heard: 3,
        is_slow: false,
    };
    const THEIRS: Theirs = Theirs {
        how: How::Left,
        key: 5,
        received: 10,
        echoed: 6,
        heard: 3,
        is_unsure: false,
        is_broken: false,
    };

    fn problem(own: Own, theirs: Theirs) -> Option<String> {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.add_own((0, 77), own), Ok(()));
        ledger.add_theirs((0, 77), theirs).err()
    }

    #[test]
    fn equal_accounts_are_closed() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.add_theirs((0, 77), THEIRS), Ok(()));
        assert_eq!(ledger.add_own((0, 77), OWN), Ok(()));
        assert_eq!(ledger.leaves, BTreeMap::from([("close frame behind packets", 1)]));
        assert_eq!((ledger.untold().count(), ledger.strangers().count()), (0, 0));
    }

    #[test]
    fn what_is_lost_is_named() {
        let lost = problem(OWN, Theirs { received: 8, ..THEIRS }).expect("a problem");
        assert!(lost.contains("client 5") && lost.contains("packets 8 to 9"), "{lost}");
        assert!(problem(Own { echoed: 5, ..OWN }, THEIRS).is_some());
        assert!(problem(Own { heard: 2, ..OWN }, THEIRS).is_some());
        assert_eq!(problem(Own { heard: 2, ..OWN }, Theirs { is_unsure: true, ..THEIRS }), None);
        assert!(problem(Own { heard: 1, ..OWN }, Theirs { is_unsure: true, ..THEIRS }).is_some());
    }

    #[test]
    fn a_reset_may_lose_packets_but_makes_none() {
        let own = Own { leave: Some(Leave::Reset), end: End::Cut, ..OWN };
        assert_eq!(problem(own.clone(), Theirs { received: 8, echoed: 7, ..THEIRS }), None);
        assert!(problem(own.clone(), Theirs { received: 11, ..THEIRS }).is_some());
        assert!(problem(own, Theirs { echoed: 5, ..THEIRS }).is_some());
    }

    #[test]
    fn nobody_is_lost_who_plays() {
        let own = Own { leave: None, end: End::Cut, ..OWN };
        assert!(problem(own.clone(), THEIRS).is_some());
        assert!(problem(own.clone(), Theirs { how: How::Kicked, ..THEIRS }).is_some());
        assert!(problem(own.clone(), Theirs { how: How::Drained, ..THEIRS }).is_some());
        assert_eq!(problem(own.clone(), Theirs { how: How::Closed, ..THEIRS }), None);
        let slow = Own { is_slow: true, ..own };
        assert_eq!(problem(slow, Theirs { how: How::Kicked, ..THEIRS }), None);
    }

    #[test]
    fn both_sides_must_tell() {
        let mut ledger = Ledger::default();
        ledger.add_own((0, 77), OWN).expect("the first");
        ledger.add_theirs((0, 78), THEIRS).expect("the first");
        ledger.add_theirs((0, 79), Theirs { key: 0, received: 0, ..THEIRS }).expect("the first");
        assert_eq!(ledger.untold().collect::<Vec<_>>(), [5]);
        assert_eq!(ledger.strangers().collect::<Vec<_>>(), [5]);
    }
}
