-- The index of a volume. Everything in it can be made anew from the segments (candor store rebuild-index).
--
-- Rows lie in the order in which footage is written: closing a segment, or forgetting one, changes a few pages that
-- are side by side, whatever the number of streams.

-- One row per segment file that holds footage.
CREATE TABLE segment (
    -- The number in the file's name and header.
    seq INTEGER PRIMARY KEY,
    -- 0: being written. 1: sealed, its footer tells of its chunks. 2: closed without a footer, to be scanned.
    state INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
    -- Bytes from the file's beginning that are known to be durable: nothing behind them is footage yet.
    committed_bytes INTEGER NOT NULL CHECK (committed_bytes >= 0),
    -- The retention class of everything in it, as its header says.
    class INTEGER NOT NULL CHECK (class BETWEEN 0 AND 7),
    -- When it was begun and when it was closed by the volume's calendar (docs/storage.md), microseconds of UTC since
    -- 1970; the same while it is being written, and when it was closed without a footer.
    begun_us INTEGER NOT NULL,
    closed_us INTEGER NOT NULL,
    -- The end of its last presentation as its chunks tell, microseconds of UTC since 1970; begun_us while it is being
    -- written.
    newest_us INTEGER NOT NULL
);

-- For readers: which segments have no footer. Nearly all have one, so this has a row or two.
CREATE INDEX segment_unsealed ON segment (seq) WHERE state <> 1;

-- One row per run of chunks of one stream in one closed segment, of at most an hour, all of whose chunks begin on one day.
CREATE TABLE run (
    -- Where the chunks are.
    segment INTEGER NOT NULL,
    -- 0: main, 1: sub, 2: audio.
    kind INTEGER NOT NULL,
    -- The channel, from 1.
    channel INTEGER NOT NULL,
    -- The first chunk's number; chunks of a stream are numbered from 1 without gaps.
    first_sequence INTEGER NOT NULL,
    -- How many chunks.
    chunks INTEGER NOT NULL,
    -- Coded bytes in the chunks, without headers.
    payload_bytes INTEGER NOT NULL,
    -- The first presentation, microseconds of UTC since 1970.
    start_wall_us INTEGER NOT NULL,
    -- From there to the end of the last presentation, microseconds.
    duration_us INTEGER NOT NULL,
    -- CRC32C of the chunks' sample entry: another number, another format.
    format_crc32c INTEGER NOT NULL,
    -- 1 when the first chunk begins a new timeline of presentation times.
    discontinuity INTEGER NOT NULL,
    -- Where the last chunk begins in the segment file.
    last_chunk_offset_bytes INTEGER NOT NULL,
    PRIMARY KEY (segment, kind, channel, first_sequence)
) WITHOUT ROWID;

-- When a closed segment has footage of any stream: stretches of at most an hour that hold all of its runs. Usually one.
CREATE TABLE slice (
    -- The earliest presentation, microseconds of UTC since 1970.
    start_wall_us INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    -- From there to the latest end, microseconds.
    duration_us INTEGER NOT NULL,
    PRIMARY KEY (start_wall_us, segment)
) WITHOUT ROWID;

-- One row per stretch of a stream without a gap, across segments: runs joined as far as they go on and begin on one
-- day.
CREATE TABLE span (
    -- The day of UTC on which its runs begin, counted from 1970-01-01.
    day INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    channel INTEGER NOT NULL,
    -- As in `run`, of the first run.
    first_sequence INTEGER NOT NULL,
    -- Where the first run is. Two spans begin with the same number in a damaged volume only.
    first_segment INTEGER NOT NULL,
    -- How many chunks.
    chunks INTEGER NOT NULL,
    -- The first presentation, microseconds of UTC since 1970.
    start_wall_us INTEGER NOT NULL,
    -- From there to the end of the first run, microseconds.
    first_duration_us INTEGER NOT NULL,
    -- From there to the end of the last presentation, microseconds.
    duration_us INTEGER NOT NULL,
    -- As in `run`, of all its runs.
    format_crc32c INTEGER NOT NULL,
    -- As in `run`, of the first run.
    discontinuity INTEGER NOT NULL,
    PRIMARY KEY (day, kind, channel, first_sequence, first_segment)
) WITHOUT ROWID;

-- One row per stream and day of UTC: what a timeline shows of it from afar.
CREATE TABLE day (
    -- As in `span`.
    day INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    channel INTEGER NOT NULL,
    -- How many spans.
    spans INTEGER NOT NULL,
    -- The number of the last chunk, in recording order, that is in one of the spans.
    last_sequence INTEGER NOT NULL,
    -- The first presentation in the spans, microseconds of UTC since 1970.
    start_wall_us INTEGER NOT NULL,
    -- From there to the last end of a presentation in the spans, microseconds.
    duration_us INTEGER NOT NULL,
    -- 36 bytes: a bit per 5 minutes of the day, the lowest bit of a byte first; 1 where there is footage.
    slots BLOB NOT NULL,
    PRIMARY KEY (day, kind, channel)
) WITHOUT ROWID;

-- Which streams there are, and on which days. Changes once a day and stream.
CREATE INDEX day_by_stream ON day (channel, kind, day);
