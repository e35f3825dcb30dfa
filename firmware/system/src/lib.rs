//! A board's surroundings: network, time, disks, alarm inputs and relays.
