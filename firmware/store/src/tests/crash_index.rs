//! The index in a crash: SQLite's files, which no fault disk watches.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

const DATABASE: &str = "index.db";
const LOG: &str = "index.db-wal";

/// The files of an index as they were. The shared memory is never there after a crash of the machine, and made anew
/// after one of the process.
#[derive(Clone, Default)]
pub(crate) struct IndexCopy {
    database: Option<Arc<[u8]>>,
    log: Option<Arc<[u8]>>,
}

/// What a crash makes of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It has everything: more than the segments, where those lost something.
    Kept,
    /// So many thousandths of its log are there.
    Torn(u64),
    /// It is as it was before so many thousandths of the story.
    Stale(u64),
    /// It is gone.
    Lost,
    /// It is no database.
    Garbage,
}

impl IndexCopy {
    pub(crate) fn take(dir: &Path) -> Self {
        let read = |name: &str| fs::read(dir.join(name)).ok().map(Arc::from);
        Self { database: read(DATABASE), log: read(LOG) }
    }

    /// What is left of it.
    pub(crate) fn after(&self, fate: Fate, earlier: impl FnOnce(u64) -> Self) -> Self {
        match fate {
            Fate::Kept => self.clone(),
            // In order: each frame's checksum covers those before it. SQLite syncs the log before it folds it in.
            Fate::Torn(thousandths) => Self {
                database: self.database.clone(),
                log: self.log.as_ref().map(|log| log[..log.len() * thousandths as usize / 1000].into()),
            },
            Fate::Stale(thousandths) => earlier(thousandths),
            Fate::Lost => Self::default(),
            Fate::Garbage => {
                let garbage =
                    b"not a database, but long enough to be read as the head of one, 100 bytes and some more";
                Self { database: Some(garbage.repeat(2).into()), log: None }
            }
        }
    }

    pub(crate) fn put(&self, dir: &Path) {
        for (name, content) in [(DATABASE, &self.database), (LOG, &self.log)] {
            match content {
                Some(content) => fs::write(dir.join(name), content).unwrap(),
                None => drop(fs::remove_file(dir.join(name))),
            }
        }
        let _ = fs::remove_file(dir.join("index.db-shm"));
    }
}

/// Every row of every table, whatever the schema: what two indexes are compared by.
pub(crate) fn rows(dir: &Path) -> BTreeMap<String, Vec<Vec<String>>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = Connection::open_with_flags(dir.join(DATABASE), flags).unwrap();
    let list = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let mut statement = db.prepare(list).unwrap();
    let tables = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap);
    let mut all = BTreeMap::new();
    for table in tables {
        let table: String = table;
        let mut statement = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            (0..columns).map(|column| Ok(format!("{:?}", row.get::<_, Value>(column)?))).collect()
        });
        let mut rows: Vec<Vec<String>> = rows.unwrap().map(Result::unwrap).collect();
        rows.sort();
        all.insert(table, rows);
    }
    all
}
