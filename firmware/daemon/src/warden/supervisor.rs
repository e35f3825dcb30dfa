//! One role's life: started, listened to, started again when it ends.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::backoff::Backoff;
use super::desk::Desk;
use super::memory::resident_bytes;
use crate::ipc;
use crate::messages::{FromRole, RoleState, ToRole};
use crate::role::Role;

/// A role that reports nothing for this long is stuck and is ended; it reports every second.
const SILENCE: Duration = Duration::from_secs(10);
/// A role has this long to finish when it is asked to; two rounds of it fit the 2 s of a clean stop.
const GRACE: Duration = Duration::from_millis(950);
/// A role that does not read its orders for this long is stuck.
const WRITE_PATIENCE: Duration = Duration::from_secs(2);
/// Snapshots go to `serve` at most this often.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(250);
/// Messages from a role that wait for the supervisor; a role that sends faster waits itself.
const INBOX: usize = 64;

/// Runs `role` until `stop` turns true.
pub(super) async fn supervise(role: Role, desk: Arc<Desk>, mut stop: watch::Receiver<bool>) {
    let mut backoff = Backoff::default();
    while !is_raised(&mut stop) {
        let started = desk.clock.mono();
        let end = match Life::begin(role, &desk).await {
            Ok(life) => life.live(&mut stop).await,
            Err(error) => Err(format!("it could not be started: {error}")),
        };
        let note = match end {
            Ok(()) => break,
            Err(note) => note,
        };
        let pause = backoff.pause(started, desk.clock.mono());
        tracing::warn!(%role, note, pause_ms = pause.as_millis() as u64, "role ended, will be started again");
        desk.update_overview(|overview| {
            overview.forget(role);
            let view = overview.role(role);
            view.state = RoleState::Restarting;
            view.restarts += 1;
            view.since = desk.clock.wall();
            view.pid = None;
            view.memory_bytes = 0;
            view.note = note;
        });
        tokio::select! {
            () = sleep(pause) => {}
            () = raised(&mut stop) => {}
        }
    }
    desk.update_overview(|overview| {
        let view = overview.role(role);
        view.state = RoleState::Stopped;
        view.pid = None;
    });
}

/// One process of a role.
struct Life<'a> {
    role: Role,
    desk: &'a Arc<Desk>,
    child: Child,
    /// Kept beside it: a child that was waited for no longer tells.
    pid: Option<u32>,
    orders: OwnedWriteHalf,
    inbox: mpsc::Receiver<FromRole>,
}

impl<'a> Life<'a> {
    async fn begin(role: Role, desk: &'a Arc<Desk>) -> io::Result<Self> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let (reader, orders) = UnixStream::from_std(ours)?.into_split();
        // Its own process group: Ctrl-C on the console is the warden's to handle, in order.
        // This very program, even when another was put in its place since.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("candor")
            .args(["role", role.name()])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .process_group(0)
            .kill_on_drop(true);
        let child = desk.children.spawn(&mut command)?;
        let pid = child.id();
        let (sender, inbox) = mpsc::channel(INBOX);
        tokio::spawn(read_messages(reader, sender));
        desk.update_overview(|overview| {
            let view = overview.role(role);
            view.state = RoleState::Starting;
            view.since = desk.clock.wall();
            view.pid = pid;
        });
        let mut life = Self { role, desk, child, pid, orders, inbox };
        let config = life.desk.config_for(role);
        life.order(&ToRole::Configure(Box::new(config))).await?;
        Ok(life)
    }

