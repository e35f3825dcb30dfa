//! Bitstreams and boxes: NAL units, parameter sets, fMP4 and MP4.
