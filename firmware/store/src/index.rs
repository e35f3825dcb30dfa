//! The index: which run of which stream lies in which segment.
//!
//! SQLite in WAL mode, written after the footage is durable and without waiting for the medium: whatever a power
//! cut takes from it is found again in the segments. Does not belong here: single chunks; footers have those.
//!
//! Invariants
//! - Rows of a segment are there when it is sealed (or given up), all or none.
//! - Until then only its committed bytes are known, and readers scan it that far.

use std::fs;
use std::path::{Path, PathBuf};

use evidence::stream;
use hal::{Pts90k, StreamId, WallTime};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, Transaction, params};

use crate::error::{ErrorKind, StoreError};
use crate::runs::{MAX_ROW_MICROS, SegmentRun};

/// `PRAGMA user_version` of this schema.
const SCHEMA_VERSION: i64 = 1;

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
            // A power cut may take the newest rows, never the database: recovery finds the footage again.
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
            db.prepare_cached("SELECT seq, state, committed_bytes FROM segment ORDER BY seq")?
                .query_map([], segment_row)?
                .collect()
        })
    }

    /// The segments that have no footer.
    pub(crate) fn unsealed(&self) -> Result<Vec<SegmentRow>, StoreError> {
        self.run(|db| {
            db.prepare_cached(
                "SELECT seq, state, committed_bytes FROM segment WHERE state <> 1 ORDER BY seq",
            )?
            .query_map([], segment_row)?
            .collect()
        })
    }

    /// One segment.
    pub(crate) fn segment(&self, segment: u64) -> Result<Option<SegmentRow>, StoreError> {
        self.run(|db| {
            db.prepare_cached("SELECT seq, state, committed_bytes FROM segment WHERE seq = ?1")?
                .query_row([segment as i64], segment_row)
                .optional()
        })
    }

    /// Notes how far the open segment is committed.
    pub(crate) fn set_open(&self, segment: u64, committed_bytes: u64) -> Result<(), StoreError> {
        self.run(|db| {
            db.prepare_cached(UPSERT_SEGMENT)?.execute(params![
                segment as i64,
                State::Open.code(),
                committed_bytes as i64
            ])
        })
        .map(drop)
    }

    /// Replaces everything known of a segment.
    pub(crate) fn close(&mut self, row: SegmentRow, runs: &[SegmentRun]) -> Result<(), StoreError> {
        self.write(|tx| {
            delete(tx, row.segment)?;
            tx.prepare_cached(UPSERT_SEGMENT)?.execute(params![
                row.segment as i64,
                row.state.code(),
                row.committed_bytes as i64
            ])?;
            let mut insert = tx.prepare_cached(INSERT_RUN)?;
            for run in runs {
                insert.execute(params![
                    run.stream.channel.get(),
                    run.stream.kind.code(),
                    run.first_sequence as i64,
                    run.last_sequence as i64,
                    run.segment as i64,
                    run.units as i64,
                    run.payload_bytes as i64,
                    run.start.as_unix_micros(),
                    run.end.as_unix_micros(),
                    run.format,
                    run.discontinuity,
                    run.last_pts.0,
                    run.last_wall.as_unix_micros(),
                    run.last_offset as i64,
                    run.last_hash,
                ])?;
            }
            Ok(())
        })
    }

    /// Forgets segments; returns how many rows went.
    pub(crate) fn forget(&mut self, segments: &[u64]) -> Result<u64, StoreError> {
        self.write(|tx| segments.iter().map(|&segment| delete(tx, segment)).sum())
    }

    /// Streams that have runs.
    pub(crate) fn streams(&self) -> Result<Vec<StreamId>, StoreError> {
        // The primary key begins with both, but SQLite would walk all of it for a DISTINCT: ask by steps.
        let mut streams = Vec::new();
        let mut after: (u16, u8) = (0, 0);
        while let Some((channel, kind)) = self.run(|db| {
            db.prepare_cached(
                "SELECT channel, kind FROM run WHERE (channel, kind) > (?1, ?2) ORDER BY channel, kind LIMIT 1",
            )?
            .query_row(params![after.0, after.1], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
        })? {
            streams.extend(stream(channel, kind));
            after = (channel, kind);
        }
        Ok(streams)
    }

    /// A stream's last run as far as it is indexed.
    pub(crate) fn last(&self, stream: StreamId) -> Result<Option<SegmentRun>, StoreError> {
        self.one(stream, "ORDER BY first_sequence DESC LIMIT 1")
    }

    /// A stream's first run.
    pub(crate) fn first(&self, stream: StreamId) -> Result<Option<SegmentRun>, StoreError> {
        self.one(stream, "ORDER BY first_sequence LIMIT 1")
    }

    fn one(&self, of: StreamId, order: &str) -> Result<Option<SegmentRun>, StoreError> {
        self.run(|db| {
            db.prepare_cached(&format!("{SELECT_RUN} WHERE channel = ?1 AND kind = ?2 {order}"))?
                .query_row(params![of.channel.get(), of.kind.code()], |row| run_row(row, of))
                .optional()
        })
    }

    /// Runs of a stream that touch `from`..`to`, in recording order.
    pub(crate) fn runs(
        &self,
        of: StreamId,
        from: WallTime,
        to: WallTime,
    ) -> Result<Vec<SegmentRun>, StoreError> {
        self.run(|db| {
            db.prepare_cached(&format!(
                "{SELECT_RUN} WHERE channel = ?1 AND kind = ?2 AND start_wall_us >= ?3 AND start_wall_us < ?4
                 AND end_wall_us > ?5 ORDER BY first_sequence"
            ))?
            .query_map(
                params![
                    of.channel.get(),
                    of.kind.code(),
                    from.offset_micros(-MAX_ROW_MICROS).as_unix_micros(),
                    to.as_unix_micros(),
                    from.as_unix_micros()
                ],
                |row| run_row(row, of),
            )?
            .collect()
        })
    }

    /// The runs in one segment, in recording order.
    pub(crate) fn runs_in(&self, segment: u64) -> Result<Vec<SegmentRun>, StoreError> {
        self.run(|db| {
            db.prepare_cached(&format!(
                "{SELECT_RUN} WHERE segment = ?1 ORDER BY channel, kind, first_sequence"
            ))?
            .query_map([segment as i64], |row| {
                let of = stream(row.get("channel")?, row.get("kind")?)
                    .ok_or(rusqlite::Error::IntegralValueOutOfRange(0, row.get("channel")?))?;
                run_row(row, of)
            })?
            .collect()
        })
    }

    /// How many runs there are rows for.
    pub(crate) fn count(&self) -> Result<u64, StoreError> {
        self.run(|db| db.query_row("SELECT count(*) FROM run", [], |row| row.get::<_, i64>(0)))
            .map(|count| count as u64)
    }

    fn run<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        work(&self.db).map_err(|error| failed(&self.path, &error))
    }

    fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let done = self.db.transaction().and_then(|tx| {
            let done = work(&tx)?;
            tx.commit()?;
            Ok(done)
        });
        done.map_err(|error| failed(&self.path, &error))
    }
}

