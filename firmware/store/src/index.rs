//! The index: which run of which stream lies in which segment.
//!
//! SQLite in WAL mode, written after the footage is durable and without waiting for the medium: whatever a power
//! cut takes from it is found again in the segments. Does not belong here: single chunks, footers have those; the
//! statements for runs (`rows`) and for what goes on across segments (`spans`).
//!
//! Invariants
//! - Rows of a segment are there when it is sealed (or given up), all or none, and so are its share in spans and days.
//! - Until then only its committed bytes are known, and readers scan it that far.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hal::{StreamId, WallTime};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};

use crate::coverage::{Beside, Coverage, Question, coverage};
use crate::error::{ErrorKind, StoreError};
use crate::retention::Class;
use crate::rows;
use crate::runs::{Bounds, SegmentRun};
use crate::segment::{Entry, SegmentHeader};
use crate::spans::{self, Changes};

/// `PRAGMA user_version` of this schema.
const SCHEMA_VERSION: i64 = 3;

const SCHEMA: &str = include_str!("schema.sql");

/// How long a statement waits for another connection's lock, milliseconds: readers never hold one for long.
const BUSY_MILLIS: u64 = 5_000;

/// How far a segment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Being written.
    Open,
    /// Closed, with a footer.
    Sealed,
    /// Closed without a footer, because the device refused it.
    Failed,
}

impl State {
    const fn code(self) -> i64 {
        match self {
            Self::Open => 0,
            Self::Sealed => 1,
            Self::Failed => 2,
        }
    }

    const fn from_code(code: i64) -> Self {
        match code {
            1 => Self::Sealed,
            2 => Self::Failed,
            _ => Self::Open,
        }
    }
}

/// A segment as the index knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentRow {
    pub(crate) segment: u64,
    pub(crate) state: State,
    pub(crate) committed_bytes: u64,
    pub(crate) class: Class,
    /// When it was begun, by the volume's calendar.
    pub(crate) begun: WallTime,
    /// When it was closed, by the volume's calendar; `begun` until then, and where no footer tells.
    pub(crate) closed: WallTime,
    /// The end of its last presentation; `begun` while it is open.
    pub(crate) newest: WallTime,
}

impl SegmentRow {
    /// A segment that is being written.
    pub(crate) fn open(header: &SegmentHeader, committed_bytes: u64) -> Self {
        Self {
            segment: header.segment,
            state: State::Open,
            committed_bytes,
            class: header.class,
            begun: header.created,
            closed: header.created,
            newest: header.created,
        }
    }

    /// A segment that ends at `committed_bytes`; `closed` is what its trailer says, if it has one.
    pub(crate) fn closed(
        header: &SegmentHeader,
        committed_bytes: u64,
        closed: Option<WallTime>,
        entries: &[Entry],
    ) -> Self {
        let state = if closed.is_some() { State::Sealed } else { State::Failed };
        Self {
            state,
            closed: closed.unwrap_or(header.created),
            newest: entries.iter().map(Entry::end).max().unwrap_or(header.created),
            ..Self::open(header, committed_bytes)
        }
    }
}

pub(crate) struct Index {
    db: Connection,
    path: PathBuf,
}

