//! aria2, by its JSON-RPC.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::client::{Client, Job, Progress};
use crate::daemon::Daemon;
use crate::{Lab, Tool, http};

const PORT: u16 = 6800;

#[derive(Debug)]
pub(crate) struct Aria2 {
    daemon: Daemon,
    address: Ipv4Addr,
    progress: Progress,
    looked: Instant,
}

impl Aria2 {
    pub(crate) fn start(lab: &Lab, job: &Job<'_>) -> Self {
        let mut command = Command::new(lab.tool(Tool::Aria2));
        command
            .args(["--no-conf", "--enable-rpc", "--rpc-listen-all", "--rpc-save-upload-metadata=false"])
            // It speaks to trackers over UDP only with the socket of its DHT.
            .args(["--enable-dht=true", "--enable-dht6=false", "--dht-listen-port=6881"])
            .args(["--enable-peer-exchange=false", "--bt-enable-lpd=false"])
            .args(["--bt-require-crypto=false", "--disable-ipv6=true", "--seed-ratio=0.0"])
            .args(["--check-integrity=true", "--file-allocation=none", "--disk-cache=0"])
            .args([
                "--summary-interval=0",
                "--show-console-readout=false",
                "--bt-remove-unselected-file=false",
            ])
            .arg(format!("--rpc-listen-port={PORT}"))
            .arg(format!("--dht-file-path={}", lab.path(&format!("dht-{}", job.host.address())).display()))
            .args(["--console-log-level=notice", "--listen-port=6881"])
            .arg("--dir")
            .arg(job.folder)
            .arg(job.torrent);
        let address = job.host.address();
        let log = lab.path(&format!("aria2-{address}.log"));
        let mut daemon = Daemon::start("aria2", &mut job.host.run(&command), log);
        daemon.wait_until("an answer", || call(address, "aria2.tellActive", &json!([])));
        Self { daemon, address, progress: Progress::default(), looked: Instant::now() }
    }
}

impl Client for Aria2 {
    fn poll(&mut self) -> Progress {
        let downloads = call(self.address, "aria2.tellActive", &json!([])).unwrap_or_default();
        let download = &downloads[0];
        let (length, total) = (number(&download["completedLength"]), number(&download["totalLength"]));
        // While it verifies what is there, that counts as verified.
        let verifying =
            download.get("verifiedLength").is_some() || download.get("verifyIntegrityPending").is_some();
        self.progress.complete = total > 0 && length == total && !verifying;
        let elapsed = self.looked.elapsed().as_millis() as u64;
        self.looked = Instant::now();
        let peers = call(self.address, "aria2.getPeers", &json!([download["gid"]])).unwrap_or_default();
        for peer in peers.as_array().into_iter().flatten() {
            if let Some(address) = peer["ip"].as_str().and_then(|text| text.parse::<IpAddr>().ok()) {
                *self.progress.received.entry(address).or_default() +=
                    number(&peer["downloadSpeed"]) * elapsed / 1000;
            }
        }
        self.progress.clone()
    }

    fn stop(&mut self) {
        self.daemon.stop();
    }
}

fn call(address: Ipv4Addr, method: &str, parameters: &Value) -> Option<Value> {
    let body = json!({ "jsonrpc": "2.0", "id": "1", "method": method, "params": parameters }).to_string();
    let answer = http::request((address, PORT), "/jsonrpc", &[], Some(&body))?;
    let mut value: Value = serde_json::from_slice(&answer.body).ok()?;
    Some(value["result"].take())
}

/// aria2 writes numbers as text.
fn number(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}