const UPSERT_SEGMENT: &str = "INSERT INTO segment (seq, state, committed_bytes) VALUES (?1, ?2, ?3)
    ON CONFLICT (seq) DO UPDATE SET state = ?2, committed_bytes = ?3";

const INSERT_RUN: &str = "INSERT OR REPLACE INTO run (channel, kind, first_sequence, last_sequence, segment, units,
    payload_bytes, start_wall_us, end_wall_us, format_crc32c, discontinuity, last_pts_90k, last_wall_us,
    last_chunk_offset_bytes, last_chunk_sha256) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";

const SELECT_RUN: &str = "SELECT channel, kind, first_sequence, last_sequence, segment, units, payload_bytes,
    start_wall_us, end_wall_us, format_crc32c, discontinuity, last_pts_90k, last_wall_us, last_chunk_offset_bytes,
    last_chunk_sha256 FROM run";

fn delete(tx: &Transaction<'_>, segment: u64) -> rusqlite::Result<u64> {
    let runs = tx.prepare_cached("DELETE FROM run WHERE segment = ?1")?.execute([segment as i64])?;
    let segments = tx.prepare_cached("DELETE FROM segment WHERE seq = ?1")?.execute([segment as i64])?;
    Ok((runs + segments) as u64)
}

fn segment_row(row: &Row<'_>) -> rusqlite::Result<SegmentRow> {
    Ok(SegmentRow {
        segment: row.get::<_, i64>(0)? as u64,
        state: State::from_code(row.get(1)?),
        committed_bytes: row.get::<_, i64>(2)? as u64,
    })
}

fn run_row(row: &Row<'_>, stream: StreamId) -> rusqlite::Result<SegmentRun> {
    Ok(SegmentRun {
        segment: row.get::<_, i64>("segment")? as u64,
        stream,
        first_sequence: row.get::<_, i64>("first_sequence")? as u64,
        last_sequence: row.get::<_, i64>("last_sequence")? as u64,
        units: row.get::<_, i64>("units")? as u64,
        payload_bytes: row.get::<_, i64>("payload_bytes")? as u64,
        start: WallTime::from_unix_micros(row.get("start_wall_us")?),
        end: WallTime::from_unix_micros(row.get("end_wall_us")?),
        format: row.get("format_crc32c")?,
        discontinuity: row.get("discontinuity")?,
        last_pts: Pts90k(row.get("last_pts_90k")?),
        last_wall: WallTime::from_unix_micros(row.get("last_wall_us")?),
        last_offset: row.get::<_, i64>("last_chunk_offset_bytes")? as u64,
        last_hash: row.get("last_chunk_sha256")?,
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
