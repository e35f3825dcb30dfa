//! A stream key for a recorder that is off, made as its owner would make one.

use std::fs;
use std::path::Path;

use auth::{Accounts, AccountsConfig, UserName};
use hal::{Clock, SystemClock};

use crate::workspace::Failure;

/// Puts a fresh key of `user` into the accounts file, in place of an older one; returns the only copy of it.
pub(crate) fn make(accounts_file: &Path, user: &str) -> Result<String, Failure> {
    let name: UserName = user.parse()?;
    let mut accounts = match fs::read_to_string(accounts_file) {
        Ok(text) => Accounts::try_from(&toml::from_str::<AccountsConfig>(&text)?)?,
        Err(_) => Accounts::default(),
    };
    let _ = accounts.remove_stream_key(&name);
    let key = accounts.make_stream_key(name, SystemClock::new().wall())?;
    fs::write(accounts_file, toml::to_string_pretty(&AccountsConfig::from(&accounts))?)?;
    Ok(key)
}
