//! What the ledger hears of a volume: opened, failed, closed, what it did not get.
//!
//! Does not belong here: its segments (`notary`), looking after it (`record_volume`).

use ledger::{Event, Hex, VolumeId};
use recorder::{Losses, StatusHandle};

use crate::loss_tally::LossTally;
use crate::notary::Books;

pub(crate) struct Account {
    volume: VolumeId,
    books: Option<Books>,
    losses: Losses,
    tally: LossTally,
    /// It is written down that it failed, and it was not well since.
    failed: bool,
}

impl Account {
    pub(crate) fn open(volume: [u8; 16], books: Option<Books>, tally: LossTally, losses: Losses) -> Self {
        let account = Self { volume: Hex(volume), books, losses, tally, failed: false };
        account.note(Event::VolumeOpened { volume: account.volume });
        account
    }

    /// Writes down what is new.
    pub(crate) fn look(&mut self, well: bool, status: &StatusHandle) {
        self.note_losses();
        if !well && !self.failed {
            let error = status.get().last_error.unwrap_or_else(|| "The disk does not answer.".to_owned());
            self.note(Event::VolumeFailed { volume: self.volume, error: error.into() });
        }
        self.failed = !well;
    }

    /// Nothing is recorded there any more, for this reason if it is one.
    pub(crate) fn close(&mut self, end: Result<(), &str>) {
        self.note_losses();
        self.note(match end {
            Ok(()) => Event::VolumeClosed { volume: self.volume },
            Err(error) => Event::VolumeFailed { volume: self.volume, error: error.into() },
        });
    }

    fn note_losses(&self) {
        // Also where nobody writes them down: they are not to wait for ever.
        for loss in self.losses.take() {
            self.tally.add(&loss);
            if let Some(books) = &self.books {
                books.note_loss(self.volume, &loss);
            }
        }
    }

    fn note(&self, event: Event) {
        if let Some(books) = &self.books {
            books.note(event);
        }
    }
}
