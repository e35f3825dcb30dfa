//! Users, passwords, sessions and stream keys.
