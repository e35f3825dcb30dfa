//! System calls that no crate wraps. The only file with `unsafe`.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use nix::unistd::ForkResult;

/// The first that Linux 3.10 has not on ARM: `sched_setattr` came with 3.14, and 379, `finit_module`, with 3.8.
const FIRST_NEW_CALL: u32 = 380;
/// From here on ARM's own calls, older than all of these: `cacheflush`, `set_tls`.
const FIRST_PRIVATE_CALL: u32 = 0x000f_0000;
/// Where `struct seccomp_data` has the call's number.
const NUMBER_OFFSET: u32 = 0;

/// `I2C_SLAVE` of linux/i2c-dev.h: which chip the next call talks to.
const I2C_SLAVE: libc::Ioctl = 0x0703;
/// `I2C_SMBUS` of the same.
const I2C_SMBUS: libc::Ioctl = 0x0720;
/// `I2C_SMBUS_BYTE_DATA` of linux/i2c.h: one register of one byte.
const BYTE_DATA: u32 = 2;

/// `struct i2c_smbus_ioctl_data`.
#[repr(C)]
struct SmbusCall {
    read: u8,
    command: u8,
    size: u32,
    data: *mut SmbusData,
}

/// `union i2c_smbus_data`: a length, 32 bytes and one more.
#[repr(C, align(2))]
struct SmbusData([u8; 34]);

/// Splits the process; true in the old one.
pub(crate) fn fork() -> io::Result<bool> {
    // SAFETY: this program has one thread, so that the child finds every lock as its parent left it: open.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { .. } => Ok(true),
        ForkResult::Child => Ok(false),
    }
}

/// From now on this process and what it starts are told ENOSYS for what Linux 3.10 has not.
pub(crate) fn refuse_newer_than_3_10() -> io::Result<()> {
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let jump = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    let give = libc::BPF_RET | libc::BPF_K;
    let filter = [
        instruction(load, 0, 0, NUMBER_OFFSET),
        // Old calls and private ones go two and one further, to the last line.
        instruction(jump, 0, 2, FIRST_NEW_CALL),
        instruction(jump, 1, 0, FIRST_PRIVATE_CALL),
        instruction(give, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs()),
        instruction(give, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).unwrap_or(0),
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: `program` and the filter that it points to live through the call, which only reads them.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    checked(result)
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt, jf, k }
}

/// Loads a kernel module.
pub(crate) fn load_module(module: &File, parameters: &str) -> io::Result<()> {
    let parameters = CString::new(parameters)?;
    // SAFETY: the descriptor and the string live through the call, which only reads them.
    let result = unsafe { libc::syscall(libc::SYS_finit_module, module.as_raw_fd(), parameters.as_ptr(), 0) };
    checked(result)
}

/// Writes a register of an I2C chip, or reads it when there is no `value`.
pub(crate) fn i2c_register(bus: &File, chip: u8, register: u8, value: Option<u8>) -> io::Result<u8> {
    // SAFETY: I2C_SLAVE takes its argument as a number.
    checked(unsafe { libc::ioctl(bus.as_raw_fd(), I2C_SLAVE, libc::c_ulong::from(chip)) })?;
    let mut data = SmbusData([0; 34]);
    data.0[0] = value.unwrap_or(0);
    let mut call = SmbusCall {
        read: u8::from(value.is_none()),
        command: register,
        size: BYTE_DATA,
        data: &raw mut data,
    };
    // SAFETY: both structures have the kernel's layout, and live through the call; it writes at most the 34 bytes.
    checked(unsafe { libc::ioctl(bus.as_raw_fd(), I2C_SMBUS, &raw mut call) })?;
    Ok(data.0[0])
}

fn checked(result: impl Into<i64>) -> io::Result<()> {
    if result.into() < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
