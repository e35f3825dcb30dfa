//! The vendor's media platform behind the HAL: starts `mpp-host`, watches it, and hands on what it encodes.
