//! The kernel's command line, as far as it concerns us.
//!
//! It comes from the boot loader's environment, which nothing of ours writes. Does not belong here: what follows from
//! it.

/// What the boot loader told us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandLine {
    /// `candor.board=virt-a7:16`: the board, and behind the colon its variant.
    pub(crate) board: Option<String>,
    /// `candor.recovery`: somebody at the serial console wants recovery, whatever the slots hold.
    pub(crate) recovery: bool,
}

impl CommandLine {
    /// Reads what `/proc/cmdline` holds. The last of two wins, as with the kernel's own.
    pub(crate) fn parse(text: &str) -> Self {
        let mut line = Self { board: None, recovery: false };
        for word in text.split_ascii_whitespace() {
            if let Some(board) = word.strip_prefix("candor.board=") {
                line.board = Some(board.to_owned()).filter(|board| !board.is_empty());
            } else if word == "candor.recovery" {
                line.recovery = true;
            }
        }
        line
    }
}

/// The name that `Board::builtin` takes for a board and variant as the command line has them.
pub(crate) fn builtin_name(board: &str) -> String {
    board.replacen(':', "-", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_words_are_found_among_the_kernels() {
        let line = CommandLine::parse(
            "console=ttyAMA0 panic=10 mtdparts=0.flash:64M(boot),256K(env) candor.board=virt-a7:16\n",
        );
        assert_eq!(line, CommandLine { board: Some("virt-a7:16".into()), recovery: false });
        assert!(CommandLine::parse("candor.board=a candor.recovery quiet").recovery);
        for text in ["", "candor.board=", "xcandor.board=pc candor.recovery=no recovery"] {
            assert_eq!(CommandLine::parse(text), CommandLine { board: None, recovery: false }, "{text}");
        }
        assert_eq!(CommandLine::parse("candor.board=a candor.board=b").board.as_deref(), Some("b"));
    }

    #[test]
    fn boards_of_the_command_line_are_known() {
        for name in ["virt-a7:16", "virt-a7:64", "virt-a7"] {
            assert!(board::Board::builtin(&builtin_name(name)).is_ok(), "{name}");
        }
    }
}
