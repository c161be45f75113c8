//! The only clock of the engine.

use std::time;

use downpour_base::Instant;
use smol::channel::{Receiver, RecvError};

/// Counts from its own start, so that instants of one session are small and comparable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(time::Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(time::Instant::now())
    }

    pub(crate) fn now(self) -> Instant {
        Instant::from_nanos(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Waits until `deadline`, or until `moved` says that there is another; fails when nobody can say so any more.
    pub(crate) async fn wait(self, deadline: Option<Instant>, moved: &Receiver<()>) -> Result<(), RecvError> {
        let due = async {
            match deadline {
                Some(deadline) => smol::Timer::at(self.at(deadline)).await,
                None => std::future::pending().await,
            };
            Ok(())
        };
        smol::future::or(due, moved.recv()).await
    }

    /// When `instant` will be, in the runtime's time.
    pub(crate) fn at(self, instant: Instant) -> time::Instant {
        let far = time::Duration::from_secs(86_400 * 365);
        self.0 + time::Duration::from_nanos(instant.as_nanos()).min(far)
    }
}
