//! mpp-host: the one program that loads the vendor's media library.
//!
//! The role `capture` starts it, with one end of a socket as its standard input; everything it does is ordered over that
//! socket (`mpp-wire`). It loads the library, gives up whatever rights the kernel lets it give up, and hands what the
//! encoders deliver to the client through shared memory. It has no network, makes no file, holds no secret. docs/mpp-host.md
//! says which build suits which vendor's SDK.
//!
//! Does not belong here: what is to be recorded, how, and what a picture is for.

mod channel;
mod confine;
mod display;
mod encoder;
mod generations;
mod library;
mod motion;
mod overlay;
mod param;
mod platform;
mod seccomp;
mod server;
mod shapes;
mod shapes_g1;
mod shapes_g2;
mod shapes_g3;
mod sound;

use std::process::ExitCode;

fn main() -> ExitCode {
    match server::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mpp-host: {error}");
            ExitCode::FAILURE
        }
    }
}
