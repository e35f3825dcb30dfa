//! The beginning of all that has to do with updates, and its life.

use std::io;
use std::sync::Arc;
use std::thread;

use super::desk::Desk;
use super::update::Updater;
use super::update_slots::Slots;
use super::{update_line, update_sticks, update_trial};

/// Takes updates from now on: orders, the line, and sticks. `console` shows words to whoever stands before the board.
pub(super) fn start(desk: &Arc<Desk>, slots: Slots, console: fn(&str)) -> io::Result<Arc<Updater>> {
    let updater = Updater::new(desk, slots, console);
    updater.take_note_of_failure();
    updater.look_at_other_slot();
    updater.take_orders();
    update_line::listen(&updater)?;
    let looking = Arc::clone(&updater);
    thread::Builder::new().name("sticks".to_owned()).spawn(move || update_sticks::watch(&looking))?;
    updater.tell();
    Ok(updater)
}

/// Watches a version that is on trial, confirms a healthy one, and follows the disk's coming and going.
pub(super) async fn watch(updater: Arc<Updater>) {
    tokio::join!(update_trial::watch(&updater), follow_disk(&updater));
}

/// Whether updates can be taken may depend on it.
async fn follow_disk(updater: &Updater) {
    let mut volumes = updater.desk.watch_volumes();
    while volumes.changed().await.is_ok() {
        updater.tell();
    }
}
