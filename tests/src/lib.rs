//! Drives the program from outside, as a user or a peer would.
