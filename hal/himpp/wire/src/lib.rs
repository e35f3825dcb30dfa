//! What `mpp-host` and its client say to one another.
