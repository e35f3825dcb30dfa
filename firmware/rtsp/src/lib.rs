//! The RTSP server: session, SDP, packetisers, transports.
