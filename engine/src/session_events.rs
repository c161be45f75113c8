//! What the session tells, as alerts.

use downpour_session::Event;

use crate::alert::AlertKind;
use crate::core::Core;

impl Core {
    pub(crate) fn session_event(&self, event: Event) {
        let (torrent, kind) = match event {
            Event::ConnectionRefused { endpoint, reason, times } => {
                (None, AlertKind::ConnectionRefused { endpoint, reason, times })
            }
            Event::Queued { torrent, waits } => (Some(torrent), AlertKind::Queued { waits }),
            Event::SeedingGoalReached { torrent } => (Some(torrent), AlertKind::SeedingGoalReached),
            _ => return,
        };
        self.alerts.push(torrent, kind);
    }
}
