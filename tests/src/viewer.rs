//! A live view over WebSocket, as the browser app has it.
//!
//! When it breaks it is opened again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_util::StreamExt;
use http::Request;
use tokio::sync::watch;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use crate::client::runtime;
use crate::owner::Owner;
use crate::wait::{Stopwatch, until};

/// Between two tries to open it.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// What came.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// How often the view was opened.
    pub opened: u32,
    /// Text messages of the current connection.
    pub texts: Vec<String>,
    /// Binary messages in all: init segments and fragments.
    pub binaries: u64,
    /// Groups of pictures that the recorder said were lost.
    pub lost: u64,
    /// The first binary message of the current connection.
    pub init: Vec<u8>,
    /// From opening it to the first fragment, of the first connection.
    pub first_fragment_after: Option<Duration>,
}

/// A view that is kept open.
pub struct Viewer {
    seen: Arc<Mutex<Seen>>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Viewer {
    /// Opens `/channels/{channel}/{stream}/live`.
    #[must_use]
    pub fn watch(owner: &Owner, channel: u16, stream: &str) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (stop, stopped) = watch::channel(false);
        let path = format!("/api/v1/channels/{channel}/{stream}/live?audio=1");
        let (owner, shared) = (owner.clone(), Arc::clone(&seen));
        let thread = thread::spawn(move || runtime().block_on(keep_open(&owner, &path, &shared, stopped)));
        Self { seen, stop, thread: Some(thread) }
    }

    /// What came so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }

    /// Waits until `count` more binary messages came.
    ///
    /// # Panics
    /// When they don't.
    #[track_caller]
    pub fn wait_for_more(&self, count: u64) {
        let before = self.seen().binaries;
        until("more of a live view", || (self.seen().binaries >= before + count).then_some(()));
    }
}

impl Drop for Viewer {
    /// Closes the view.
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn keep_open(owner: &Owner, path: &str, seen: &Mutex<Seen>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = view(owner, path, seen) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY_AFTER) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Until it breaks.
async fn view(owner: &Owner, path: &str, seen: &Mutex<Seen>) -> Option<()> {
    let watch = Stopwatch::start();
    let stream = owner.client.connect().await.ok()?;
    let request = Request::builder()
        .uri(format!("wss://{}{path}", owner.client.authority()))
        .header("host", owner.client.authority())
        .header("origin", owner.client.origin())
        .header("cookie", &owner.cookie)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key())
        .body(())
        .ok()?;
    let (mut socket, _) = client_async(request, stream).await.ok()?;
    {
        let mut seen = lock(seen);
        seen.opened += 1;
        seen.texts.clear();
        seen.init.clear();
    }
    while let Some(Ok(message)) = socket.next().await {
        let mut seen = lock(seen);
        match message {
            Message::Text(text) => {
                if text.contains("\"lost\"") {
                    seen.lost += 1;
                }
                seen.texts.push(text.to_string());
            }
            Message::Binary(bytes) => {
                seen.binaries += 1;
                if seen.init.is_empty() {
                    seen.init = bytes.to_vec();
                } else if seen.first_fragment_after.is_none() {
                    seen.first_fragment_after = Some(watch.elapsed());
                }
            }
            _ => {}
        }
    }
    None
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
