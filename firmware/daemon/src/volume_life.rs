//! One stretch of recording on a volume: opened, recorded and closed by one thread.
//!
//! Does not belong here: when it begins and what follows it (`record_volume`), which channels it takes (`record_volumes`).
//!
//! Invariant: only that thread waits for the volume's disk; whoever looks after it never does.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hal::{ByteCount, Clock, MonoTime};
use recorder::{ChannelChoice, Reached, Recorder, StatusHandle, StopFlag, StoreDesk};
use store::{Cipher, Disk, Keys, Reader, Store, StoreError, StoreOptions};

use crate::account::Account;
use crate::keeping::Keeping;
use crate::loss_tally::LossTally;
use crate::messages::Encryption;
use crate::notary::Books;

/// Said of a disk that has not answered for too long.
pub(crate) const NO_ANSWER: &str = "The disk does not answer.";
/// Said where the log has the details.
const MISTAKE: &str = "The recorder made a mistake. Its log has the details.";

/// How the disk under a volume's folder is reached.
pub(crate) type Disks = Arc<dyn Fn(&Path) -> Arc<dyn Disk> + Send + Sync>;

/// What all volumes have in common; cheap to clone.
#[derive(Clone)]
pub(crate) struct Ground {
    /// What may wait in memory to be written on each.
    pub(crate) pending_bytes: ByteCount,
    /// Of the rings.
    pub(crate) run_dir: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) disks: Disks,
    pub(crate) books: Option<Books>,
    pub(crate) tally: LossTally,
    /// What recorders of other volumes, and of this one before, took.
    pub(crate) reached: Reached,
    /// Called when it is worth while to look after a volume. It never waits.
    pub(crate) wake: Arc<dyn Fn() + Send + Sync>,
}

/// What a volume is opened with.
pub(crate) struct Opening {
    pub(crate) dir: PathBuf,
    pub(crate) options: StoreOptions,
    pub(crate) keys: Keys,
    pub(crate) keeping: Keeping,
    pub(crate) choice: ChannelChoice,
}

/// What there is of a volume that is open.
pub(crate) struct Opened {
    pub(crate) status: StatusHandle,
    pub(crate) reader: Arc<Reader>,
    pub(crate) desk: StoreDesk,
    pub(crate) account: Account,
    encryption: Arc<Mutex<Encryption>>,
}

/// Why a life is over.
pub(crate) enum End {
    /// It could not be opened.
    Refused(StoreError),
    /// Its thread ended.
    Over,
}

/// From the first touch of the disk on.
pub(crate) struct Life {
    dir: PathBuf,
    begun: MonoTime,
    stop: StopFlag,
    /// Tells once how opening went, and is closed when the thread ends.
    line: Receiver<Result<Opened, StoreError>>,
    thread: JoinHandle<Result<(), StoreError>>,
    opened: Option<Opened>,
}

/// It was told to end, and nothing of the volume is held but by its thread.
pub(crate) struct Closing {
    dir: PathBuf,
    told: MonoTime,
    line: Receiver<Result<Opened, StoreError>>,
    thread: JoinHandle<Result<(), StoreError>>,
    account: Option<Account>,
}

impl Life {
    /// # Errors
    /// When there is no thread for it.
    pub(crate) fn begin(ground: &Ground, opening: Opening) -> io::Result<Self> {
        let (tell, line) = mpsc::sync_channel(1);
        let (stop, begun, dir) = (StopFlag::new(), ground.clock.mono(), opening.dir.clone());
        let (flag, ground) = (stop.clone(), ground.clone());
        let thread = thread::Builder::new().name("recorder".to_owned()).spawn(move || {
            let opened = open(&ground, opening);
            let (recorder, opened) = match opened {
                Ok((recorder, opened)) => (Some(recorder), Ok(opened)),
                Err(error) => (None, Err(error)),
            };
            // Nobody may want to know any more.
            let _ = tell.try_send(opened);
            (ground.wake)();
            let ended = recorder.map_or(Ok(()), |recorder| recorder.run(&flag));
            drop(tell);
            (ground.wake)();
            ended
        })?;
        Ok(Self { dir, begun, stop, line, thread, opened: None })
    }

    /// For how long it has been opened by now; `None` once it is open.
    pub(crate) fn opening_for(&self, now: MonoTime) -> Option<Duration> {
        self.opened.is_none().then(|| now.since(self.begun))
    }

    pub(crate) fn opened(&self) -> Option<&Opened> {
        self.opened.as_ref()
    }

    pub(crate) fn opened_mut(&mut self) -> Option<&mut Opened> {
        self.opened.as_mut()
    }

    /// Looks how it goes; `Some` when it is over.
    pub(crate) fn look(&mut self) -> Option<End> {
        match self.line.try_recv() {
            Ok(Ok(opened)) => self.opened = Some(opened),
            Ok(Err(error)) => return Some(End::Refused(error)),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Some(End::Over),
        }
        None
    }

