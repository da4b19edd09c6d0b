//! What pretended clients send in each scenario.

use std::collections::HashMap;

use crate::calls::Calls;
use crate::steady::Steady;

/// What a poll of a server under a flood brings: many, so that the poll itself does not count.
const FLOOD: u32 = 10_000;
/// The size of a player's input, as in `rust/bench`.
const INPUT_SIZE: usize = 50;

/// The clients' part of a scenario. Clients have numbers from 0 on.
pub(crate) trait Load {
    /// Something may have come.
    fn poll(&mut self);

    /// Packets that wait.
    fn available(&self) -> usize;

    /// Who sent the next packet.
    fn sender(&self) -> usize;

    /// Takes the next packet.
    fn take(&mut self) -> Option<&[u8]>;

    /// The server has sent a packet to a client.
    fn answered(&mut self, _client: usize, _packet: &[u8]) {}
}

/// The load that the options of a run describe, which are those of `rust/bench`. `None` for a
/// scenario that needs a network.
pub(crate) fn choose(options: &HashMap<String, String>, clients: u32) -> Option<Box<dyn Load>> {
    let number = |key: &str| -> Option<u32> { options.get(key)?.parse().ok() };
    let size = || usize::try_from(number("size")?).ok();
    let steady = |each_poll, size| Some(Box::new(Steady::new(clients, each_poll, size)) as Box<_>);
    match options.get("scenario")?.as_str() {
        "idle" | "send" => steady(0, 0),
        // Either some clients in turn, or as many packets of each as may be on their way.
        "echo" | "big" => match number("active") {
            Some(active) => steady(active, size()?),
            None => steady(clients * number("window")?, size()?),
        },
        "flood" => steady(FLOOD, size()?),
        // The input comes thirty times a second, to a server of sixty frames.
        "game" => steady(clients / 2, INPUT_SIZE),
        "rpc" => Some(Box::new(Calls::new(clients))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each_poll(options: &[(&str, &str)], clients: u32) -> Option<usize> {
        let options =
            options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut load = choose(&options, clients)?;
        load.poll();
        Some(load.available())
    }

    #[test]
    fn scenarios_bring_what_their_clients_would_send() {
        let echo = [("scenario", "echo"), ("size", "64"), ("window", "4")];
        assert_eq!(each_poll(&echo, 50), Some(200));
        let active = [("scenario", "echo"), ("size", "64"), ("active", "10")];
        assert_eq!(each_poll(&active, 1000), Some(10));
        assert_eq!(each_poll(&[("scenario", "game")], 100), Some(50));
        assert_eq!(each_poll(&[("scenario", "idle")], 100), Some(0));
    }

    #[test]
    fn what_needs_a_network_or_an_option_has_no_load() {
        assert_eq!(each_poll(&[("scenario", "joins")], 1), None);
        assert_eq!(each_poll(&[("scenario", "flood")], 1), None);
    }
}
