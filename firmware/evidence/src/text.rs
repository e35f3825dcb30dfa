//! A report for people.
//!
//! Does not belong here: translations, colours, pages.
//!
//! Invariant: the first line is the verdict and nothing else.

use std::fmt;
use std::time::Duration;

use crate::moment::Time;
use crate::report::{Finding, Gap, GapKind, Place, Reason, Report, TrackReport, Verdict};

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AuthenticAndComplete => "AUTHENTIC AND COMPLETE",
            Self::AuthenticWithGaps => "AUTHENTIC WITH GAPS",
            Self::NotAuthentic => "NOT AUTHENTIC",
            Self::NoProof => "NO PROOF",
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.verdict)?;
        if let Some(recorder) = self.recorder.as_ref().filter(|recorder| !recorder.trusted) {
            writeln!(
                f,
                "Nobody has compared the key yet: this counts only if {} is your recorder's.",
                recorder.fingerprint
            )?;
        }
        for Finding { what, place } in &self.findings {
            writeln!(f, "- {what}{place}")?;
        }
        if self.more_findings > 0 {
            writeln!(f, "- and {} more", self.more_findings)?;
        }
        if let Some(recorder) = &self.recorder {
            writeln!(f, "\nRecorder  {}", recorder.name)?;
            writeln!(f, "Key       {}", recorder.fingerprint)?;
        }
        if let Some(export) = &self.export {
            let (at, start, end) = (Time(export.at), Time(export.start), Time(export.end));
            writeln!(f, "Exported  {at} by {}", export.by)?;
            writeln!(f, "Asked for {start} to {end}")?;
            writeln!(f, "Ledger    entry {} of {}", export.leaf, export.ledger_size)?;
        }
        for seen in &self.witnesses {
            writeln!(f, "Seen by   {} at {}", seen.by, Time(seen.at))?;
        }
        self.tracks.iter().try_for_each(|track| track.fmt(f))?;
        for absent in &self.absent {
            write!(f, "\nNo track  channel {}: there was no footage", absent.channel)?;
            because(f, &absent.reasons)?;
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for TrackReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\nTrack {}   channel {} {}", self.track, self.stream.channel, self.stream.kind)?;
        if let (Some(from), Some(to)) = (self.from, self.to) {
            write!(f, ", {} to {}", Time(from), Time(to))?;
        }
        writeln!(
            f,
            "\n          {} bytes in {} chunks, {} of them in the ledger before the export",
            self.bytes, self.chunks, self.sealed_chunks
        )?;
        for gap in &self.gaps {
            writeln!(f, "  {gap}")?;
        }
        if self.more_gaps > 0 {
            writeln!(f, "  and {} more gaps", self.more_gaps)?;
        }
        Ok(())
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (Time(self.from), Time(self.to));
        let micros = self.to.micros_since(self.from).unsigned_abs();
        let length = Duration::from_millis(micros / 1000);
        match self.kind {
            GapKind::Missing => write!(f, "gap of {length:?}, {from} to {to}")?,
            GapKind::ClockSetBack => write!(f, "clock set back by {length:?}, from {from} to {to}")?,
            GapKind::LeftOut => write!(f, "left out, {from} to {to}: sound of another format")?,
            GapKind::Loss => write!(f, "loss, {from} to {to}")?,
        }
        if self.kind == GapKind::LeftOut { Ok(()) } else { because(f, &self.reasons) }
    }
}

fn because(f: &mut fmt::Formatter<'_>, reasons: &[Reason]) -> fmt::Result {
    if reasons.is_empty() {
        f.write_str(": no reason is recorded")?;
    }
    for reason in reasons {
        write!(f, "\n    {} (entry {}, {})", reason.what, reason.leaf, Time(reason.at))?;
    }
    Ok(())
}

/// With what stands before it: ` (track 1, ...)`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(track) = self.track {
            parts.push(format!("track {track}"));
        }
        if let Some(stream) = self.stream {
            parts.push(format!("channel {} {}", stream.channel, stream.kind));
        }
        if let (Some(from), Some(to)) = (self.from, self.to) {
            parts.push(format!("{} to {}", Time(from), Time(to)));
        }
        match &self.bytes {
            Some(bytes) if bytes.end - bytes.start <= 1 => parts.push(format!("byte {}", bytes.start)),
            Some(bytes) => parts.push(format!("bytes {} to {}", bytes.start, bytes.end - 1)),
            None => {}
        }
        if parts.is_empty() { Ok(()) } else { write!(f, " ({})", parts.join(", ")) }
    }
}
