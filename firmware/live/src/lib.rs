//! Live video for browsers: fMP4 fragments built once a stream.