impl Index {
    /// Opens for writing; makes it when there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let opened = Connection::open(path).and_then(|db| {
            db.busy_timeout(std::time::Duration::from_millis(BUSY_MILLIS))?;
            db.pragma_update(None, "journal_mode", "WAL")?;
            // A power cut may take the newest rows, never the database: recovery finds the footage again (docs/adr/0011).
            db.pragma_update(None, "synchronous", "NORMAL")?;
            let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
            if version == 0 {
                db.execute_batch(SCHEMA)?;
                db.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            }
            Ok((db, version))
        });
        let (db, version) = opened.map_err(|error| failed(path, &error))?;
        Self::known(version.max(SCHEMA_VERSION), db, path)
    }

    /// Opens for reading only, beside a writer or without one.
    pub(crate) fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(path, flags).and_then(|db| {
            db.busy_timeout(std::time::Duration::from_millis(BUSY_MILLIS))?;
            let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
            Ok((db, version))
        });
        let (db, version) = opened.map_err(|error| failed(path, &error))?;
        Self::known(version, db, path)
    }

    fn known(version: i64, db: Connection, path: &Path) -> Result<Self, StoreError> {
        if version != SCHEMA_VERSION {
            let what = format!("has schema version {version}, this program knows {SCHEMA_VERSION}");
            return Err(StoreError::new(ErrorKind::Index, path, None, what));
        }
        // Statements that are used again are not planned anew for other values, which would take longer than running them.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .map_err(|error| failed(path, &error))?;
        Ok(Self { db, path: path.to_owned() })
    }

    /// Removes the files of an index.
    pub(crate) fn remove_files(path: &Path) -> Result<(), StoreError> {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            match fs::remove_file(&name) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::io(path, None, "the old index cannot be removed", error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Every segment, in order.
    pub(crate) fn segments(&self) -> Result<Vec<SegmentRow>, StoreError> {
        self.run(|db| {
            db.prepare_cached(&format!("{SELECT_SEGMENT} ORDER BY seq"))?
                .query_map([], segment_row)?
                .collect()
        })
    }

    /// The segments that have no footer.
    pub(crate) fn unsealed(&self) -> Result<Vec<SegmentRow>, StoreError> {
        self.run(|db| {
            db.prepare_cached(&format!("{SELECT_SEGMENT} WHERE state <> 1 ORDER BY seq"))?
                .query_map([], segment_row)?
                .collect()
        })
    }

    /// One segment.
    pub(crate) fn segment(&self, segment: u64) -> Result<Option<SegmentRow>, StoreError> {
        self.run(|db| {
            db.prepare_cached(&format!("{SELECT_SEGMENT} WHERE seq = ?1"))?
                .query_row([segment as i64], segment_row)
                .optional()
        })
    }

    /// Notes how far open segments are committed.
    pub(crate) fn set_open(&mut self, rows: &[SegmentRow]) -> Result<(), StoreError> {
        self.write(|db| {
            for row in rows {
                // Not the state, which would write to the index of unsealed segments too, each second.
                let known = db
                    .prepare_cached("UPDATE segment SET committed_bytes = ?2 WHERE seq = ?1 AND state = ?3")?
                    .execute(params![row.segment as i64, row.committed_bytes as i64, State::Open.code()])?;
                if known == 0 {
                    upsert(db, *row)?;
                }
            }
            Ok(())
        })
    }

    /// Replaces everything known of a segment.
    pub(crate) fn close(&mut self, row: SegmentRow, runs: &[SegmentRun]) -> Result<(), StoreError> {
        self.close_all([(row, runs)])
    }

    /// Replaces everything known of several, in one transaction.
    pub(crate) fn close_all<R: AsRef<[SegmentRun]>>(
        &mut self,
        segments: impl IntoIterator<Item = (SegmentRow, R)>,
    ) -> Result<(), StoreError> {
        self.write(|db| {
            let mut changes = Changes::default();
            for (row, runs) in segments {
                let runs = runs.as_ref();
                delete(db, row.segment, &mut changes)?;
                upsert(db, row)?;
                rows::insert(db, row.segment, runs)?;
                runs.iter().try_for_each(|run| changes.add(db, run))?;
            }
            changes.finish(db)
        })
    }

    /// Forgets segments; returns how many rows went, of segments and runs.
    pub(crate) fn forget(&mut self, segments: &[u64]) -> Result<u64, StoreError> {
        self.write(|db| {
            let mut changes = Changes::default();
            let mut gone = 0;
            for &segment in segments {
                gone += delete(db, segment, &mut changes)?;
            }
            changes.finish(db)?;
            Ok(gone)
        })
    }

    /// Everything that was written is on the medium, whatever happens to the power.
    pub(crate) fn settle(&mut self) -> Result<(), StoreError> {
        self.run(|db| {
            db.pragma_update(None, "synchronous", "FULL")?;
            // A transaction that changes nothing: its commit waits for the medium, and all before it lie before it in the log.
            let settled = db.pragma_update(None, "user_version", SCHEMA_VERSION);
            db.pragma_update(None, "synchronous", "NORMAL")?;
            settled
        })
    }

    /// Streams that have runs, in order.
    pub(crate) fn streams(&self) -> Result<Vec<StreamId>, StoreError> {
        self.run(spans::streams)
    }

    /// A stream's last run in recording order, as far as it is indexed.
    pub(crate) fn last(&self, stream: StreamId) -> Result<Option<SegmentRun>, StoreError> {
        self.run(|db| {
            let Some(span) = spans::last(db, stream)? else { return Ok(None) };
            let rows = rows::touching(db, stream, span.end.offset_micros(-1), span.end.offset_micros(1))?;
            Ok(rows.into_iter().rfind(|row| row.last_sequence == span.last_sequence))
        })
    }

    /// The first moment of a stream's footage and the last one, as far as it is indexed.
    pub(crate) fn bounds(&self, stream: StreamId) -> Result<Option<Bounds>, StoreError> {
        self.run(|db| spans::bounds(db, stream))
    }

    /// The same of every stream that has footage.
    pub(crate) fn all_bounds(&self) -> Result<BTreeMap<StreamId, Bounds>, StoreError> {
        self.run(|db| {
            let snapshot = db.unchecked_transaction()?;
            let mut all = BTreeMap::new();
            for stream in spans::streams(&snapshot)? {
                all.extend(spans::bounds(&snapshot, stream)?.map(|bounds| (stream, bounds)));
            }
            Ok(all)
        })
    }

    /// When streams have footage.
    pub(crate) fn coverage(
        &self,
        question: &Question<'_>,
        beside: &Beside,
    ) -> Result<Vec<Coverage>, StoreError> {
        self.run(|db| {
            // One state of the index for all of it.
            let snapshot = db.unchecked_transaction()?;
            coverage(&snapshot, question, beside)
        })
    }

    /// Whether what is told of a timeline is what the runs make of it, for people if not.
    pub(crate) fn timeline_agrees(&self) -> Result<Result<(), String>, StoreError> {
        let audit = self.run(|db| spans::audit(&*db.unchecked_transaction()?))?;
        Ok(audit.map_err(|at| match at {
            Some((stream, day)) => format!("its timeline of {stream} on the day from {day:?} is wrong"),
            None => "its timeline leaves runs out".to_owned(),
        }))
    }

    /// Runs of a stream that touch `from`..`to`, in recording order.
    pub(crate) fn runs(
        &self,
        of: StreamId,
        from: WallTime,
        to: WallTime,
    ) -> Result<Vec<SegmentRun>, StoreError> {
        self.run(|db| rows::touching(db, of, from, to))
    }

    /// The runs in one segment, in order of stream and recording.
    pub(crate) fn runs_in(&self, segment: u64) -> Result<Vec<SegmentRun>, StoreError> {
        self.run(|db| rows::in_segment(db, segment))
    }

    /// How many chunks a closed segment has, and the bytes of their payloads on disk.
    pub(crate) fn amount(&self, segment: u64) -> Result<(u64, u64), StoreError> {
        self.run(|db| rows::amount(db, segment))
    }

    /// How many runs there are rows for.
    pub(crate) fn count(&self) -> Result<u64, StoreError> {
        self.run(rows::count)
    }

    fn run<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        work(&self.db).map_err(|error| failed(&self.path, &error))
    }

    fn write<T>(&mut self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let done = self.db.transaction().and_then(|transaction| {
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        });
        done.map_err(|error| failed(&self.path, &error))
    }
}

