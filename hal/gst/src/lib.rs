//! The GStreamer backend: test and V4L2 sources, software encoders.
