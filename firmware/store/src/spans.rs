//! The index's spans and days: footage across segments, kept up with them.
//!
//! Does not belong here: transactions (`index`), single segments (`rows`), what a timeline makes of it (`coverage`).
//!
//! Invariants
//! - Spans are what joining all rows of `run`, day by day in recording order, makes of them; days are what their
//!   spans make of them. In whichever order segments are closed and forgotten, the rows are the same.
//! - All chunks of a span begin on its day; the last one may end on the next.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use hal::{ChannelId, StreamId, StreamKind, WallTime};
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use crate::rows::{self, chunks, last_of, stream_of};
use crate::runs::{Bounds, DAY_MICROS, RUN_GAP_MICROS, SegmentRun, Span, day_of};

/// A bit of [`Day::slots`].
pub(crate) const SLOT_MICROS: i64 = 300_000_000;

/// Bytes of [`Day::slots`].
pub(crate) const SLOT_BYTES: usize = (DAY_MICROS / SLOT_MICROS / 8) as usize;

const SLOTS: usize = 8 * SLOT_BYTES;
const SLOT_WORDS: usize = SLOTS.div_ceil(64);

/// A row of `span`, and what its key has beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stored {
    span: Span,
    first_segment: u64,
}

/// A stream's day from afar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Day {
    pub(crate) day: i64,
    pub(crate) stream: StreamId,
    /// How many spans it has.
    pub(crate) spans: u64,
    pub(crate) last_sequence: u64,
    pub(crate) start: WallTime,
    pub(crate) end: WallTime,
    /// A bit per [`SLOT_MICROS`], the lowest bit of a byte first: whether there is footage.
    pub(crate) slots: [u8; SLOT_BYTES],
}

impl Day {
    fn of(day: i64, spans: &[Span]) -> Option<Self> {
        let first = spans.first()?;
        let mut this = Self {
            day,
            stream: first.stream,
            spans: spans.len() as u64,
            last_sequence: 0,
            start: first.start,
            end: first.end,
            slots: [0; SLOT_BYTES],
        };
        for span in spans {
            this.last_sequence = this.last_sequence.max(span.last_sequence);
            this.start = this.start.min(span.start);
            this.end = this.end.max(span.end);
            let offset = span.start.as_unix_micros().rem_euclid(DAY_MICROS);
            // A moment belongs to what comes after it, an end to what was before.
            let last = offset + (span.end.micros_since(span.start) - 1).clamp(0, DAY_MICROS);
            for slot in offset / SLOT_MICROS..=(last / SLOT_MICROS).min(SLOTS as i64 - 1) {
                this.slots[slot as usize / 8] |= 1 << (slot % 8);
            }
        }
        Some(this)
    }

    /// How many stretches of slots with footage there are.
    pub(crate) fn stretch_count(&self) -> usize {
        let mut before = 0;
        let begins = self.words().map(|word| {
            let begin = word & !(word << 1 | before);
            before = word >> 63;
            begin.count_ones() as usize
        });
        begins.iter().sum()
    }

    /// Appends the stretches of slots with footage, within what there is of the day, to those of earlier days; gaps of at most
    /// `gap` microseconds are left out.
    pub(crate) fn stretches(&self, gap: i64, into: &mut Vec<(WallTime, WallTime)>) {
        let begin = beginning_of(self.day);
        let words = self.words();
        // Of slots with footage, how far apart they are where the gap between them is left out.
        let reach = usize::try_from(gap / SLOT_MICROS).map_or(SLOTS, |slots| slots.saturating_add(1));
        let mut slot = next_slot(&words, 0, true);
        while slot < SLOTS {
            let from_slot = begin.offset_micros(slot as i64 * SLOT_MICROS);
            // Only the first stretch can begin before the day's footage.
            let start = from_slot.max(self.start);
            // From the end of one run to the last slot within reach, and not from run to run: there may be a hundred.
            let mut last = next_slot(&words, slot, false) - 1;
            while let Some(farther) = last_slot(&words, last + 1, last.saturating_add(reach)) {
                last = next_slot(&words, farther, false) - 1;
            }
            let next = next_slot(&words, last + 1, true);
            let end =
                if next < SLOTS { begin.offset_micros((last + 1) as i64 * SLOT_MICROS) } else { self.end };
            match into.last_mut() {
                Some(last) if start.micros_since(last.1) <= gap => last.1 = last.1.max(end),
                _ => into.push((start, end)),
            }
            slot = next;
        }
    }

