//! What is measured: the scenarios with their parameters.

/// One load for a server.
pub(crate) struct Case {
    /// What it is called in tables and filters.
    pub(crate) name: String,
    /// The options that the server's script and the clients get.
    pub(crate) options: Vec<(&'static str, String)>,
    /// Of what kind it is: a page of results.
    pub(crate) group: &'static str,
    /// Beside servers of others.
    pub(crate) has_anchors: bool,
    /// Also without a network, which shows what the engine and the script cost.
    pub(crate) has_null: bool,
    /// Only with `--full`.
    pub(crate) takes_long: bool,
}

impl Case {
    fn new(name: impl Into<String>, scenario: &str) -> Self {
        let options = vec![("scenario", scenario.to_owned())];
        Self {
            name: name.into(),
            options,
            group: "",
            has_anchors: false,
            has_null: false,
            takes_long: false,
        }
    }

    /// The number of connections that there are at a time, more or less.
    pub(crate) fn connections(&self) -> u64 {
        let number = |name: &str| {
            let (_, value) = self.options.iter().find(|(key, _)| *key == name)?;
            value.parse::<u64>().ok()
        };
        ["clients", "at_once", "crowd"].into_iter().filter_map(number).sum()
    }

    fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.options.push((key, value.to_string()));
        self
    }

    /// The server works once a frame, sixty times a second.
    fn framed(self) -> Self {
        self.with("pace", "frame")
    }

    fn also_without_network(mut self) -> Self {
        self.has_null = true;
        self
    }

    fn beside_anchors_if(mut self, has_anchors: bool) -> Self {
        self.has_anchors = has_anchors;
        self
    }

    fn long_if(mut self, takes_long: bool) -> Self {
        self.takes_long = takes_long;
        self
    }
}

/// Adds the cases of a group.
type Add = fn(&mut Vec<Case>);

/// All cases, in the order in which they run.
pub(crate) fn all() -> Vec<Case> {
    let groups: [(&str, Add); 8] = [
        ("idle", idle),
        ("echo", echo),
        ("send", send),
        ("flood", flood),
        ("memory", memory),
        ("join", joins),
        ("big", big),
        ("game", games),
    ];
    let mut all = Vec::new();
    for (group, add) in groups {
        let mut cases = Vec::new();
        add(&mut cases);
        cases.iter_mut().for_each(|case| case.group = group);
        all.append(&mut cases);
    }
    all
}

/// Polls that find nothing.
fn idle(cases: &mut Vec<Case>) {
    for peers in [1, 100, 1000, 4000, 8000] {
        cases.push(
            Case::new(format!("idle, {peers} peers"), "idle")
                .also_without_network()
                .with("clients", peers)
                .with("msec", 1000)
                .long_if(peers > 1000),
        );
    }
    cases.push(
        Case::new("idle at 60 Hz, 1000 peers", "idle")
            .also_without_network()
            .with("clients", 1000)
            .with("msec", 2000)
            .framed(),
    );
}

/// Packets that come back; so many are on their way that the server is never without work.
fn echo(cases: &mut Vec<Case>) {
    let mut add = |tls: &str, clients: usize, size: usize| {
        let scheme = if tls == "no" { "ws" } else { "wss" };
        // Within what the built-in class lets wait for a client at its default settings.
        let window = match size {
            ..4096 => (1000 / clients).clamp(4, 32),
            4096..32768 => 2,
            _ => 1,
        };
        cases.push(
            Case::new(format!("echo {scheme}, {size} B, {clients} clients"), "echo")
                .also_without_network()
                .with("clients", clients)
                .with("size", size)
                .with("window", window)
                .with("tls", tls)
                .with("msec", 1000)
                .beside_anchors_if(tls == "no"),
        );
    };
    for clients in [1, 50, 500] {
        add("no", clients, 64);
    }
    for size in [1024, 16384] {
        for clients in [1, 50] {
            add("no", clients, size);
        }
    }
    add("no", 50, 60000);
    for size in [64, 1024, 16384] {
        add("p256", 50, size);
    }
    cases.push(
        Case::new("echo at 60 Hz, 64 B, 50 clients", "echo")
            .also_without_network()
            .with("clients", 50)
            .with("size", 64)
            .with("window", 16)
            .with("msec", 2000)
            .framed(),
    );
}

