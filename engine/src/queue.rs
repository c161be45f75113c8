//! What a host does with the queue and with seeding goals.

use downpour_session::{Input, QueueMove, SeedingGoal};

use crate::handle::TorrentHandle;

impl TorrentHandle {
    /// Whether the queue decides when the torrent runs; it does from the start, as far as
    /// [`Settings::active_downloads`](downpour_session::Settings::active_downloads) and its like are set.
    pub fn set_auto_managed(&self, on: bool) {
        self.core.tell_session(Input::AutoManage { torrent: self.torrent.id, on });
    }

    /// Moves the torrent one place nearer to the front of the queue.
    pub fn queue_position_up(&self) {
        self.move_in_queue(QueueMove::Up);
    }

    /// Moves the torrent one place further back.
    pub fn queue_position_down(&self) {
        self.move_in_queue(QueueMove::Down);
    }

    /// Moves the torrent to the front of the queue.
    pub fn queue_position_top(&self) {
        self.move_in_queue(QueueMove::Top);
    }

    /// Moves the torrent to the end of the queue.
    pub fn queue_position_bottom(&self) {
        self.move_in_queue(QueueMove::Bottom);
    }

    fn move_in_queue(&self, to: QueueMove) {
        self.core.tell_session(Input::MoveInQueue { torrent: self.torrent.id, to });
    }

    /// Its place in the queue, from 0; seeds have places too. `None` if the torrent is gone. O(torrents).
    #[must_use]
    pub fn queue_position(&self) -> Option<usize> {
        self.core.session().queue().position(|torrent| torrent == self.torrent.id)
    }

    /// How long the torrent is seeded when it is finished; `None` for as long as
    /// [`Settings::seeding_goal`](downpour_session::Settings::seeding_goal) says.
    pub fn set_seeding_goal(&self, goal: Option<SeedingGoal>) {
        self.core.tell_session(Input::SeedingGoal { torrent: self.torrent.id, goal });
    }
}
