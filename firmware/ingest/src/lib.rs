//! Network cameras: pulls RTSP, publishes access units.