/// Packets to everybody, or to one.
fn send(cases: &mut Vec<Case>) {
    let mut add = |name: String, target: &str, clients: usize, packets: usize, size: usize| {
        cases.push(
            Case::new(name, "send")
                .also_without_network()
                .with("target", target)
                .with("clients", clients)
                .with("packets", packets)
                .with("size", size)
                .with("warm", 10)
                .with("frames", if clients > 100 { 40 } else { 90 })
                .framed(),
        );
    };
    for peers in [100, 1000] {
        add(format!("broadcast, {peers} peers"), "all", peers, 20, 100);
        add(format!("peer by peer, {peers} peers"), "each", peers, 20, 100);
    }
    add("burst, 200 packets to one peer".to_owned(), "each", 1, 200, 50);
}

/// Packets that come in as fast as clients can send them.
fn flood(cases: &mut Vec<Case>) {
    for clients in [1, 100] {
        cases.push(
            Case::new(format!("flood, 50 B, {clients} clients"), "flood")
                .also_without_network()
                .with("clients", clients)
                .with("size", 50)
                .with("msec", 1000),
        );
    }
}

/// Memory of connections.
fn memory(cases: &mut Vec<Case>) {
    for (scheme, tls) in [("ws", "no"), ("wss", "p256")] {
        cases.push(
            Case::new(format!("memory, {scheme}"), "memory")
                .with("clients", 1100)
                .with("size", 1024)
                .with("window", 1)
                .with("messages", 4)
                .with("tls", tls),
        );
    }
}

/// Clients that come.
fn joins(cases: &mut Vec<Case>) {
    // Polled in a loop: what one costs.
    for (name, tls, resumes) in [
        ("ws", "no", false),
        ("wss, RSA", "rsa", false),
        ("wss, P-256", "p256", false),
        ("wss, P-256, resumed", "p256", true),
    ] {
        let case = Case::new(format!("join {name}"), "joins")
            // Those that stay have a ticket each for those that come.
            .with("clients", if resumes { 4 } else { 1 })
            .with("at_once", 4)
            .with("msec", 1500)
            .with("tls", tls);
        cases.push(if resumes { case.with("resume", "yes") } else { case });
    }
    cases.push(
        Case::new("join at 60 Hz", "joins")
            .with("clients", 1)
            .with("at_once", 100)
            .with("msec", 3000)
            .framed(),
    );
    for (name, tls) in [("ws", "no"), ("wss", "p256")] {
        cases.push(
            Case::new(format!("crowd of 200, {name}"), "crowd")
                .with("clients", 1)
                .with("crowd", 200)
                .with("msec", 20_000)
                .with("tls", tls)
                .framed(),
        );
    }
}

/// Large messages.
fn big(cases: &mut Vec<Case>) {
    for mib in [1, 16] {
        cases.push(
            Case::new(format!("big, {mib} MiB"), "big")
                .also_without_network()
                .with("clients", 1)
                .with("size", mib << 20)
                .with("buffer", mib << 21)
                .with("window", 1)
                .with("msec", 2000),
        );
    }
}

/// What games do, sixty times a second.
fn games(cases: &mut Vec<Case>) {
    cases.push(
        Case::new("active, 10 of 1000 peers a frame", "echo")
            .also_without_network()
            .with("clients", 1000)
            .with("size", 64)
            .with("active", 10)
            .with("msec", 2000)
            .framed(),
    );
    for players in [100, 500] {
        cases.push(
            Case::new(format!("game, {players} players"), "game")
                .also_without_network()
                .with("clients", players)
                .with("size", 200)
                .with("warm", 20)
                .with("frames", 120)
                .framed(),
        );
    }
    for clients in [1, 100] {
        cases.push(
            Case::new(format!("rpc, {clients} clients"), "rpc")
                .also_without_network()
                .with("clients", clients)
                .with("frames", 150)
                .framed(),
        );
    }
}
