//! A role's line to the warden: a socket pair's end as standard input.
//!
//! The warden hands the socket over as descriptor 0, so a role needs no path and no address to find it, and
//! when the warden ends, however it ends, the role reads end-of-file and stops as if asked to.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use crate::ipc;
use crate::messages::{Answer, Ask, FromRole, RoleConfig, RoleStatus, ToRole};

/// Asks that wait for an answer at one time: each belongs to a web request, and those are few.
const MAX_ASKS: usize = 64;

/// The sending half, shared by the role's threads.
#[derive(Clone)]
pub(crate) struct Control {
    shared: Arc<Mutex<Sender>>,
}

struct Sender {
    socket: UnixStream,
    next_ask: u64,
    asks: HashMap<u64, oneshot::Sender<Answer>>,
}

/// Takes over standard input; returns the sending half, the first configuration, and the receiving half.
pub(crate) fn connect() -> io::Result<(Control, RoleConfig, Receiver)> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let Some(ToRole::Configure(config)) = ipc::read(&mut socket)? else {
        return Err(io::Error::other("a role is started by `candor run`, which tells it what to do"));
    };
    let sender = Sender { socket: socket.try_clone()?, next_ask: 0, asks: HashMap::new() };
    let control = Control { shared: Arc::new(Mutex::new(sender)) };
    Ok((control.clone(), *config, Receiver { socket, control }))
}

impl Control {
    /// Configured and at work.
    pub(crate) fn ready(&self) {
        self.send(&FromRole::Ready);
    }

    /// A sign of progress.
    pub(crate) fn status(&self, status: RoleStatus) {
        self.send(&FromRole::Status(status));
    }

    /// Words for the console.
    pub(crate) fn console(&self, text: &str) {
        self.send(&FromRole::Console(text.to_owned()));
    }

    /// Asks the warden; `None` when it is gone or too much is asked at once.
    pub(crate) async fn ask(&self, ask: Ask) -> Option<Answer> {
        let answer = {
            let mut sender = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            if sender.asks.len() >= MAX_ASKS {
                return None;
            }
            let number = sender.next_ask;
            sender.next_ask += 1;
            let (tell, answer) = oneshot::channel();
            sender.asks.insert(number, tell);
            ipc::write(&mut sender.socket, &FromRole::Ask(number, ask)).ok()?;
            answer
        };
        answer.await.ok()
    }

    /// A send that fails means that the warden is gone, which the receiving half notices too.
    fn send(&self, message: &FromRole) {
        let mut sender = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = ipc::write(&mut sender.socket, message);
    }

    fn answer(&self, number: u64, answer: Answer) {
        let waiting = self.shared.lock().unwrap_or_else(PoisonError::into_inner).asks.remove(&number);
        if let Some(waiting) = waiting {
            let _ = waiting.send(answer);
        }
    }
}

/// The receiving half; answers to asks are sorted out of it.
pub(crate) struct Receiver {
    socket: UnixStream,
    control: Control,
}

impl Receiver {
    /// The next order; `Shutdown` also when the warden is gone.
    pub(crate) fn next(&mut self) -> ToRole {
        loop {
            match ipc::read(&mut self.socket) {
                Ok(Some(ToRole::Answer(number, answer))) => self.control.answer(number, answer),
                Ok(Some(message)) => return message,
                Ok(None) => return ToRole::Shutdown,
                Err(error) => {
                    tracing::error!(%error, "the line to the warden broke");
                    return ToRole::Shutdown;
                }
            }
        }
    }

    /// Calls `handle` with each order on a thread of its own, `Shutdown` last.
    pub(crate) fn spawn(mut self, mut handle: impl FnMut(ToRole) + Send + 'static) -> io::Result<()> {
        thread::Builder::new().name("control".to_owned()).spawn(move || {
            loop {
                let message = self.next();
                let last = matches!(message, ToRole::Shutdown);
                handle(message);
                if last {
                    return;
                }
            }
        })?;
        Ok(())
    }
}
