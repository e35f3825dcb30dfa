//! Cameras' clips through the store and out as MP4: bit-exact and playable.

use std::path::Path;

use hal::StreamKind;

use super::clips::{
    Packet, assert_same_pictures, assert_same_sound, clip, coded, export, made, packets, probe, record,
    record_as, run, text, wall,
};
use super::support::{assert_clean, keys, scratch, stream};
use crate::{Cut, Movie, MovieChannel, MovieRequest, Reader};

fn whole_clip(name: &str, b_frames: bool) {
    let (clip, made) = clip(name, b_frames);
    let volume = scratch();
    record(&clip, volume.path());
    assert_clean(volume.path());
    let reader = Reader::open(volume.path(), &keys()).unwrap();
    let first = clip.first_micros();
    let channel = stream(1, StreamKind::Main).channel;
    let movie = Movie::plan(&reader, channel, wall(first), wall(200_000_000)).unwrap();
    let file = made.path().join("whole.mp4");
    export(&movie, &file);
    assert_same_pictures(clip.codec, &packets(&file, "v:0"), &clip.video, first);
    assert_same_sound(&packets(&file, "a:0"), &clip.sound_after(first), first);
    assert_eq!(movie.pieces().len(), 1);
    assert_eq!(movie.pieces()[0].media_start_micros, 0);
    assert_eq!(movie.mime().contains("mp4a.40.2"), !clip.audio.is_empty(), "{}", movie.mime());
    // It decodes without a word, to as many pictures as the source.
    run("ffmpeg", &["-v", "error", "-i", file.to_str().unwrap(), "-f", "null", "-"]);
    let pictures = |file: &Path| {
        let path = file.to_str().unwrap();
        let out = run(
            "ffmpeg",
            &["-v", "error", "-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"],
        );
        let text = String::from_utf8(out).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(pictures(&file), pictures(&clip.path));
    assert_eq!(
        probe(&file, "stream=codec_type"),
        if clip.audio.is_empty() { "video" } else { "video\naudio" }
    );
    let planned_again = Movie::plan(&reader, channel, wall(first), wall(200_000_000)).unwrap();
    assert_eq!(planned_again.etag(), movie.etag());
}

fn part_of_clip(name: &str, b_frames: bool) {
    let (clip, made) = clip(name, b_frames);
    let volume = scratch();
    record(&clip, volume.path());
    let reader = Reader::open(volume.path(), &keys()).unwrap();
    let channel = stream(1, StreamKind::Main).channel;
    let same = |one: &[u8], other: &[u8]| coded(clip.codec, one) == coded(clip.codec, other);
    for (from, to) in [(7_345_678, 18_901_234), (12_000_000, 12_400_000), (3_000, 29_000_000)] {
        let movie = Movie::plan(&reader, channel, wall(from), wall(to)).unwrap();
        // The picture that is shown at `from`, to the microsecond of the store's ticks.
        let shown_first =
            clip.video.iter().map(|packet| packet.pts_micros).filter(|&pts| pts <= from).max().unwrap();
        assert!(movie.start().micros_since(wall(shown_first)).abs() <= 12);
        assert_eq!(movie.end(), wall(to));
        let (asked, from) = (from, shown_first);
        let file = made.path().join(format!("{asked}.mp4"));
        export(&movie, &file);
        run("ffmpeg", &["-v", "error", "-i", file.to_str().unwrap(), "-f", "null", "-"]);
        let exported = packets(&file, "v:0");
        // What is there to decode from is before 0, and not shown.
        let begin = clip.video.iter().position(|packet| same(&packet.data, &exported[0].data)).unwrap();
        assert!(clip.video[begin].keyframe && clip.video[begin].pts_micros <= from);
        let source = &clip.video[begin..begin + exported.len()];
        assert_same_pictures(clip.codec, &exported, source, from);
        let shown = |packet: &&Packet| packet.pts_micros > from && packet.pts_micros < to;
        let pts = |packets: &[Packet], shift: i64| {
            let mut pts: Vec<i64> =
                packets.iter().filter(shown).map(|packet| (packet.pts_micros + shift) / 1000).collect();
            pts.sort_unstable();
            pts
        };
        assert_eq!(pts(source, 0), pts(&clip.video, 0), "every picture of the stretch is there");
        let duration: f64 = probe(&file, "format=duration").parse().unwrap();
        assert!((duration - (to - from) as f64 / 1e6).abs() < 0.022, "{duration} s for {from}..{to}");
        let mut sound = clip.sound_after(from);
        sound.retain(|packet| packet.pts_micros < to);
        let exported = packets(&file, "a:0");
        assert!(exported.len().abs_diff(sound.len()) <= 1, "{} sounds of {}", exported.len(), sound.len());
        if let Some(first) = exported.first() {
            let begin = clip
                .audio
                .iter()
                .position(|packet| {
                    packet.data == first.data && (packet.pts_micros - from - first.pts_micros).abs() < 10_000
                })
                .unwrap();
            assert_same_sound(&exported, &clip.audio[begin..begin + exported.len()], from);
        }
    }
}

#[test]
fn a_clip_with_sound_comes_out_as_it_went_in() {
    whole_clip("car-detection.mp4", false);
}

#[test]
fn a_clip_with_b_frames_comes_out_as_it_went_in() {
    whole_clip("one-by-one-person-detection.mp4", true);
}

#[test]
fn parts_of_a_clip_with_sound_begin_and_end_exactly() {
    part_of_clip("car-detection.mp4", false);
}

#[test]
fn parts_of_a_clip_with_b_frames_begin_and_end_exactly() {
    part_of_clip("one-by-one-person-detection.mp4", true);
}

#[test]
fn across_a_gap_media_time_stays_wall_time() {
    let (mut clip, made) = clip("car-detection.mp4", false);
    // From the first keyframe after 10 s on, everything is 20 s later: the source was away.
    let away = clip
        .video
        .iter()
        .find(|packet| packet.keyframe && packet.pts_micros > 10_000_000)
        .unwrap()
        .pts_micros;
    for packet in clip.video.iter_mut().chain(&mut clip.audio) {
        if packet.pts_micros >= away {
            packet.pts_micros += 20_000_000;
        }
    }
    let volume = scratch();
    record(&clip, volume.path());
    let reader = Reader::open(volume.path(), &keys()).unwrap();
    let channel = stream(1, StreamKind::Main).channel;
    let movie = Movie::plan(&reader, channel, wall(0), wall(100_000_000)).unwrap();
    let pieces = movie.pieces();
    assert_eq!(pieces.len(), 2, "{pieces:?}");
    assert_eq!(pieces[1].media_start_micros, away + 20_000_000);
    assert_eq!(pieces[1].start, wall(away + 20_000_000));
    let file = made.path().join("gap.mp4");
    export(&movie, &file);
    assert_same_pictures(clip.codec, &packets(&file, "v:0"), &clip.video, 0);
    assert_same_sound(&packets(&file, "a:0"), &clip.sound_after(0), 0);
    run("ffmpeg", &["-v", "error", "-i", file.to_str().unwrap(), "-f", "null", "-"]);
}

#[test]
fn every_codec_comes_out_exactly_and_plays_elsewhere() {
    let made_in = scratch();
    let h264 = ["-c:v", "libx264", "-bf", "2", "-g", "20"];
    let h265 = ["-c:v", "libx265", "-x265-params", "log-level=none:keyint=20:bframes=2", "-tag:v", "hvc1"];
    for (name, pictures, sound, mime) in [
        ("1.mov", &h264[..], ["-c:a", "pcm_mulaw"], "avc1.64,ulaw"),
        ("2.mov", &h265[..], ["-c:a", "pcm_alaw"], "hvc1.1.6.L,alaw"),
        ("3.mp4", &h265[..], ["-c:a", "aac"], "hvc1.1.6.L,mp4a.40.2"),
        ("4.mp4", &h264[..], ["-c:a", "aac"], "avc1.64,mp4a.40.2"),
    ] {
        let rate: &[&str] = if name.ends_with("mov") { &["-ar", "8000"] } else { &[] };
        let clip = made(&made_in, name, 4, &[pictures, &sound, rate].concat());
        let volume = scratch();
        record(&clip, volume.path());
        let reader = Reader::open(volume.path(), &keys()).unwrap();
        let first = clip.first_micros();
        let channel = stream(1, StreamKind::Main).channel;
        let movie = Movie::plan(&reader, channel, wall(first), wall(200_000_000)).unwrap();
        let (picture, voice) = mime.split_once(',').unwrap();
        assert!(movie.mime().contains(picture) && movie.mime().contains(voice), "{}", movie.mime());
        let file = made_in.path().join(format!("{name}.ours.mp4"));
        export(&movie, &file);
        let (pictures, sound) = (packets(&file, "v:0"), packets(&file, "a:0"));
        assert_same_pictures(clip.codec, &pictures, &clip.video, first);
        assert_same_sound(&sound, &clip.sound_after(first), first);
        run("ffmpeg", &["-v", "error", "-i", text(&file), "-f", "null", "-"]);
        assert_gstreamer_reads(&file, &[("video_0", &pictures), ("audio_0", &sound)]);
    }
}

/// GStreamer takes the same samples out, and decodes all tracks to the end.
#[track_caller]
fn assert_gstreamer_reads(file: &Path, tracks: &[(&str, &[Packet])]) {
    let source = format!("filesrc location={} ! qtdemux name=d", text(file));
    let mut taken = source.clone();
    let mut decoded = source;
    for (track, _) in tracks {
        taken += &format!(" d.{track} ! queue ! filesink location={}.{track}", text(file));
        decoded += &format!(" d.{track} ! queue ! decodebin ! fakesink sync=false");
    }
    for pipeline in [&taken, &decoded] {
        let arguments: Vec<&str> = ["-q"].into_iter().chain(pipeline.split(' ')).collect();
        run("gst-launch-1.0", &arguments);
    }
    for (track, packets) in tracks {
        let samples = std::fs::read(format!("{}.{track}", text(file))).unwrap();
        let expected: Vec<u8> = packets.iter().flat_map(|packet| packet.data.to_vec()).collect();
        assert!(samples == expected, "{track} of {}: {} bytes", file.display(), samples.len());
    }
}

#[test]
fn channels_of_several_volumes_are_tracks_of_one_file() {
    let (front, made_in) = clip("car-detection.mp4", false);
    let (yard, _other) = clip("one-by-one-person-detection.mp4", true);
    let volumes = [scratch(), scratch()];
    record_as(&front, volumes[0].path(), 1, 0);
    record_as(&yard, volumes[1].path(), 2, 3_210_000);
    let readers = volumes.each_ref().map(|volume| Reader::open(volume.path(), &keys()).unwrap());
    let reader = Reader::together(&readers);
    let channel = |number, name: &str| MovieChannel {
        channel: stream(number, StreamKind::Main).channel,
        name: name.to_owned(),
    };
    let first = front.first_micros();
    let request = MovieRequest {
        channels: vec![channel(1, "Front door"), channel(7, "Nothing"), channel(2, "Hof & Gärten")],
        start: wall(first),
        end: wall(300_000_000),
        cut: Cut::Units,
    };
    let movie = Movie::plan_all(&reader, &request).unwrap();
    assert_eq!(movie.start(), wall(first));
    let kinds: Vec<_> = movie.tracks().iter().map(|track| track.stream).collect();
    let (main, audio) = (StreamKind::Main, StreamKind::Audio);
    assert_eq!(kinds, [stream(1, main), stream(1, audio), stream(2, main)]);
    let file = made_in.path().join("both.mp4");
    export(&movie, &file);
    assert_same_pictures(front.codec, &packets(&file, "v:0"), &front.video, first);
    assert_same_sound(&packets(&file, "a:0"), &front.sound_after(first), first);
    let (pictures, sound) = (packets(&file, "v:0"), packets(&file, "a:0"));
    assert_same_pictures(yard.codec, &packets(&file, "v:1"), &yard.video, first - 3_210_000);
    assert_eq!(
        probe(&file, "stream=codec_type:stream_tags=handler_name"),
        "video,Front door\naudio,Front door\nvideo,Hof & Gärten"
    );
    run("ffmpeg", &["-v", "error", "-i", text(&file), "-map", "0", "-f", "null", "-"]);
    let second = packets(&file, "v:1");
    assert_gstreamer_reads(&file, &[("video_0", &pictures), ("audio_0", &sound), ("video_1", &second)]);

    // From the middle of both: each begins with its own picture, none earlier than asked.
    let from = 14_567_890;
    let part = MovieRequest { start: wall(from), end: wall(from + 6_000_000), ..request.clone() };
    let part = Movie::plan_all(&reader, &part).unwrap();
    let file = made_in.path().join("part.mp4");
    export(&part, &file);
    let shown = |source: &[Packet], later: i64| {
        let at = source.iter().map(|packet| packet.pts_micros + later).filter(|&pts| pts <= from);
        at.max().unwrap()
    };
    let begins = [shown(&front.video, 0), shown(&yard.video, 3_210_000)];
    assert!(part.start().micros_since(wall(*begins.iter().min().unwrap())).abs() <= 12);
    for (track, begins) in ["v:0", "v:1"].iter().zip(begins) {
        let frames = run(
            "ffprobe",
            &[
                "-v",
                "error",
                "-select_streams",
                track,
                "-show_entries",
                "frame=pts_time",
                "-of",
                "csv=p=0",
                text(&file),
            ],
        );
        let frames = String::from_utf8(frames).unwrap();
        let first: f64 = frames.lines().find_map(|line| line.trim_end_matches(',').parse().ok()).unwrap();
        let expected = wall(begins).micros_since(part.start()) as f64 / 1e6;
        assert!((first - expected).abs() < 1e-3, "{track} begins at {first} s, not {expected} s");
    }

    // Whole chunks: longer, and the same is shown.
    let whole = MovieRequest { start: wall(from), end: wall(from + 6_000_000), cut: Cut::Chunks, ..request };
    let whole = Movie::plan_all(&reader, &whole).unwrap();
    assert!(whole.len() > part.len());
    let whole_file = made_in.path().join("whole.mp4");
    export(&whole, &whole_file);
    for track in ["v:0", "v:1"] {
        assert_eq!(shown_by_ffmpeg(&whole_file, track), shown_by_ffmpeg(&file, track), "{track}");
    }
}

/// When FFmpeg shows which pictures, in seconds.
fn shown_by_ffmpeg(file: &Path, track: &str) -> Vec<(f64, String)> {
    let map = format!("0:{track}");
    let mut arguments = vec!["-v", "error", "-i", text(file), "-map", &map, "-fps_mode", "passthrough"];
    arguments.extend(["-f", "framemd5", "-"]);
    let out = String::from_utf8(run("ffmpeg", &arguments)).unwrap();
    let base = out.lines().find_map(|line| line.strip_prefix("#tb 0: ")).expect("a time base");
    let (numerator, denominator) = base.trim().split_once('/').expect("a fraction");
    let base = numerator.parse::<f64>().unwrap() / denominator.parse::<f64>().unwrap();
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        (fields[2].parse::<f64>().unwrap() * base, fields[5].to_owned())
    };
    out.lines().filter(|line| !line.starts_with('#')).map(row).collect()
}
