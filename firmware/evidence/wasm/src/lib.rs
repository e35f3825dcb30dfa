//! The verifier for a browser: what crosses the border to the page.
//!
//! The page (web/verify) hands over a file's size and answers calls for its bytes; it gets the report. It runs in a worker, where
//! a file can be read while the caller waits. Does not belong here: the verification (crate `evidence`), the page.
//!
//! Invariant: nothing is imported but these four functions: a module without network, clock or storage.

#[cfg(target_arch = "wasm32")]
mod border;