    /// The slots, 64 a word, the lowest bit first; behind the last one there is no footage.
    fn words(&self) -> [u64; SLOT_WORDS] {
        let mut words = [0; SLOT_WORDS];
        for (word, bytes) in words.iter_mut().zip(self.slots.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(whole);
        }
        words
    }
}

/// The first slot from `from` on that has footage, or has none; [`SLOTS`] when there is none.
fn next_slot(words: &[u64; SLOT_WORDS], from: usize, with_footage: bool) -> usize {
    let mut at = from;
    while at < SLOTS {
        let word = if with_footage { words[at / 64] } else { !words[at / 64] } >> (at % 64);
        if word != 0 {
            return (at + word.trailing_zeros() as usize).min(SLOTS);
        }
        at = (at / 64 + 1) * 64;
    }
    SLOTS
}

/// The last slot from `first` to `last` that has footage.
fn last_slot(words: &[u64; SLOT_WORDS], first: usize, last: usize) -> Option<usize> {
    let last = last.min(SLOTS - 1);
    let mut end = last + 1;
    while first < end {
        let word = (end - 1) / 64;
        let found = words[word] & (u64::MAX >> (64 * (word + 1) - end));
        if found != 0 {
            let slot = 64 * word + 63 - found.leading_zeros() as usize;
            return (slot >= first).then_some(slot);
        }
        end = 64 * word;
    }
    None
}

/// What changed, until the days are made to agree.
#[derive(Default)]
pub(crate) struct Changes(BTreeSet<(i64, StreamId)>);

impl Changes {
    /// Takes in a row that is in `run` now.
    pub(crate) fn add(&mut self, db: &Connection, run: &SegmentRun) -> Result<()> {
        let day = day_of(run.start);
        self.0.insert((day, run.stream));
        let before = at_or_before(db, day, run.stream, run.last_sequence)?;
        if before.is_some_and(|before| before.span.last_sequence >= run.first_sequence) {
            // Only a damaged volume has a chunk's number twice.
            return rebuild(db, day, run.stream);
        }
        let mut fresh = Stored { span: run.span(), first_segment: run.segment };
        if let Some(before) = before.filter(|before| before.span.joins(&fresh.span)) {
            fresh = Stored { span: extended(before.span, &fresh.span), ..before };
        }
        let after = at_or_before(db, day, run.stream, run.last_sequence.wrapping_add(1))?;
        let after = after.filter(|after| after.span.first_sequence > run.last_sequence);
        if let Some(after) = after.filter(|after| fresh.span.joins(&after.span)) {
            delete(db, day, &after)?;
            fresh.span.extend(&after.span);
        }
        insert(db, day, &fresh)
    }

    /// Takes out a row that is in `run` no more; those that it went on from and in still are.
    pub(crate) fn remove(&mut self, db: &Connection, run: &SegmentRun) -> Result<()> {
        let day = day_of(run.start);
        self.0.insert((day, run.stream));
        let Some(old) = at_or_before(db, day, run.stream, run.first_sequence)?
            .filter(|old| old.span.last_sequence >= run.last_sequence)
        else {
            return rebuild(db, day, run.stream);
        };
        let near = |at: WallTime| {
            let (from, to) = (at.offset_micros(-RUN_GAP_MICROS - 1), at.offset_micros(RUN_GAP_MICROS + 1));
            rows::touching(db, run.stream, from, to)
        };
        let mut kept = Vec::new();
        if old.span.first_sequence < run.first_sequence {
            let last = near(run.start)?.into_iter().find(|row| row.last_sequence + 1 == run.first_sequence);
            let Some(last) = last else { return rebuild(db, day, run.stream) };
            let span = Span { last_sequence: last.last_sequence, end: last.end, ..old.span };
            kept.push(Stored { span, ..old });
        }
        if old.span.last_sequence > run.last_sequence {
            let first = near(run.end)?.into_iter().find(|row| row.first_sequence == run.last_sequence + 1);
            let Some(first) = first else { return rebuild(db, day, run.stream) };
            let (last_sequence, end) = (old.span.last_sequence, old.span.end);
            let span = Span { last_sequence, end, ..first.span() };
            kept.push(Stored { span, first_segment: first.segment });
        }
        delete(db, day, &old)?;
        kept.iter().try_for_each(|kept| insert(db, day, kept))
    }

