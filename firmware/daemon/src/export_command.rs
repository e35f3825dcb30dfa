//! `candor export`: a range of footage as an MP4 file, or as a zip of several.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use hal::{ChannelId, WallTime};
use jiff::Timestamp;
use store::{Cut, ErrorKind, Movie, MovieChannel, MovieRequest, Reader};

use crate::archive::{Archive, FileFacts, Gap, Planned, timestamp};
use crate::args::ExportArgs;
use crate::footage_keys::at_hand;
use crate::store_command::volume_in;

/// Read and written at once.
const BLOCK_BYTES: usize = 1 << 20;

type Failure = Box<dyn Error + Send + Sync>;

/// Writes the file; leaves none behind when it fails.
pub(crate) fn run(args: &ExportArgs) -> Result<ExitCode, Failure> {
    let channels: Vec<ChannelId> =
        args.channel.iter().map(|number| ChannelId::try_from(*number)).collect::<Result<_, _>>()?;
    if args.start >= args.end {
        return Err("the end must be after the start".into());
    }
    let recovery = args.recovery.recovery_key.as_deref();
    if args.data.len() > 1 && recovery.is_some_and(|file| file == Path::new("-")) {
        return Err("standard input has the recovery key of one folder; for several, name a file".into());
    }
    let readers = args.data.iter().map(|dir| open(dir, recovery)).collect::<Result<Vec<_>, _>>()?;
    let reader = Reader::together(&readers);
    let zip = args.out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip"));
    let movies = if zip {
        let mut movies = Vec::new();
        for channel in channels {
            match plan(&reader, vec![channel], args) {
                Ok(movie) => movies.push((channel, movie)),
                Err(error) if error.kind() == ErrorKind::NoFootage => {
                    println!("channel {channel}: no footage");
                }
                Err(error) => return Err(error.into()),
            }
        }
        movies
    } else {
        let first = *channels.first().ok_or("no channel is named")?;
        vec![(first, plan(&reader, channels, args)?)]
    };
    if movies.is_empty() {
        return Err("there is no footage of these channels in this time".into());
    }

    // Not truncated: an export must not replace an older one by a slip of the hand.
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&args.out)
        .map_err(|error| format!("cannot write {}: {error}", args.out.display()))?;
    let mut progress = Progress::new(movies.iter().map(|(_, movie)| movie.len()).sum());
    let written = if zip {
        write_zip(&movies, file, args, &mut progress)
    } else {
        write_movie(&movies[0].1, file, &mut progress)
    };
    progress.end();
    if let Err(error) = written {
        let _ = std::fs::remove_file(&args.out);
        return Err(format!("{} was not written: {error}", args.out.display()).into());
    }
    tell(&movies, &args.out, args)?;
    Ok(ExitCode::SUCCESS)
}

fn open(dir: &Path, recovery: Option<&Path>) -> Result<Reader, Failure> {
    let volume = volume_in(dir);
    Ok(Reader::open(&volume, &at_hand(&volume, recovery)?)?)
}

fn plan(reader: &Reader, channels: Vec<ChannelId>, args: &ExportArgs) -> Result<Movie, store::StoreError> {
    let named = |channel| MovieChannel { channel, name: format!("Channel {channel}") };
    let request = MovieRequest {
        channels: channels.into_iter().map(named).collect(),
        start: wall(args.start),
        end: wall(args.end),
        cut: Cut::Units,
    };
    Movie::plan_all(reader, &request)
}

fn write_movie(movie: &Movie, mut file: File, progress: &mut Progress) -> Result<(), Failure> {
    copy(movie, &mut file, progress)?;
    Ok(file.sync_all()?)
}

fn write_zip(
    movies: &[(ChannelId, Movie)],
    file: File,
    args: &ExportArgs,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let mut archive = Archive::new(BufWriter::with_capacity(BLOCK_BYTES, file), args.start, args.end);
    for (channel, movie) in movies {
        let mut file = archive.file(facts(*channel, movie, args))?;
        copy(movie, &mut file, progress)?;
        file.finish()?;
    }
    let file = archive.finish()?.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    Ok(file.sync_all()?)
}

fn copy(movie: &Movie, to: &mut impl Write, progress: &mut Progress) -> Result<(), Failure> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut offset = 0;
    while offset < movie.len() {
        let read = movie.read_at(offset, &mut block)?;
        if read == 0 {
            return Err(format!("the footage ends at byte {offset} of {}", movie.len()).into());
        }
        to.write_all(&block[..read])?;
        offset += read as u64;
        progress.add(read as u64);
    }
    Ok(())
}

/// Says what was written, and what is missing in it.
fn tell(movies: &[(ChannelId, Movie)], out: &Path, args: &ExportArgs) -> Result<(), Failure> {
    println!("{}: {} bytes", out.display(), std::fs::metadata(out)?.len());
    for (channel, movie) in movies {
        let facts = facts(*channel, movie, args);
        let of = if movies.len() > 1 { format!("channel {channel}: ") } else { String::new() };
        // What is not there at the ends was perhaps not asked for.
        let inner = facts.gaps.iter().filter(|gap| gap.start > facts.start && gap.end < facts.end);
        for Gap { start, end } in inner {
            println!("{of}no footage from {start:.3} to {end:.3}");
        }
        for unread in movie.unread() {
            let (start, end) = (timestamp(unread.start), timestamp(unread.end));
            println!("{of}{} from {start:.3} to {end:.3} cannot be read: {}", unread.stream, unread.what);
        }
    }
    Ok(())
}

fn facts(channel: ChannelId, movie: &Movie, args: &ExportArgs) -> FileFacts {
    FileFacts::of(Planned {
        channel: channel.get(),
        title: "",
        asked: (wall(args.start), wall(args.end)),
        shown: (movie.start(), movie.end()),
        codecs: movie.tracks().iter().flat_map(|track| track.codecs.iter().cloned()).collect(),
        bytes: movie.len(),
        pieces: movie.pieces().iter().map(|piece| (piece.start, piece.end)).collect(),
        unread: movie.unread().iter().map(|unread| (unread.start, unread.end)).collect(),
    })
}

/// How far it is, for whoever sits at the terminal.
struct Progress {
    shown: bool,
    done: u64,
    all: u64,
}

impl Progress {
    fn new(all: u64) -> Self {
        Self { shown: std::io::stderr().is_terminal(), done: 0, all }
    }

    fn add(&mut self, bytes: u64) {
        self.done += bytes;
        if self.shown {
            eprint!("\r{} %", self.done * 100 / self.all.max(1));
        }
    }

    fn end(&self) {
        if self.shown {
            eprintln!();
        }
    }
}

fn wall(time: Timestamp) -> WallTime {
    WallTime::from_unix_micros(time.as_microsecond())
}
