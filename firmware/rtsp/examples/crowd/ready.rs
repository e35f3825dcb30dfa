//! Waits until a server plays, for servers that do not tell when they do.
//!
//! It asks again and again as a viewer does, until a whole keyframe has come. Then it prints `plays`, and otherwise, when the
//! time is over, what stood in the way last.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout};

use crate::cut::{Cutter, Framing};
use crate::talk::{Failure, say};
use crate::viewer::{INTERLEAVED, Viewer};

/// Nothing tells that another program listens, or has its stream.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(100);
const READ_BYTES: usize = 128 << 10;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its port on 127.0.0.1
    #[arg(long)]
    port: u16,
    /// For how long is asked
    #[arg(long)]
    seconds: u64,
}

/// Asks and tells.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let reason = RefCell::new("no keyframe came".to_owned());
    let asking = async {
        while let Err(error) = keyframe(address).await {
            *reason.borrow_mut() = error.to_string();
            sleep(BETWEEN_ATTEMPTS).await;
        }
    };
    let came = runtime.block_on(async { timeout(Duration::from_secs(args.seconds), asking).await.is_ok() });
    say(if came { "plays".to_owned() } else { reason.into_inner() }.trim())?;
    Ok(())
}

async fn keyframe(address: SocketAddr) -> Result<(), Failure> {
    let mut viewer = Viewer::connect(address).await?;
    viewer.set_up(INTERLEAVED).await?;
    let mut socket = viewer.play().await?;
    let mut cutter = Cutter::new(Framing::Interleaved);
    let mut buffer = vec![0; READ_BYTES];
    let mut came = false;
    while !came {
        let length = socket.read(&mut buffer).await?;
        if length == 0 {
            return Err("the server has left".into());
        }
        cutter.take(&buffer[..length], |stamp| came |= stamp.keyframe())?;
    }
    Ok(())
}