    /// Makes the days agree with their spans.
    pub(crate) fn finish(self, db: &Connection) -> Result<()> {
        for (day, stream) in self.0 {
            let spans: Vec<Span> = spans_of(db, day, stream)?.iter().map(|stored| stored.span).collect();
            let (kind, channel) = (stream.kind.code(), stream.channel.get());
            let Some(sum) = Day::of(day, &spans) else {
                db.prepare_cached("DELETE FROM day WHERE day = ?1 AND kind = ?2 AND channel = ?3")?
                    .execute(params![day, kind, channel])?;
                continue;
            };
            // Not REPLACE, which would write to the index by streams too.
            db.prepare_cached(
                "INSERT INTO day VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET
                 spans = ?4, last_sequence = ?5, start_wall_us = ?6, duration_us = ?7, slots = ?8",
            )?
            .execute(params![
                day,
                kind,
                channel,
                sum.spans as i64,
                sum.last_sequence as i64,
                sum.start.as_unix_micros(),
                sum.end.micros_since(sum.start),
                sum.slots,
            ])?;
        }
        Ok(())
    }
}

fn extended(mut span: Span, next: &Span) -> Span {
    span.extend(next);
    span
}

fn beginning_of(day: i64) -> WallTime {
    WallTime::from_unix_micros(day.saturating_mul(DAY_MICROS))
}

/// Makes the spans of a stream's day anew from the rows of `run`.
fn rebuild(db: &Connection, day: i64, stream: StreamId) -> Result<()> {
    db.prepare_cached("DELETE FROM span WHERE day = ?1 AND kind = ?2 AND channel = ?3")?.execute(params![
        day,
        stream.kind.code(),
        stream.channel.get()
    ])?;
    joined(&rows_of(db, day, stream)?).iter().try_for_each(|stored| insert(db, day, stored))
}

/// The rows of `run` that begin on a day, in recording order.
fn rows_of(db: &Connection, day: i64, stream: StreamId) -> Result<Vec<SegmentRun>> {
    let (begin, end) = (beginning_of(day), beginning_of(day.saturating_add(1)));
    let rows = rows::touching(db, stream, begin.offset_micros(-1), end)?;
    Ok(rows.into_iter().filter(|row| day_of(row.start) == day).collect())
}

/// What rows of one day in recording order make.
fn joined(rows: &[SegmentRun]) -> Vec<Stored> {
    let mut joined: Vec<Stored> = Vec::new();
    for row in rows {
        let fresh = Stored { span: row.span(), first_segment: row.segment };
        match joined.last_mut() {
            Some(last) if last.span.joins(&fresh.span) => last.span.extend(&fresh.span),
            _ => joined.push(fresh),
        }
    }
    joined
}

fn insert(db: &Connection, day: i64, stored: &Stored) -> Result<()> {
    let span = &stored.span;
    db.prepare_cached("INSERT OR REPLACE INTO span VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")?
        .execute(params![
            day,
            span.stream.kind.code(),
            span.stream.channel.get(),
            span.first_sequence as i64,
            stored.first_segment as i64,
            chunks(span.first_sequence, span.last_sequence),
            span.start.as_unix_micros(),
            span.first_end.micros_since(span.start),
            span.end.micros_since(span.start),
            span.format,
            span.discontinuity,
        ])
        .map(drop)
}

fn delete(db: &Connection, day: i64, stored: &Stored) -> Result<()> {
    db.prepare_cached(
        "DELETE FROM span WHERE day = ?1 AND kind = ?2 AND channel = ?3 AND first_sequence = ?4
         AND first_segment = ?5",
    )?
    .execute(params![
        day,
        stored.span.stream.kind.code(),
        stored.span.stream.channel.get(),
        stored.span.first_sequence as i64,
        stored.first_segment as i64,
    ])
    .map(drop)
}

/// The last span of a stream's day that begins with the chunk `sequence` or before it.
fn at_or_before(db: &Connection, day: i64, stream: StreamId, sequence: u64) -> Result<Option<Stored>> {
    db.prepare_cached(
        "SELECT * FROM span WHERE day = ?1 AND kind = ?2 AND channel = ?3 AND first_sequence <= ?4
         ORDER BY first_sequence DESC, first_segment DESC LIMIT 1",
    )?
    .query_row(params![day, stream.kind.code(), stream.channel.get(), sequence as i64], span_row)
    .optional()
}

