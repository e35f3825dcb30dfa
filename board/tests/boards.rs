//! Golden models of the boards that are compiled in.

use board::{Board, PartitionRole};

#[test]
fn boards_are_as_they_were() {
    for name in [
        "dhb-ax",
        "hi3520dv200",
        "hi3521a",
        "hi3531d",
        "hi3536c",
        "hi3536d",
        "n6708g5",
        "pc",
        "phidi-hi3520dv300",
        "virt-a7-16",
        "virt-a7-64",
        "virt-mpp-16",
        "virt-mpp-64",
    ] {
        let board = Board::builtin(name).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(board.name, name);
        insta::assert_debug_snapshot!(name, board);
    }
}

#[test]
fn every_builtin_name_opens() {
    for name in Board::builtin_names() {
        let board = Board::builtin(name).unwrap_or_else(|e| panic!("{e}"));
        assert!(board.name.starts_with(name));
    }
}

#[test]
fn the_default_of_virt_a7_is_the_small_one() {
    let board = Board::builtin("virt-a7").unwrap();
    assert_eq!(board, Board::builtin("virt-a7-16").unwrap());
    for second in [PartitionRole::MainB, PartitionRole::RecoveryB] {
        assert!(board.flash[0].partition(second).is_none());
    }
    let large = Board::builtin("virt-a7-64").unwrap();
    for second in [PartitionRole::MainB, PartitionRole::RecoveryB] {
        assert!(large.flash[0].partition(second).is_some());
    }
}

#[test]
fn mtdparts_are_written_as_the_kernel_reads_them() {
    let board = Board::builtin("dhb-ax").unwrap();
    let parts: Vec<_> = board.flash.iter().filter_map(board::Flash::mtdparts).collect();
    assert_eq!(parts, ["hi_sfc:2M(boot)", "hinand:8M(kernel),16M(rootfs),64M(user),32M(hdr000000)"]);
    let board = Board::builtin("virt-a7-16").unwrap();
    assert_eq!(
        board.flash[0].mtdparts().unwrap(),
        "0.flash:64M(boot)ro,256K(env)ro,4608K(recovery)ro,9984K(main),1M(state)"
    );
}
