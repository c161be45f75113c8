//! Our program as one of the clients.

use crate::client::{Client, Job, Progress};
use crate::{Lab, Process, Signal};

#[derive(Debug)]
pub(crate) struct Ours {
    process: Process,
    progress: Progress,
}

impl Ours {
    pub(crate) fn start(lab: &Lab, job: &Job<'_>) -> Self {
        let user = job.host.address().to_string();
        let mut command = lab.downpour(&user, if job.seeds { "seed" } else { "get" });
        command.arg(job.torrent);
        if !job.seeds {
            command.arg("--output");
        }
        command.arg(job.folder).arg("--json");
        Self {
            process: Process::start("downpour", &mut job.host.run(&command)),
            progress: Progress::default(),
        }
    }
}

impl Client for Ours {
    fn poll(&mut self) -> Progress {
        for line in self.process.news() {
            let checked = line["event"] == "checked" && line["good"] == line["total"];
            self.progress.complete |= checked || line["event"] == "finished";
        }
        self.progress.clone()
    }

    fn stop(&mut self) {
        self.process.signal(Signal::Interrupt);
        let status = self.process.wait();
        assert!(status.success(), "downpour: {status}");
    }
}
