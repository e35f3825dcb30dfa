//! What every handler shares: the API, and the sign that the server closes.
//!
//! Does not belong here: anything that a request changes.

use std::sync::Arc;

use tokio::sync::watch;

/// Shared by all handlers; cheap to clone.
pub(crate) struct Site<A> {
    pub(crate) api: Arc<A>,
    closing: Arc<watch::Sender<bool>>,
}

impl<A> Site<A> {
    pub(crate) fn new(api: Arc<A>) -> Self {
        Self { api, closing: Arc::new(watch::Sender::new(false)) }
    }

    /// For what outlives a request's answer; the server waits until all of these are dropped.
    pub(crate) fn long_lived(&self) -> Closing {
        Closing(self.closing.subscribe())
    }

    /// Tells all that is long-lived to end, and waits until it has.
    pub(crate) async fn close(&self) {
        self.closing.send_replace(true);
        self.closing.closed().await;
    }
}

impl<A> Clone for Site<A> {
    fn clone(&self) -> Self {
        Self { api: Arc::clone(&self.api), closing: Arc::clone(&self.closing) }
    }
}

/// Says when to end.
pub(crate) struct Closing(watch::Receiver<bool>);

impl Closing {
    /// Returns when the server is closing. May be dropped and called again.
    pub(crate) async fn wait(&mut self) {
        // An error means that the server is gone altogether.
        self.0.wait_for(|closing| *closing).await.ok();
    }
}