const SELECT_SEGMENT: &str =
    "SELECT seq, state, committed_bytes, class, begun_us, closed_us, newest_us FROM segment";

fn upsert(db: &Connection, row: SegmentRow) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO segment (seq, state, committed_bytes, class, begun_us, closed_us, newest_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (seq) DO UPDATE SET
         state = ?2, committed_bytes = ?3, class = ?4, begun_us = ?5, closed_us = ?6, newest_us = ?7",
    )?
    .execute(params![
        row.segment as i64,
        row.state.code(),
        row.committed_bytes as i64,
        row.class.get(),
        row.begun.as_unix_micros(),
        row.closed.as_unix_micros(),
        row.newest.as_unix_micros(),
    ])
    .map(drop)
}

/// Takes out all rows of a segment; how many.
fn delete(db: &Connection, segment: u64, changes: &mut Changes) -> rusqlite::Result<u64> {
    let runs = rows::in_segment(db, segment)?;
    for run in &runs {
        // One by one: what is left of a span begins or ends at a row that is still there.
        rows::delete(db, run)?;
        changes.remove(db, run)?;
    }
    rows::delete_slices(db, segment, &runs)?;
    let segments = db.prepare_cached("DELETE FROM segment WHERE seq = ?1")?.execute([segment as i64])?;
    Ok((runs.len() + segments) as u64)
}

fn segment_row(row: &Row<'_>) -> rusqlite::Result<SegmentRow> {
    Ok(SegmentRow {
        segment: row.get::<_, i64>(0)? as u64,
        state: State::from_code(row.get(1)?),
        committed_bytes: row.get::<_, i64>(2)? as u64,
        class: Class::new(row.get(3)?).ok_or(rusqlite::Error::IntegralValueOutOfRange(3, row.get(3)?))?,
        begun: WallTime::from_unix_micros(row.get(4)?),
        closed: WallTime::from_unix_micros(row.get(5)?),
        newest: WallTime::from_unix_micros(row.get(6)?),
    })
}

fn failed(path: &Path, error: &rusqlite::Error) -> StoreError {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => ErrorKind::DiskFull,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => ErrorKind::Unwritable,
        Some(ErrorCode::CannotOpen) if !path.exists() => ErrorKind::NotFound,
        Some(ErrorCode::CannotOpen) => ErrorKind::Unwritable,
        Some(ErrorCode::SystemIoFailure) => ErrorKind::Io,
        _ => ErrorKind::Index,
    };
    StoreError::new(kind, path, None, format!("the index failed: {error}"))
}
