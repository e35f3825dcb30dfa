//! The system calls that are answered once the library is loaded.
//!
//! All others fail with EPERM.
//!
//! There is no way to make a socket, to start or change a program, to make, change or remove a file, to mount, or to
//! look into another process. What is left is for the allocator, for threads, and for device nodes: each line says who
//! needs it. The filter is a short program for the kernel (`seccomp(2)`); seccompiler, which other roles could use, does
//! not know 32-bit ARM.
#![allow(unsafe_code, reason = "prctl takes the program by address")]

use nix::errno::Errno;
use nix::libc::{self, c_long, sock_filter, sock_fprog};

/// Memory, threads, signals: the C library and Rust's.
const PROGRAM: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_getrandom,
    libc::SYS_prlimit64,
    libc::SYS_uname,
    libc::SYS_prctl,
];

/// Device nodes and descriptors: the library's.
const DEVICES: &[c_long] = &[
    libc::SYS_ioctl,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_lseek,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_eventfd2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    // The socket that is there: none can be made.
    libc::SYS_sendto,
    libc::SYS_recvfrom,
];

/// Time: both.
const TIME: &[c_long] =
    &[libc::SYS_clock_gettime, libc::SYS_clock_nanosleep, libc::SYS_nanosleep, libc::SYS_gettimeofday];

/// What 32-bit ARM has beside or instead of the others.
#[cfg(target_arch = "arm")]
const OF_THIS_MACHINE: &[c_long] = &[
    libc::SYS_mmap2,
    libc::SYS_fcntl64,
    libc::SYS_fcntl,
    libc::SYS_fstat64,
    libc::SYS_stat64,
    libc::SYS_lstat64,
    libc::SYS_fstatat64,
    libc::SYS__llseek,
    libc::SYS__newselect,
    libc::SYS_poll,
    libc::SYS_access,
    libc::SYS_ugetrlimit,
    libc::SYS_sigreturn,
    libc::SYS_send,
    libc::SYS_recv,
    libc::SYS_getuid32,
    libc::SYS_geteuid32,
    // The 64-bit times of Linux 5.1, in order: clock_gettime, clock_nanosleep, timerfd_settime, pselect6, ppoll, futex.
    403,
    407,
    411,
    413,
    414,
    422,
    // rseq, which libc has no name for under musl: newer kernels' scheduling, the C library's.
    398,
    // Not in the table of system calls: the instruction cache, and the thread pointer.
    0xF_0002,
    0xF_0005,
];
#[cfg(not(target_arch = "arm"))]
const OF_THIS_MACHINE: &[c_long] = &[libc::SYS_mmap, libc::SYS_fcntl, libc::SYS_rseq];

#[cfg(target_arch = "arm")]
const AUDIT_ARCH: u32 = 0x4000_0028;
#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xC000_003E;
#[cfg(not(any(target_arch = "arm", target_arch = "x86_64")))]
const AUDIT_ARCH: u32 = 0;

/// Where the kernel puts what the program may look at (`struct seccomp_data`): the number, the machine, the arguments.
const AT_NUMBER: u32 = 0;
const AT_MACHINE: u32 = 4;
const AT_ARGUMENTS: u32 = 16;

const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
/// For calls that the C library has an older one for.
const NOT_THERE: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// From here on, for this thread and those it makes.
pub(crate) fn install() -> Result<(), Errno> {
    let mut program = program();
    let filter = sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: `filter` names `program`, both outlive the call, and the kernel copies what it takes.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) })
        .map(drop)
}

fn program() -> Vec<sock_filter> {
    let mut program =
        vec![load(AT_MACHINE), jump_if(libc::BPF_JEQ, AUDIT_ARCH, 1, 0), give(REFUSE), load(AT_NUMBER)];
    // glibc asks for the newer call first, whose flags nobody can look at.
    program.extend([jump_if(libc::BPF_JEQ, libc::SYS_clone3 as u32, 0, 1), give(NOT_THERE)]);
    // A thread may be made, a process not.
    checked(&mut program, libc::SYS_clone, 0, libc::CLONE_THREAD as u32, true);
    // A file may be opened, not made or emptied.
    let making = (libc::O_CREAT | libc::O_TRUNC) as u32;
    #[cfg(target_arch = "arm")]
    checked(&mut program, libc::SYS_open, 1, making, false);
    checked(&mut program, libc::SYS_openat, 2, making, false);
    for number in [PROGRAM, DEVICES, TIME, OF_THIS_MACHINE].into_iter().flatten() {
        program.extend([jump_if(libc::BPF_JEQ, *number as u32, 0, 1), give(libc::SECCOMP_RET_ALLOW)]);
    }
    program.push(give(REFUSE));
    program
}

