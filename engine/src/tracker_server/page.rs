//! The figures of a tracker, for people and for programs.

use std::fmt::Write;

use downpour_tracker::server::Statistics;

fn figures(statistics: &Statistics, uptime_seconds: u64) -> [(&'static str, u64); 12] {
    [
        ("uptime_seconds", uptime_seconds),
        ("swarms", statistics.swarms),
        ("peers", statistics.peers),
        ("seeds", statistics.seeds),
        ("http_announces", statistics.http_announces),
        ("http_scrapes", statistics.http_scrapes),
        ("udp_connects", statistics.udp_connects),
        ("udp_announces", statistics.udp_announces),
        ("udp_scrapes", statistics.udp_scrapes),
        ("refused", statistics.refused),
        ("expired", statistics.expired),
        ("evicted", statistics.evicted),
    ]
}

pub(super) fn json(statistics: &Statistics, uptime_seconds: u64) -> String {
    let fields = figures(statistics, uptime_seconds).map(|(name, value)| format!("\"{name}\":{value}"));
    format!("{{{}}}\n", fields.join(","))
}

pub(super) fn html(statistics: &Statistics, uptime_seconds: u64) -> String {
    let mut page = String::from(
        "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>Downpour tracker</title><table>\n",
    );
    for (name, value) in figures(statistics, uptime_seconds) {
        // Writing to a string cannot fail.
        let _ =
            writeln!(page, "<tr><th align=\"left\">{}<td align=\"right\">{value}", name.replace('_', " "));
    }
    page + "</table></html>\n"
}
