//! Network interfaces: up, address and default route.
//!
//! By the kernel's old ioctls (netdevice(7)): Linux's `rtnetlink` came later and carries more than a recorder needs.
//!
//! One IPv4 address an interface. Does not belong here: where an address comes from (`system`).

use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;

use hal::{ErrorKind, HalError};
use nix::errno::Errno;

use crate::fault::{errno_fault, fault};

/// An Ethernet interface by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetInterface {
    name: String,
}

impl NetInterface {
    /// The interface of that name; whether there is one is seen when it is used.
    ///
    /// # Errors
    /// `Unsupported` for a name that no interface can have.
    pub fn new(name: &str) -> Result<Self, HalError> {
        if name.is_empty() || name.len() >= nix::libc::IFNAMSIZ || name.contains(['/', '\0']) {
            return Err(HalError::new(ErrorKind::Unsupported, format!("`{name}` is no interface's name")));
        }
        Ok(Self { name: name.to_owned() })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Switches it on.
    ///
    /// # Errors
    /// `NotFound` without such an interface, `Device` without the right.
    pub fn set_up(&self) -> Result<(), HalError> {
        self.call("switching on", |fd| uapi::set_up(fd, &self.name))
    }

    /// Gives it this address, and the route to its network with it; what it had before goes.
    ///
    /// # Errors
    /// As [`NetInterface::set_up`].
    pub fn set_address(&self, address: Ipv4Addr, prefix: u8) -> Result<(), HalError> {
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
        self.call("setting the address of", |fd| {
            uapi::set_address(fd, &self.name, address)?;
            uapi::set_netmask(fd, &self.name, Ipv4Addr::from(mask))
        })
    }

    /// Takes its address away, and every route through it.
    ///
    /// # Errors
    /// As [`NetInterface::set_up`].
    pub fn clear_address(&self) -> Result<(), HalError> {
        self.call("clearing the address of", |fd| {
            match uapi::set_address(fd, &self.name, Ipv4Addr::UNSPECIFIED) {
                // It had none.
                Err(Errno::EADDRNOTAVAIL) => Ok(()),
                other => other,
            }
        })
    }

    /// Sends what is for other networks to `gateway`. It must be in the interface's own network.
    ///
    /// # Errors
    /// As [`NetInterface::set_up`]; `Device` for a gateway that cannot be reached.
    pub fn set_default_route(&self, gateway: Ipv4Addr) -> Result<(), HalError> {
        self.call("setting the gateway of", |fd| match uapi::add_default_route(fd, &self.name, gateway) {
            // It is there already.
            Err(Errno::EEXIST) => Ok(()),
            other => other,
        })
    }

    fn call(&self, what: &str, call: impl FnOnce(i32) -> Result<(), Errno>) -> Result<(), HalError> {
        let what = format!("{what} network interface {}", self.name);
        // Any IPv4 socket carries these calls.
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(|error| fault(&what, &error))?;
        call(socket.as_raw_fd()).map_err(|errno| errno_fault(&what, errno))
    }
}

/// The calls that nix has no safe form of.
#[expect(unsafe_code, reason = "ioctls of network interfaces")]
mod uapi {
    use std::ffi::CString;
    use std::net::Ipv4Addr;
    use std::os::fd::RawFd;

    use nix::errno::Errno;
    use nix::libc;

    nix::ioctl_read_bad!(get_flags, libc::SIOCGIFFLAGS, libc::ifreq);
    nix::ioctl_write_ptr_bad!(set_flags, libc::SIOCSIFFLAGS, libc::ifreq);
    nix::ioctl_write_ptr_bad!(set_if_address, libc::SIOCSIFADDR, libc::ifreq);
    nix::ioctl_write_ptr_bad!(set_if_netmask, libc::SIOCSIFNETMASK, libc::ifreq);
    nix::ioctl_write_ptr_bad!(add_route, libc::SIOCADDRT, libc::rtentry);

    fn request(name: &str) -> libc::ifreq {
        // SAFETY: ifreq is plain data (bytes, numbers and a union of such); all zero is a value of it.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // The last byte stays zero; `NetInterface::new` refused longer names.
        let room = libc::IFNAMSIZ - 1;
        for (to, from) in request.ifr_name[..room].iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        request
    }

    fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
        let mut socket_address =
            libc::sockaddr { sa_family: libc::AF_INET as libc::sa_family_t, sa_data: [0; 14] };
        // sockaddr_in: two bytes of port, then the address in network order.
        for (to, from) in socket_address.sa_data[2..6].iter_mut().zip(address.octets()) {
            *to = from as libc::c_char;
        }
        socket_address
    }

    pub(super) fn set_up(fd: RawFd, name: &str) -> Result<(), Errno> {
        let mut request = request(name);
        // SAFETY: SIOCGIFFLAGS reads the name and writes the flags of the ifreq, which outlives the call.
        unsafe { get_flags(fd, &raw mut request) }?;
        // SAFETY: SIOCGIFFLAGS made `ifru_flags` the union's field in use.
        unsafe { request.ifr_ifru.ifru_flags |= (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short };
        // SAFETY: SIOCSIFFLAGS only reads the ifreq, which outlives the call.
        unsafe { set_flags(fd, &raw const request) }?;
        Ok(())
    }

    pub(super) fn set_address(fd: RawFd, name: &str, address: Ipv4Addr) -> Result<(), Errno> {
        let mut request = request(name);
        request.ifr_ifru.ifru_addr = socket_address(address);
        // SAFETY: SIOCSIFADDR only reads the ifreq, which outlives the call.
        unsafe { set_if_address(fd, &raw const request) }?;
        Ok(())
    }

    pub(super) fn set_netmask(fd: RawFd, name: &str, mask: Ipv4Addr) -> Result<(), Errno> {
        let mut request = request(name);
        request.ifr_ifru.ifru_netmask = socket_address(mask);
        // SAFETY: SIOCSIFNETMASK only reads the ifreq, which outlives the call.
        unsafe { set_if_netmask(fd, &raw const request) }?;
        Ok(())
    }

    pub(super) fn add_default_route(fd: RawFd, name: &str, gateway: Ipv4Addr) -> Result<(), Errno> {
        let mut name = CString::new(name).map_err(|_| Errno::EINVAL)?.into_bytes_with_nul();
        // SAFETY: rtentry is plain data (numbers, addresses and pointers); all zero is a value of it.
        let mut route: libc::rtentry = unsafe { std::mem::zeroed() };
        route.rt_dst = socket_address(Ipv4Addr::UNSPECIFIED);
        route.rt_genmask = socket_address(Ipv4Addr::UNSPECIFIED);
        route.rt_gateway = socket_address(gateway);
        route.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
        route.rt_dev = name.as_mut_ptr().cast();
        // SAFETY: SIOCADDRT reads the rtentry and the name behind `rt_dev`, which ends in zero; both outlive the call.
        unsafe { add_route(fd, &raw const route) }?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_interface_says_so() {
        assert!(NetInterface::new("").is_err());
        assert!(NetInterface::new("a-name-of-16-chr").is_err());
        let missing = NetInterface::new("no-such-if").unwrap();
        for error in [
            missing.set_up().unwrap_err(),
            missing.set_address(Ipv4Addr::new(192, 0, 2, 1), 24).unwrap_err(),
            missing.set_default_route(Ipv4Addr::new(192, 0, 2, 2)).unwrap_err(),
        ] {
            // Without the right, the kernel says that first.
            assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Device), "{error}");
            assert!(error.to_string().contains("no-such-if"), "{error}");
        }
    }
}
