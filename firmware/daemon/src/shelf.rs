//! The volumes that can be read now, as one, and the files planned of them.
//!
//! Does not belong here: opening volumes (`record_volumes`), questions and answers (`footage_server`).
//!
//! Invariant: when a volume goes, nothing here holds a file of it any more, so that it can be unmounted.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::{Cut, Movie, MovieChannel, MovieRequest, Reader, StoreError};

use crate::footage::FileOf;
use crate::record_ledger::RecordLedger;
use crate::vouchers::{By, prove};

/// Plans kept: a player reads one many times; a plan of an hour has some 100 000 samples, 3 MB.
const MAX_PLANS: usize = 8;

/// Shared by the recorder, which says what there is, and whoever answers questions.
#[derive(Default)]
pub(crate) struct Shelf {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    readers: Vec<Arc<Reader>>,
    /// All of them as one; `None` while there is none.
    joined: Option<Reader>,
    /// Another one whenever the volumes are others.
    generation: u64,
    /// The one that was asked for last is the first.
    plans: VecDeque<Kept>,
    /// Connections on which footage is being sent, by number.
    playing: BTreeMap<u64, UnixStream>,
    next_number: u64,
}

/// A planned file.
struct Kept {
    file: FileOf,
    /// Who saved it, where it has a proof, and the etag it had before.
    proven: Option<(String, String)>,
    movie: Arc<Movie>,
}

/// A connection on which footage is being sent.
pub(crate) struct Playing {
    shelf: Arc<Shelf>,
    number: u64,
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.shelf.lock().playing.remove(&self.number);
    }
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on these are read. Plans are let go of, and what is being sent ends: it may be of a volume that is gone.
    pub(crate) fn set(&self, readers: Vec<Arc<Reader>>) {
        let mut state = self.lock();
        let same = |(one, other): (&Arc<Reader>, &Arc<Reader>)| Arc::ptr_eq(one, other);
        if readers.len() == state.readers.len() && readers.iter().zip(&state.readers).all(same) {
            return;
        }
        state.joined = (!readers.is_empty()).then(|| Reader::together(readers.iter().map(AsRef::as_ref)));
        state.readers = readers;
        state.generation += 1;
        state.plans.clear();
        for socket in std::mem::take(&mut state.playing).into_values() {
            // Its reader may be gone already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// No plan is kept any more: a volume's key is another one, or gone.
    pub(crate) fn forget_plans(&self) {
        self.lock().plans.clear();
    }

    /// All volumes as one; `None` while there is none. Not to be kept.
    pub(crate) fn reader(&self) -> Option<Reader> {
        self.lock().joined.clone()
    }

    /// How many volumes there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().readers.len()
    }

    /// Ends what is sent on `socket` when the volumes change, until the answer is dropped.
    pub(crate) fn playing(self: &Arc<Self>, socket: &UnixStream) -> io::Result<Playing> {
        let socket = socket.try_clone()?;
        let mut state = self.lock();
        let number = state.next_number;
        state.next_number += 1;
        state.playing.insert(number, socket);
        Ok(Playing { shelf: Arc::clone(self), number })
    }

    /// Plans a file anew: footage goes on being written.
    ///
    /// # Errors
    /// As [`Movie::plan_all`].
    pub(crate) fn plan(&self, file: &FileOf) -> Result<Arc<Movie>, StoreError> {
        let (movie, generation) = self.planned(file, Cut::Units)?;
        Ok(self.keep(Kept { file: file.clone(), proven: None, movie: Arc::new(movie) }, generation))
    }

    /// Plans a file with its proof, and writes down who saves it. Whoever asks for the same again, to go on where a download
    /// broke off, gets the very same file as long as it is kept. Without a ledger there is no proof.
    ///
    /// # Errors
    /// As [`Movie::plan_all`].
    pub(crate) fn export(
        &self,
        file: &FileOf,
        by: &By<'_>,
        ledger: Option<&RecordLedger>,
    ) -> Result<Arc<Movie>, StoreError> {
        let Some(ledger) = ledger else { return self.plan(file) };
        let (movie, generation) = self.planned(file, Cut::Chunks)?;
        let proven = Some((by.user.to_owned(), movie.etag().to_owned()));
        if let Some(kept) = self.find(|kept| kept.file == *file && kept.proven == proven) {
            return Ok(kept);
        }
        match prove(movie, file, by, ledger) {
            Ok(movie) => {
                let movie = Arc::new(movie);
                Ok(self.keep(Kept { file: file.clone(), proven, movie }, generation))
            }
            Err(error) => {
                tracing::error!(%error, "an export goes out without proof");
                self.plan(file)
            }
        }
    }

    /// The file as of now, and of which volumes.
    fn planned(&self, file: &FileOf, cut: Cut) -> Result<(Movie, u64), StoreError> {
        let (reader, generation) = {
            let state = self.lock();
            (state.joined.clone().unwrap_or_else(|| Reader::together([])), state.generation)
        };
        Ok((Movie::plan_all(&reader, &request(file, cut))?, generation))
    }

    fn keep(&self, fresh: Kept, generation: u64) -> Arc<Movie> {
        let movie = Arc::clone(&fresh.movie);
        let mut state = self.lock();
        if state.generation == generation {
            // A reader may be in the middle of an older plan of the same file: it is kept beside, by its etag.
            state.plans.retain(|kept| kept.file != fresh.file || kept.movie.etag() != movie.etag());
            state.plans.push_front(fresh);
            state.plans.truncate(MAX_PLANS);
        }
        movie
    }

    /// The newest kept plan that `is_wanted`, which is kept longest from now on.
    fn find(&self, is_wanted: impl Fn(&Kept) -> bool) -> Option<Arc<Movie>> {
        let mut state = self.lock();
        let at = state.plans.iter().position(is_wanted)?;
        let found = state.plans.remove(at)?;
        let movie = Arc::clone(&found.movie);
        state.plans.push_front(found);
        Some(movie)
    }

    /// The file of that etag; `None` when the same request no longer makes the same file.
    ///
    /// # Errors
    /// As [`Shelf::plan`].
    pub(crate) fn kept_or_planned(
        &self,
        file: &FileOf,
        etag: &str,
    ) -> Result<Option<Arc<Movie>>, StoreError> {
        let kept = self.find(|kept| kept.file == *file && kept.movie.etag() == etag);
        match kept {
            Some(movie) => Ok(Some(movie)),
            None => Ok(Some(self.plan(file)?).filter(|movie| movie.etag() == etag)),
        }
    }
}

fn request(file: &FileOf, cut: Cut) -> MovieRequest {
    let named = |(channel, title): &(_, String)| MovieChannel { channel: *channel, name: title.clone() };
    let channels = file.channels.iter().map(named).collect();
    MovieRequest { channels, start: file.start, end: file.end, cut }
}
