//! Updates as a whole, over simulated flash.