fn spans_of(db: &Connection, day: i64, stream: StreamId) -> Result<Vec<Stored>> {
    db.prepare_cached("SELECT * FROM span WHERE day = ?1 AND kind = ?2 AND channel = ?3")?
        .query_map(params![day, stream.kind.code(), stream.channel.get()], span_row)?
        .collect()
}

/// Streams that have spans, in order.
pub(crate) fn streams(db: &Connection) -> Result<Vec<StreamId>> {
    // The index begins with both, but SQLite would walk all of it for a DISTINCT: ask by steps.
    let mut streams = Vec::new();
    let mut after: (u16, u8) = (0, 0);
    while let Some((channel, kind)) = db
        .prepare_cached(
            "SELECT channel, kind FROM day WHERE (channel, kind) > (?1, ?2) ORDER BY channel, kind LIMIT 1",
        )?
        .query_row(params![after.0, after.1], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
    {
        streams.push(stream_of(channel, kind)?);
        after = (channel, kind);
    }
    Ok(streams)
}

/// The first presentation and the last end of one.
pub(crate) fn bounds(db: &Connection, stream: StreamId) -> Result<Option<Bounds>> {
    let end = |order: &str| {
        db.prepare_cached(&format!(
            "SELECT start_wall_us, duration_us FROM day WHERE channel = ?1 AND kind = ?2 ORDER BY day {order} LIMIT 1"
        ))?
        .query_row(params![stream.channel.get(), stream.kind.code()], |row| {
            let start = WallTime::from_unix_micros(row.get(0)?);
            Ok((start, start.offset_micros(row.get(1)?)))
        })
        .optional()
    };
    Ok(end("ASC")?.zip(end("DESC")?).map(|(first, last)| (first.0, last.1)))
}

/// The span that ends with the stream's last chunk in recording order, whatever the clock said.
pub(crate) fn last(db: &Connection, stream: StreamId) -> Result<Option<Span>> {
    let day: Option<(i64, i64)> = db
        .prepare_cached(
            "SELECT day, last_sequence FROM day WHERE channel = ?1 AND kind = ?2
             ORDER BY last_sequence DESC, day DESC LIMIT 1",
        )?
        .query_row(params![stream.channel.get(), stream.kind.code()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((day, sequence)) = day else { return Ok(None) };
    Ok(at_or_before(db, day, stream, sequence as u64)?.map(|stored| stored.span))
}

/// Days `first`..=`last` of the streams of `kinds` for which `wanted` says so, in order of day.
pub(crate) fn days(
    db: &Connection,
    first: i64,
    last: i64,
    kinds: RangeInclusive<StreamKind>,
    wanted: impl Fn(StreamId) -> bool,
) -> Result<Vec<Day>> {
    // What is asked is mostly of one kind: SQLite passes over the others faster than they are looked at here.
    let mut statement =
        db.prepare_cached("SELECT * FROM day WHERE day BETWEEN ?1 AND ?2 AND kind BETWEEN ?3 AND ?4")?;
    let mut rows = statement.query(params![first, last, kinds.start().code(), kinds.end().code()])?;
    let mut days = Vec::new();
    while let Some(row) = rows.next()? {
        let stream = stream_of(row.get(2)?, row.get(1)?)?;
        if !wanted(stream) {
            continue;
        }
        let start = WallTime::from_unix_micros(row.get(5)?);
        days.push(Day {
            day: row.get(0)?,
            stream,
            spans: row.get::<_, i64>(3)? as u64,
            last_sequence: row.get::<_, i64>(4)? as u64,
            start,
            end: start.offset_micros(row.get(6)?),
            slots: row.get(7)?,
        });
    }
    Ok(days)
}

/// The spans of a day, of all streams of one kind between two channels, in order of channel and recording.
pub(crate) fn of_day(
    db: &Connection,
    day: i64,
    kind: StreamKind,
    channels: RangeInclusive<ChannelId>,
    mut each: impl FnMut(Span),
) -> Result<()> {
    let mut statement =
        db.prepare_cached("SELECT * FROM span WHERE day = ?1 AND kind = ?2 AND channel BETWEEN ?3 AND ?4")?;
    let (first, last) = (channels.start().get(), channels.end().get());
    let mut rows = statement.query(params![day, kind.code(), first, last])?;
    while let Some(row) = rows.next()? {
        each(span_row(row)?.span);
    }
    Ok(())
}

/// Whether spans and days are what the rows of `run` make of them; if not, the first stream and day where they are
/// not, or `None` for rows that no day has.
pub(crate) fn audit(db: &Connection) -> Result<std::result::Result<(), Option<(StreamId, WallTime)>>> {
    let mut seen = 0;
    for day in days(db, i64::MIN, i64::MAX, StreamKind::Main..=StreamKind::Audio, |_| true)? {
        let rows = rows_of(db, day.day, day.stream)?;
        seen += rows.len() as u64;
        let spans = joined(&rows);
        let stored = spans_of(db, day.day, day.stream)?;
        let plain: Vec<Span> = stored.iter().map(|stored| stored.span).collect();
        if stored != spans || Day::of(day.day, &plain) != Some(day.clone()) {
            return Ok(Err(Some((day.stream, beginning_of(day.day)))));
        }
    }
    let spans: i64 = db.query_row("SELECT count(*) FROM span", [], |row| row.get(0))?;
    let in_days: i64 = db.query_row("SELECT coalesce(sum(spans), 0) FROM day", [], |row| row.get(0))?;
    Ok(if seen == rows::count(db)? && spans == in_days { Ok(()) } else { Err(None) })
}

fn span_row(row: &Row<'_>) -> Result<Stored> {
    let first_sequence = row.get::<_, i64>(3)? as u64;
    let start = WallTime::from_unix_micros(row.get(6)?);
    let span = Span {
        stream: stream_of(row.get(2)?, row.get(1)?)?,
        first_sequence,
        last_sequence: last_of(first_sequence, row.get(5)?),
        start,
        first_end: start.offset_micros(row.get(7)?),
        end: start.offset_micros(row.get(8)?),
        format: row.get(9)?,
        discontinuity: row.get(10)?,
    };
    Ok(Stored { span, first_segment: row.get::<_, i64>(4)? as u64 })
}

#[cfg(test)]
mod tests {
    use hal::StreamKind;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn day(number: i64, slots: &[u8]) -> Day {
        let begin = beginning_of(number);
        Day {
            day: number,
            stream: StreamId::new(ChannelId::new(1).unwrap(), StreamKind::Main),
            spans: 1,
            last_sequence: 1,
            start: begin.offset_micros(1),
            end: begin.offset_micros(DAY_MICROS + 1),
            slots: slots.try_into().unwrap(),
        }
    }

    /// Slot by slot, as it is meant.
    fn slot_by_slot(days: &[Day], gap: i64) -> Vec<(WallTime, WallTime)> {
        let mut stretches: Vec<(WallTime, WallTime)> = Vec::new();
        for day in days {
            let has = |slot: &usize| day.slots[slot / 8] & (1 << (slot % 8)) != 0;
            let last = (0..SLOTS).rfind(has);
            for slot in (0..SLOTS).filter(has) {
                let begin = beginning_of(day.day).offset_micros(slot as i64 * SLOT_MICROS);
                let end = if Some(slot) == last { day.end } else { begin.offset_micros(SLOT_MICROS) };
                let start = begin.max(day.start);
                match stretches.last_mut() {
                    Some(last) if start.micros_since(last.1) <= gap => last.1 = last.1.max(end),
                    _ => stretches.push((start, end)),
                }
            }
        }
        stretches
    }

    proptest! {
        #[test]
        fn stretches_are_what_the_slots_say(
            slots in vec(prop_oneof![Just(0), Just(0xff), any::<u8>()], 2 * SLOT_BYTES),
            gap_slots in 0..400_i64,
        ) {
            let days = [day(20_000, &slots[..SLOT_BYTES]), day(20_001, &slots[SLOT_BYTES..])];
            for gap in [0, gap_slots * SLOT_MICROS] {
                let mut stretches = Vec::new();
                days.iter().for_each(|day| day.stretches(gap, &mut stretches));
                prop_assert_eq!(&stretches, &slot_by_slot(&days, gap));
            }
            let counted: usize = days.iter().map(Day::stretch_count).sum();
            let alone = |day: &Day| slot_by_slot(std::slice::from_ref(day), 0).len();
            prop_assert_eq!(counted, days.iter().map(alone).sum::<usize>());
        }
    }
}