    /// Until it was asked to stop and did, or until it ended by itself: then why.
    async fn live(mut self, stop: &mut watch::Receiver<bool>) -> Result<(), String> {
        let mut settings = self.desk.watch_settings();
        let mut volumes = self.desk.watch_volumes();
        let mut footage_keys = self.desk.watch_footage_keys();
        let mut snapshot = self.desk.watch_snapshot();
        let mut console = self.desk.watch_console();
        // What was said before it started is still true.
        console.mark_changed();
        let is_capture = self.role == Role::Capture;
        let is_serve = self.role == Role::Serve;
        let is_record = self.role == Role::Record;
        let mut silence = Box::pin(sleep(SILENCE));
        let mut snapshot_pause = Box::pin(sleep(Duration::ZERO));
        let mut may_send_snapshot = false;
        loop {
            let sent = tokio::select! {
                ended = self.child.wait() => return Err(end_words(ended)),
                message = self.inbox.recv() => match message {
                    Some(message) => {
                        silence.set(sleep(SILENCE));
                        self.take(message).await
                    }
                    // Its end of the line is closed: the process is ending, and wait() will say how.
                    None => return Err(end_words(self.child.wait().await)),
                },
                changed = settings.changed() => match changed {
                    Ok(()) => {
                        let config = self.desk.config_for(self.role);
                        self.order(&ToRole::Configure(Box::new(config))).await
                    }
                    Err(_) => Ok(()),
                },
                changed = volumes.changed(), if is_record => match changed {
                    Ok(()) => {
                        let config = self.desk.config_for(self.role);
                        self.order(&ToRole::Configure(Box::new(config))).await
                    }
                    Err(_) => Ok(()),
                },
                changed = footage_keys.changed(), if is_record => match changed {
                    Ok(()) => {
                        let config = self.desk.config_for(self.role);
                        self.order(&ToRole::Configure(Box::new(config))).await
                    }
                    Err(_) => Ok(()),
                },
                changed = console.changed(), if is_capture => match changed {
                    Ok(()) => {
                        let words = console.borrow_and_update().clone();
                        self.order(&ToRole::Console(words)).await
                    }
                    Err(_) => Ok(()),
                },
                () = &mut snapshot_pause, if is_serve && !may_send_snapshot => {
                    may_send_snapshot = true;
                    Ok(())
                }
                changed = snapshot.changed(), if is_serve && may_send_snapshot => match changed {
                    Ok(()) => {
                        may_send_snapshot = false;
                        snapshot_pause.set(sleep(SNAPSHOT_EVERY));
                        let picture = Box::new(snapshot.borrow_and_update().clone());
                        self.order(&ToRole::Snapshot(picture)).await
                    }
                    Err(_) => Ok(()),
                },
                () = &mut silence => {
                    self.kill().await;
                    return Err(format!("it reported nothing for {} s", SILENCE.as_secs()));
                }
                () = raised(stop) => {
                    self.stop().await;
                    return Ok(());
                }
            };
            if let Err(error) = sent {
                self.kill().await;
                return Err(format!("it no longer took orders: {error}"));
            }
        }
    }

    async fn take(&mut self, message: FromRole) -> io::Result<()> {
        self.desk.progress.made(self.role, self.desk.clock.mono());
        match message {
            FromRole::Ready => self.desk.update_overview(|overview| {
                let view = overview.role(self.role);
                view.state = RoleState::Running;
                view.since = self.desk.clock.wall();
            }),
            FromRole::Status(status) => {
                let memory_bytes = self.child.id().map_or(0, resident_bytes);
                self.desk.update_overview(|overview| {
                    overview.report(self.role, status);
                    overview.role(self.role).memory_bytes = memory_bytes;
                });
            }
            FromRole::Ask(number, ask) => {
                let answer = self.desk.ask(self.role, ask);
                return self.order(&ToRole::Answer(number, answer)).await;
            }
            FromRole::Console(text) => self.desk.tell_console(&text),
        }
        Ok(())
    }

    async fn order(&mut self, order: &ToRole) -> io::Result<()> {
        let frame = ipc::encode(order)?;
        timeout(WRITE_PATIENCE, self.orders.write_all(&frame)).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    async fn stop(&mut self) {
        let asked = self.order(&ToRole::Shutdown).await;
        // Its messages must still be taken, or a full line would keep it from ending.
        let ended = timeout(GRACE, async {
            loop {
                tokio::select! {
                    ended = self.child.wait() => break ended,
                    message = self.inbox.recv() => if message.is_none() { break self.child.wait().await },
                }
            }
        })
        .await;
        if asked.is_err() || ended.is_err() {
            tracing::warn!(role = %self.role, "did not stop in time and was ended");
            self.kill().await;
        }
    }

    async fn kill(&mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::error!(role = %self.role, %error, "could not be ended");
        }
    }
}

impl Drop for Life<'_> {
    fn drop(&mut self) {
        // Waited for, or left to the runtime, which waits for what it kills.
        if self.child.id().is_none() {
            self.desk.children.forget(self.pid);
        }
    }
}

fn is_raised(stop: &mut watch::Receiver<bool>) -> bool {
    *stop.borrow_and_update()
}

/// Returns once `stop` is true, or its sender is gone.
async fn raised(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn read_messages(mut socket: OwnedReadHalf, inbox: mpsc::Sender<FromRole>) {
    while let Ok(message) = read_message(&mut socket).await {
        if inbox.send(message).await.is_err() {
            return;
        }
    }
}

async fn read_message(socket: &mut OwnedReadHalf) -> io::Result<FromRole> {
    let mut head = [0; 4];
    socket.read_exact(&mut head).await?;
    let mut body = vec![0; ipc::body_length(head)?];
    socket.read_exact(&mut body).await?;
    ipc::decode(&body)
}

fn end_words(ended: io::Result<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt;
    match ended {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("it ended with code {code}"),
            (None, Some(signal)) => format!("it was ended by signal {signal}"),
            (None, None) => "it ended".to_owned(),
        },
        Err(error) => format!("it was lost: {error}"),
    }
}