    /// What it says at its end, for people; only where [`Life::look`] told that it is over: this waits for its thread.
    pub(crate) fn last_words(self) -> String {
        let words = match self.thread.join() {
            Ok(Ok(())) => "The recorder ended by itself.".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => MISTAKE.to_owned(),
        };
        if let Some(mut opened) = self.opened {
            opened.account.close(Err(&words));
        }
        words
    }

    /// Has it make all of it durable and end. Answers and files of the disk are let go of, so that it can be unmounted.
    pub(crate) fn close(self, now: MonoTime) -> Closing {
        self.stop.stop();
        let account = self.opened.map(|opened| opened.account);
        Closing { dir: self.dir, told: now, line: self.line, thread: self.thread, account }
    }
}

impl Opened {
    /// Who can read it.
    pub(crate) fn encryption(&self) -> Encryption {
        *self.encryption.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it open for the owner of `keys` from now on; `false` when too much waits already.
    pub(crate) fn renew_keys(&self, dir: PathBuf, keys: Keys) -> bool {
        if self.encryption() == Encryption::Off {
            return true;
        }
        let encryption = Arc::clone(&self.encryption);
        self.desk.order(move |_| {
            let renewed = store::renew_keys(&dir, &keys);
            *encryption.lock().unwrap_or_else(PoisonError::into_inner) = match renewed {
                Ok(true) => Encryption::Recoverable,
                Ok(false) => Encryption::DeviceOnly,
                Err(error) => {
                    // It is tried again when the volume is opened the next time; until then people see it.
                    tracing::error!(%error, dir = %dir.display(), "the volume does not open with the new keys");
                    Encryption::DeviceOnly
                }
            };
        })
    }
}

impl Closing {
    pub(crate) fn is_over(&mut self) -> bool {
        self.wait(Duration::ZERO)
    }

    /// Whether it is the volume in `dir`, told to end less than `limit` ago.
    pub(crate) fn holds(&self, dir: &Path, now: MonoTime, limit: Duration) -> bool {
        self.dir == dir && now.since(self.told) < limit
    }

    /// Waits for its end, for so long; whether it is over.
    pub(crate) fn wait(&mut self, limit: Duration) -> bool {
        loop {
            match self.line.recv_timeout(limit) {
                // It was being opened until now.
                Ok(opened) => self.account = opened.ok().map(|opened| opened.account),
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
    }

    /// Waits for its end, and writes it down.
    ///
    /// # Errors
    /// What was not durable is not.
    pub(crate) fn finish(self) -> Result<(), StoreError> {
        let Self { thread, account, line, .. } = self;
        let account = account.or_else(|| line.try_recv().ok()?.ok().map(|opened| opened.account));
        let ended = thread.join().unwrap_or_else(|_| {
            tracing::error!("the recorder made a mistake while closing the volume");
            Ok(())
        });
        if let Some(mut account) = account {
            let error = ended.as_ref().err().map(ToString::to_string);
            account.close(error.as_deref().map_or(Ok(()), Err));
        }
        ended
    }

    /// Nobody waits for it any more; it is written down that its disk did not answer.
    pub(crate) fn give_up(mut self) {
        tracing::error!(dir = %self.dir.display(), "a volume's disk does not answer; its end is not waited for");
        if let Some(account) = &mut self.account {
            account.close(Err(NO_ANSWER));
        }
    }
}

fn open(ground: &Ground, opening: Opening) -> Result<(Recorder, Opened), StoreError> {
    let Opening { dir, options, keys, keeping, choice } = opening;
    let clock = || Arc::clone(&ground.clock);
    let (mut store, recovery) = Store::open_on((ground.disks)(&dir), &dir, options, &keys, clock())?;
    let encryption = match store.status() {
        store::VolumeStatus { cipher: Cipher::None, .. } => Encryption::Off,
        store::VolumeStatus { recoverable: true, .. } => Encryption::Recoverable,
        _ => Encryption::DeviceOnly,
    };
    tracing::info!(?recovery, dir = %dir.display(), "volume open");
    let reader = Arc::new(Reader::beside(&store)?);
    keeping.apply(&mut store);
    if let Some(books) = &ground.books {
        store.set_witness(Box::new(books.notary()));
    }
    let volume = store.volume();
    let recorder =
        Recorder::new(&ground.run_dir, store, clock()).choose(choice).after(ground.reached.clone());
    let account = Account::open(volume, ground.books.clone(), ground.tally.clone(), recorder.losses());
    let opened = Opened {
        status: recorder.status(),
        reader,
        desk: recorder.desk(),
        account,
        encryption: Arc::new(Mutex::new(encryption)),
    };
    Ok((recorder, opened))
}
