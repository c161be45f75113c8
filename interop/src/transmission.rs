//! Transmission's daemon, by its RPC.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::client::{Client, Job, Progress};
use crate::daemon::Daemon;
use crate::{Lab, Tool, http};

const PORT: u16 = 9091;

#[derive(Debug)]
pub(crate) struct Transmission {
    daemon: Daemon,
    address: Ipv4Addr,
    progress: Progress,
    looked: Instant,
}

impl Transmission {
    pub(crate) fn start(lab: &Lab, job: &Job<'_>) -> Self {
        let address = job.host.address();
        let folder = lab.folder(&format!("transmission-{address}"));
        std::fs::write(folder.join("settings.json"), settings().to_string()).expect("settings");
        let mut command = Command::new(lab.tool(Tool::Transmission));
        // It refuses names that the locale cannot say.
        command.args(["--foreground", "--log-info", "--config-dir"]).arg(&folder).env("LC_ALL", "C.UTF-8");
        let mut daemon = Daemon::start("Transmission", &mut job.host.run(&command), folder.join("log"));
        let add = json!({ "filename": job.torrent, "download-dir": job.folder });
        let answer = daemon.wait_until("an answer", || call(address, "torrent-add", &add));
        assert!(answer["torrent-added"].is_object(), "Transmission does not take the torrent: {answer}");
        Self { daemon, address, progress: Progress::default(), looked: Instant::now() }
    }
}

/// Nothing that looks for peers elsewhere, and no limit that makes it slow.
fn settings() -> Value {
    json!({
        "dht-enabled": false,
        "lpd-enabled": false,
        "pex-enabled": false,
        "utp-enabled": false,
        "port-forwarding-enabled": false,
        "encryption": 0,
        "preallocation": 0,
        "rpc-port": PORT,
        "rpc-whitelist-enabled": false,
        "rpc-host-whitelist-enabled": false,
        "rpc-authentication-required": false,
        "upload-slots-per-torrent": 14,
    })
}

impl Client for Transmission {
    fn poll(&mut self) -> Progress {
        let fields = json!({ "fields": ["leftUntilDone", "metadataPercentComplete", "status", "peers", "corruptEver"] });
        let answer = call(self.address, "torrent-get", &fields).unwrap_or_default();
        let torrent = &answer["torrents"][0];
        // 4 to 6: waiting for the network, downloading, seeding. Below: stopped, or checking.
        let runs = torrent["status"].as_u64().is_some_and(|status| status >= 4);
        self.progress.complete = runs && torrent["leftUntilDone"] == 0;
        let elapsed = self.looked.elapsed().as_millis() as u64;
        self.looked = Instant::now();
        for peer in torrent["peers"].as_array().into_iter().flatten() {
            if let Some(address) = peer["address"].as_str().and_then(|text| text.parse::<IpAddr>().ok()) {
                let rate = peer["rateToClient"].as_u64().unwrap_or(0);
                *self.progress.received.entry(address).or_default() += rate * elapsed / 1000;
            }
        }
        assert!(torrent["corruptEver"].as_u64().is_none_or(|bytes| bytes == 0), "bad data: {torrent}");
        self.progress.clone()
    }

    fn stop(&mut self) {
        self.daemon.stop();
    }
}

fn call(address: Ipv4Addr, method: &str, arguments: &Value) -> Option<Value> {
    let body = json!({ "method": method, "arguments": arguments }).to_string();
    let send = |headers: &[String]| http::request((address, PORT), "/transmission/rpc", headers, Some(&body));
    let mut answer = send(&[])?;
    // The first answer only tells what must be sent against forged requests.
    if answer.status == 409 {
        let id = answer.header("X-Transmission-Session-Id")?.to_owned();
        answer = send(&[format!("X-Transmission-Session-Id: {id}")])?;
    }
    let mut value: Value = serde_json::from_slice(&answer.body).ok()?;
    Some(value["arguments"].take())
}
