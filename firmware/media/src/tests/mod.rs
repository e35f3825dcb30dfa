//! Tests against FFmpeg.
