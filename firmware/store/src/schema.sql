-- The index of a volume. Everything in it can be made anew from the segments (candor store rebuild-index).

-- One row per segment file that holds footage.
CREATE TABLE segment (
    -- The number in the file's name and header.
    seq INTEGER PRIMARY KEY,
    -- 0: being written. 1: sealed, its footer tells of its chunks. 2: closed without a footer, to be scanned.
    state INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
    -- Bytes from the file's beginning that are known to be durable: nothing behind them is footage yet.
    committed_bytes INTEGER NOT NULL CHECK (committed_bytes >= 0)
);

-- One row per run of chunks of one stream in one closed segment, of at most an hour.
CREATE TABLE run (
    -- The channel, from 1.
    channel INTEGER NOT NULL,
    -- 0: main, 1: sub, 2: audio.
    kind INTEGER NOT NULL,
    -- The first chunk's number; chunks of a stream are numbered from 1 without gaps.
    first_sequence INTEGER NOT NULL,
    -- The last chunk's number.
    last_sequence INTEGER NOT NULL,
    -- Where the chunks are.
    segment INTEGER NOT NULL REFERENCES segment (seq),
    -- Access units in the chunks.
    units INTEGER NOT NULL,
    -- Coded bytes in the chunks, without headers.
    payload_bytes INTEGER NOT NULL,
    -- The first presentation, microseconds of UTC since 1970.
    start_wall_us INTEGER NOT NULL,
    -- The end of the last presentation, microseconds of UTC since 1970.
    end_wall_us INTEGER NOT NULL,
    -- CRC32C of the chunks' sample entry: another number, another format.
    format_crc32c INTEGER NOT NULL,
    -- 1 when the first chunk begins a new timeline of presentation times.
    discontinuity INTEGER NOT NULL,
    -- Presentation time of the last unit in decoding order, 1/90000 s.
    last_pts_90k INTEGER NOT NULL,
    -- Its wall time, microseconds of UTC since 1970.
    last_wall_us INTEGER NOT NULL,
    -- Where the last chunk begins in the segment file.
    last_chunk_offset_bytes INTEGER NOT NULL,
    -- SHA-256 of the last chunk's header: what the stream's next chunk carries as previous hash.
    last_chunk_sha256 BLOB NOT NULL,
    PRIMARY KEY (channel, kind, first_sequence)
) WITHOUT ROWID;

-- For the timeline and for finding a moment.
CREATE INDEX run_by_time ON run (channel, kind, start_wall_us);

-- For forgetting a segment.
CREATE INDEX run_by_segment ON run (segment);
