//! What is allowed. The table is that of ARCHITECTURE.md.

/// Each crate and the crates that it may use. Crates that are not here are tools: unpublished, and used by nobody.
pub(crate) const ARROWS: [(&str, &[&str]); 17] = [
    ("base", &[]),
    ("bencode", &[]),
    ("metainfo", &["base", "bencode"]),
    ("wire", &["base", "bencode"]),
    ("utp", &["base"]),
    ("dht", &["base", "bencode"]),
    ("tracker", &["base", "bencode"]),
    ("gateway", &["base", "bencode"]),
    ("picker", &["base"]),
    ("storage", &["base", "bencode", "metainfo"]),
    ("swarm", &["base", "metainfo", "wire", "picker"]),
    ("session", &["base", "metainfo", "wire", "utp", "dht", "tracker", "gateway", "swarm"]),
    (
        "engine",
        &[
            "base", "bencode", "metainfo", "wire", "utp", "dht", "tracker", "gateway", "picker", "storage",
            "swarm", "session",
        ],
    ),
    (
        "sim",
        &[
            "base", "bencode", "metainfo", "wire", "utp", "dht", "tracker", "gateway", "picker", "storage",
            "swarm", "session",
        ],
    ),
    ("conformance", &["base", "bencode", "metainfo", "wire", "utp", "dht", "tracker", "gateway", "picker"]),
    ("downpour", &["base", "metainfo", "storage", "swarm", "engine", "sim", "conformance"]),
    ("bindings", &["engine"]),
];

/// The crates below `engine`: no I/O, no clock, no randomness but what they are given.
pub(crate) const PURE: [&str; 11] = [
    "downpour-base",
    "downpour-bencode",
    "downpour-metainfo",
    "downpour-wire",
    "downpour-utp",
    "downpour-dht",
    "downpour-picker",
    "downpour-storage",
    "downpour-swarm",
    "downpour-tracker",
    "downpour-session",
];

/// Crates that bring runtimes, sockets, clocks or global randomness.
const IMPURE: [&str; 24] = [
    "smol",
    "tokio",
    "mio",
    "polling",
    "blocking",
    "futures-lite",
    "socket2",
    "net2",
    "nix",
    "hyper",
    "reqwest",
    "ureq",
    "getrandom",
    "rand",
    "fastrand",
    "oorandom",
    "uuid",
    "ahash",
    "time",
    "chrono",
    "jiff",
    "quanta",
    "tempfile",
    "rayon",
];

/// Whether the back ends that touch files live in this crate.
pub(crate) fn may_use_files(name: &str) -> bool {
    name == "downpour-storage"
}

/// Whether a pure crate may not have `dependency` anywhere below it.
pub(crate) fn is_forbidden(name: &str, dependency: &str) -> bool {
    let system = dependency == "rustix" && !may_use_files(name);
    system || dependency.starts_with("async-") || IMPURE.contains(&dependency)
}

/// The name in the table: the folder's.
pub(crate) fn short(name: &str) -> &str {
    name.strip_prefix("downpour-").unwrap_or(name)
}

/// What a crate may use, or `None` for a tool.
pub(crate) fn arrows(name: &str) -> Option<&'static [&'static str]> {
    ARROWS.iter().find(|(from, _)| *from == short(name)).map(|(_, to)| *to)
}
