//! The role's life: open the ports, follow the warden's words.

use std::error::Error;
use std::sync::{Arc, Mutex};

use bus::Feeds;
use hal::{Clock, SystemClock};
use live::Live;
use tokio::sync::watch;
use tokio::time::interval;

use super::accounts::Accounts;
use super::house::House;
use super::listeners;
use super::notes::Notes;
use super::watchers::Watchers;
use crate::announcer::Announcer;
use crate::control::{Control, Receiver};
use crate::footage_client::FootageClient;
use crate::messages::{RoleConfig, STATUS_EVERY, Snapshot, ToRole};

/// Worker threads: TLS and fan-out of many viewers use a second core where there is one.
const WORKERS: usize = 2;

/// Runs until the warden says otherwise.
pub(crate) fn run(
    control: Control,
    config: RoleConfig,
    orders: Receiver,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    runtime.block_on(serve(control, config, orders))
}

async fn serve(
    control: Control,
    config: RoleConfig,
    orders: Receiver,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let secrets = config.serve.ok_or("the warden gave no key and no accounts")?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let tls = listeners::tls_config(&secrets)?;
    let feeds = Arc::new(Feeds::new(&config.run_dir));
    let footage = FootageClient::new(&config.run_dir);
    let notes = Notes::start(footage.clone(), Arc::clone(&clock));
    let accounts = Accounts::new(
        &secrets.accounts,
        secrets.sessions,
        Arc::clone(&clock),
        control.clone(),
        notes.clone(),
    )?;
    let house = Arc::new(House {
        accounts,
        watchers: Watchers::new(Arc::clone(&clock), notes.clone()),
        notes,
        announcer: Mutex::new(Announcer::new(&config.run_dir, "serve")),
        live: Live::new(Arc::clone(&feeds)),
        feeds,
        footage,
        run_dir: config.run_dir,
        settings: watch::Sender::new(config.settings),
        snapshot: watch::Sender::new(Snapshot::default()),
        control,
        clock,
    });
    let (stop, mut stopping) = watch::channel(false);
    let told = Arc::clone(&house);
    orders.spawn(move |order| match order {
        ToRole::Configure(config) => {
            told.settings.send_replace(config.settings);
        }
        ToRole::Snapshot(snapshot) => {
            told.snapshot.send_replace(*snapshot);
        }
        ToRole::Shutdown => {
            stop.send_replace(true);
        }
        ToRole::Answer(..) | ToRole::Console(_) => {}
    })?;
    house.control.ready();
    // The code is on the console before the address is.
    house.accounts.ensure_setup_code();
    let reporting = Arc::clone(&house);
    tokio::spawn(async move {
        let mut every = interval(STATUS_EVERY);
        loop {
            every.tick().await;
            reporting.accounts.keep_sessions();
        }
    });
    let showing = Arc::clone(&house);
    tokio::spawn(async move { showing.accounts.show_setup_codes().await });
    let until_stop = async move {
        // An error means that the control thread is gone, which means the same.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    listeners::serve(house, tls, until_stop).await;
    Ok(())
}