/// A call that is answered when any of `bits` of an argument is set (or, with `set` false, when none is).
fn checked(program: &mut Vec<sock_filter>, number: c_long, argument: u32, bits: u32, set: bool) {
    let (yes, no) = if set { (libc::SECCOMP_RET_ALLOW, REFUSE) } else { (REFUSE, libc::SECCOMP_RET_ALLOW) };
    program.extend([
        jump_if(libc::BPF_JEQ, number as u32, 0, 4),
        load(AT_ARGUMENTS + 8 * argument),
        jump_if(libc::BPF_JSET, bits, 0, 1),
        give(yes),
        give(no),
    ]);
}

fn load(at: u32) -> sock_filter {
    sock_filter { code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, jt: 0, jf: 0, k: at }
}

fn jump_if(test: u32, value: u32, then: u8, otherwise: u8) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | test | libc::BPF_K) as u16, jt: then, jf: otherwise, k: value }
}

fn give(answer: u32) -> sock_filter {
    sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: answer }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel would.
    fn answer(number: c_long, arguments: [u32; 6]) -> u32 {
        let program = program();
        let data = |at: u32| match at {
            AT_NUMBER => number as u32,
            AT_MACHINE => AUDIT_ARCH,
            _ => arguments[(at - AT_ARGUMENTS) as usize / 8],
        };
        let (mut at, mut value) = (0, 0);
        loop {
            let step = program[at];
            let class = u32::from(step.code) & 0x07;
            let holds = match u32::from(step.code) & 0xF0 {
                libc::BPF_JSET => value & step.k != 0,
                _ => value == step.k,
            };
            at += 1;
            match class {
                libc::BPF_LD => value = data(step.k),
                libc::BPF_JMP => at += usize::from(if holds { step.jt } else { step.jf }),
                _ => return step.k,
            }
        }
    }

    #[test]
    fn the_library_may_use_devices_and_threads_and_nothing_else() {
        let plain = |number| answer(number, [0; 6]);
        for allowed in [libc::SYS_ioctl, libc::SYS_read, libc::SYS_futex, libc::SYS_clock_gettime] {
            assert_eq!(plain(allowed), libc::SECCOMP_RET_ALLOW, "{allowed}");
        }
        for refused in [
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_execve,
            libc::SYS_unlinkat,
            libc::SYS_renameat,
            libc::SYS_mount,
            libc::SYS_ptrace,
            libc::SYS_ftruncate,
            libc::SYS_kill,
        ] {
            assert_eq!(plain(refused), REFUSE, "{refused}");
        }
        assert_eq!(plain(libc::SYS_clone3), NOT_THERE);
    }

    #[test]
    fn threads_are_made_and_processes_not_files_opened_and_not_made() {
        let thread = (libc::CLONE_THREAD | libc::CLONE_VM) as u32;
        assert_eq!(answer(libc::SYS_clone, [thread, 0, 0, 0, 0, 0]), libc::SECCOMP_RET_ALLOW);
        assert_eq!(answer(libc::SYS_clone, [libc::SIGCHLD as u32, 0, 0, 0, 0, 0]), REFUSE);
        let open = |flags: i32| answer(libc::SYS_openat, [0, 0, flags as u32, 0, 0, 0]);
        assert_eq!(open(libc::O_RDWR), libc::SECCOMP_RET_ALLOW);
        assert_eq!(open(libc::O_WRONLY | libc::O_CREAT), REFUSE);
        assert_eq!(open(libc::O_WRONLY | libc::O_TRUNC), REFUSE);
    }
}
