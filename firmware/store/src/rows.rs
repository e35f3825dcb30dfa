//! Rows of the index for runs and slices: what lies in which segment, and when.
//!
//! Does not belong here: transactions (`index`), what goes on across segments (`spans`).
//!
//! Invariant: every run of a segment lies within one of its slices, so that a search by time finds the segment.

use evidence::stream;
use hal::{StreamId, WallTime};
use rusqlite::{Connection, Error, Result, Row, params};

use crate::runs::{MAX_ROW_MICROS, SegmentRun};

const COLUMNS: &str = "run.segment, kind, channel, first_sequence, chunks, payload_bytes, run.start_wall_us,
    run.duration_us, format_crc32c, discontinuity, last_chunk_offset_bytes";

/// Adds the rows of a segment.
pub(crate) fn insert(db: &Connection, segment: u64, runs: &[SegmentRun]) -> Result<()> {
    let mut insert = db
        .prepare_cached("INSERT OR REPLACE INTO run VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")?;
    for run in runs {
        insert.execute(params![
            segment as i64,
            run.stream.kind.code(),
            run.stream.channel.get(),
            run.first_sequence as i64,
            chunks(run.first_sequence, run.last_sequence),
            run.payload_bytes as i64,
            run.start.as_unix_micros(),
            run.end.micros_since(run.start),
            run.format,
            run.discontinuity,
            run.last_offset as i64,
        ])?;
    }
    let mut insert = db.prepare_cached("INSERT OR REPLACE INTO slice VALUES (?1, ?2, ?3)")?;
    for (start, end) in slices_of(runs) {
        insert.execute(params![start.as_unix_micros(), segment as i64, end.micros_since(start)])?;
    }
    Ok(())
}

/// Removes one row; that of its slice stays until [`delete_slices`].
pub(crate) fn delete(db: &Connection, run: &SegmentRun) -> Result<()> {
    let mut delete = db.prepare_cached(
        "DELETE FROM run WHERE segment = ?1 AND kind = ?2 AND channel = ?3 AND first_sequence = ?4",
    )?;
    let (kind, channel) = (run.stream.kind.code(), run.stream.channel.get());
    delete.execute(params![run.segment as i64, kind, channel, run.first_sequence as i64]).map(drop)
}

/// Removes the slices that `runs`, all of one segment, have.
pub(crate) fn delete_slices(db: &Connection, segment: u64, runs: &[SegmentRun]) -> Result<()> {
    let mut delete = db.prepare_cached("DELETE FROM slice WHERE start_wall_us = ?1 AND segment = ?2")?;
    for (start, _) in slices_of(runs) {
        delete.execute(params![start.as_unix_micros(), segment as i64])?;
    }
    Ok(())
}

/// The rows of one segment, in order of stream and recording.
pub(crate) fn in_segment(db: &Connection, segment: u64) -> Result<Vec<SegmentRun>> {
    let mut runs: Vec<SegmentRun> = db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM run WHERE segment = ?1"))?
        .query_map([segment as i64], run_row)?
        .collect::<Result<_>>()?;
    runs.sort_by_key(|run| (run.stream, run.first_sequence));
    Ok(runs)
}

/// How many chunks a segment has, and the bytes of their payloads.
pub(crate) fn amount(db: &Connection, segment: u64) -> Result<(u64, u64)> {
    db.prepare_cached("SELECT total(chunks), total(payload_bytes) FROM run WHERE segment = ?1")?
        // Floating point, exact up to 2^53: a damaged index must not make the sum overflow.
        .query_row([segment as i64], |row| Ok((row.get::<_, f64>(0)? as u64, row.get::<_, f64>(1)? as u64)))
}

/// The rows of a stream that touch `from`..`to`, in recording order.
pub(crate) fn touching(
    db: &Connection,
    of: StreamId,
    from: WallTime,
    to: WallTime,
) -> Result<Vec<SegmentRun>> {
    db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM (
             SELECT DISTINCT segment FROM slice
             WHERE start_wall_us >= ?1 AND start_wall_us < ?3 AND start_wall_us + duration_us > ?2
         ) AS near CROSS JOIN run ON run.segment = near.segment
         WHERE kind = ?4 AND channel = ?5 AND run.start_wall_us < ?3 AND run.start_wall_us + run.duration_us > ?2
         ORDER BY first_sequence, run.segment"
    ))?
    .query_map(
        params![
            from.offset_micros(-MAX_ROW_MICROS).as_unix_micros(),
            from.as_unix_micros(),
            to.as_unix_micros(),
            of.kind.code(),
            of.channel.get(),
        ],
        run_row,
    )?
    .collect()
}

/// Every row.
pub(crate) fn count(db: &Connection) -> Result<u64> {
    db.query_row("SELECT count(*) FROM run", [], |row| row.get::<_, i64>(0)).map(|count| count as u64)
}

/// How many chunks `first`..=`last` are, for a column.
pub(crate) fn chunks(first: u64, last: u64) -> i64 {
    last.wrapping_sub(first).wrapping_add(1) as i64
}

/// The last of `chunks` chunks from `first` on.
pub(crate) fn last_of(first: u64, chunks: i64) -> u64 {
    first.wrapping_add(chunks as u64).wrapping_sub(1)
}

/// The stream in two columns.
pub(crate) fn stream_of(channel: u16, kind: u8) -> Result<StreamId> {
    stream(channel, kind).ok_or(Error::IntegralValueOutOfRange(0, i64::from(channel)))
}

/// Stretches of at most an hour that hold all of `runs`.
fn slices_of(runs: &[SegmentRun]) -> Vec<(WallTime, WallTime)> {
    let mut times: Vec<(WallTime, WallTime)> = runs.iter().map(|run| (run.start, run.end)).collect();
    times.sort_unstable();
    let mut slices: Vec<(WallTime, WallTime)> = Vec::new();
    for (start, end) in times {
        match slices.last_mut() {
            // Two that begin at the same time are one row.
            Some(slice) if slice.0 == start || end.micros_since(slice.0) <= MAX_ROW_MICROS => {
                slice.1 = slice.1.max(end);
            }
            _ => slices.push((start, end)),
        }
    }
    slices
}

fn run_row(row: &Row<'_>) -> Result<SegmentRun> {
    let first_sequence = row.get::<_, i64>(3)? as u64;
    let start = WallTime::from_unix_micros(row.get(6)?);
    Ok(SegmentRun {
        segment: row.get::<_, i64>(0)? as u64,
        stream: stream_of(row.get(2)?, row.get(1)?)?,
        first_sequence,
        last_sequence: last_of(first_sequence, row.get(4)?),
        payload_bytes: row.get::<_, i64>(5)? as u64,
        start,
        end: start.offset_micros(row.get(7)?),
        format: row.get(8)?,
        discontinuity: row.get(9)?,
        last_offset: row.get::<_, i64>(10)? as u64,
    })
}
