//! libtorrent, by `python/peer.py`.

use std::net::IpAddr;

use serde_json::Value;

use crate::client::{Client, Job, Progress};
use crate::{Lab, Process};

#[derive(Debug)]
pub(crate) struct Libtorrent {
    process: Process,
    progress: Progress,
}

impl Libtorrent {
    pub(crate) fn start(lab: &Lab, job: &Job<'_>) -> Self {
        let mut command = lab.script("peer.py");
        command.arg(job.torrent).arg(job.folder).args(["--listen", &job.host.address().to_string()]);
        if let Some(limit) = job.upload_limit {
            command.args(["--upload-limit", &limit.to_string()]);
        }
        Self {
            process: Process::start("libtorrent", &mut job.host.run(&command)),
            progress: Progress::default(),
        }
    }

    fn hear(&mut self, line: &Value) {
        self.progress.complete |= line["event"] == "finished";
        for (address, bytes) in line["received"].as_object().into_iter().flatten() {
            if let (Ok(address), Some(bytes)) = (address.parse::<IpAddr>(), bytes.as_u64()) {
                self.progress.received.insert(address, bytes);
            }
        }
        assert!(line["failed_bytes"].as_u64().is_none_or(|bytes| bytes == 0), "bad data: {line}");
    }
}

impl Client for Libtorrent {
    fn poll(&mut self) -> Progress {
        for line in self.process.news() {
            self.hear(&line);
        }
        self.progress.clone()
    }

    fn stop(&mut self) {
        // Its end of the pipe tells it, and it says "finished" only when everything is in the files.
        self.process.close_input();
        self.process.wait();
    }
}
