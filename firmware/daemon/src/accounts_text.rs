//! The accounts file's text: TOML around what crate `auth` says of accounts.

use auth::{Accounts, AccountsConfig};

/// Reads a text; an empty one is a recorder without accounts.
///
/// # Errors
/// In words that name the line or the entry.
pub(crate) fn parse(text: &str) -> Result<Accounts, String> {
    if text.trim().is_empty() {
        return Ok(Accounts::default());
    }
    let config: AccountsConfig = toml::from_str(text).map_err(|error| error.to_string())?;
    Accounts::try_from(&config).map_err(|error| error.to_string())
}

/// The reverse of [`parse`].
///
/// # Errors
/// When TOML cannot hold it, which no valid account makes happen.
pub(crate) fn format(accounts: &Accounts) -> Result<String, String> {
    toml::to_string_pretty(&AccountsConfig::from(accounts)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_survive_the_file_and_damage_is_refused() {
        let mut accounts = Accounts::default();
        accounts.make_stream_key("wall".parse().unwrap(), hal::WallTime::from_unix_micros(7)).unwrap();
        let text = format(&accounts).unwrap();
        assert_eq!(parse(&text).unwrap(), accounts);
        assert_eq!(parse("").unwrap(), Accounts::default());
        assert!(parse(&text.replace("ha1_md5 = \"", "ha1_md5 = \"x")).unwrap_err().contains("wall"));
        assert!(parse("version = 2").unwrap_err().contains("version 2"));
    }
}
