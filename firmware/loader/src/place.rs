//! Which board this is, and where its partitions are.

use board::{Board, Flash, PartitionRole, WatchdogKind};
use hal_linux::Mtd;

use crate::cmdline::{CommandLine, builtin_name};
use crate::error::{ErrorKind, LoaderError};

/// The board with its variant, as on the command line, and what is known of it.
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) board: Board,
}

impl Place {
    /// The board that the command line names.
    pub(crate) fn find(line: &CommandLine) -> Result<Self, LoaderError> {
        let Some(name) = line.board.clone() else {
            let message = "the boot loader's arguments name no board (candor.board=)";
            return Err(LoaderError::new(ErrorKind::System, message));
        };
        let board = Board::builtin(&builtin_name(&name))
            .map_err(|error| LoaderError::new(ErrorKind::System, error.to_string()))?;
        Ok(Self { name, board })
    }

    /// The board's name without its variant, as bundles have it.
    pub(crate) fn board_name(&self) -> &str {
        self.name.split_once(':').map_or(self.name.as_str(), |(board, _)| board)
    }

    /// The name of the partition with that role, where the board has one.
    pub(crate) fn partition(&self, role: PartitionRole) -> Option<&str> {
        let mut chips = self.board.flash.iter();
        chips.find_map(|chip: &Flash| chip.partition(role)).map(|partition| partition.name.as_str())
    }

    /// The partition with that role, to read and write.
    pub(crate) fn open(&self, role: PartitionRole) -> Result<Mtd, LoaderError> {
        let Some(name) = self.partition(role) else {
            let message = format!("the board {} has no partition for {role:?}", self.name);
            return Err(LoaderError::new(ErrorKind::Flash, message));
        };
        Mtd::open_partition(name).map_err(|error| LoaderError::new(ErrorKind::Flash, error.to_string()))
    }

    /// Whether a watchdog of the board is one of the kernel's, rather than a panel's.
    pub(crate) fn has_watchdog(&self) -> bool {
        self.board.watchdogs.iter().any(|watchdog| watchdog.kind != WatchdogKind::Panel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> Place {
        Place::find(&CommandLine { board: Some(name.into()), recovery: false }).unwrap()
    }

    #[test]
    fn a_board_is_found_with_its_partitions() {
        let small = place("virt-a7:16");
        assert_eq!(small.board_name(), "virt-a7");
        assert_eq!(small.partition(PartitionRole::Main), Some("main"));
        assert_eq!(small.partition(PartitionRole::MainB), None);
        let large = place("virt-a7:64");
        assert_eq!(large.partition(PartitionRole::MainB), Some("main-b"));
        assert!(small.has_watchdog() && large.has_watchdog());
    }

    #[test]
    fn no_board_and_an_unknown_one_are_told() {
        let none = Place::find(&CommandLine { board: None, recovery: false }).err().unwrap();
        assert!(none.to_string().contains("candor.board="), "{none}");
        let unknown = CommandLine { board: Some("toaster:9".into()), recovery: false };
        let unknown = Place::find(&unknown).err().unwrap();
        assert!(unknown.to_string().contains("toaster-9"), "{unknown}");
    }
}
