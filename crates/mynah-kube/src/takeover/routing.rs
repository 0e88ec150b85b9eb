//! Routes for the application's answers on connections that keep the client's address: marked, they go back to the
//! loopback device. IPv6 is left out where the namespace has none.

use rustix::io::Errno;

use super::netlink::{Attributes, CREATE, EXCLUSIVE, Messages, NetlinkError};
use super::{MARK_ANSWER, ROUTES};

/// The protocol with number 0, which is the default.
const NETLINK_ROUTE: Option<rustix::net::Protocol> = None;
/// `AF_INET`, `AF_INET6`
const FAMILIES: [u8; 2] = [2, 10];
const NEW_ROUTE: u16 = 24;
const DELETE_ROUTE: u16 = 25;
const NEW_RULE: u16 = 32;
const DELETE_RULE: u16 = 33;
/// The loopback device is the first of every namespace.
const LOOPBACK: u32 = 1;

/// Adds them; those that are there already stay.
pub(crate) fn add() -> Result<(), NetlinkError> {
    for family in FAMILIES {
        tolerate(family, &[Errno::EXIST], send(NEW_RULE, family))?;
        tolerate(family, &[Errno::EXIST], send(NEW_ROUTE, family))?;
    }
    Ok(())
}

/// Removes them, if they are there.
pub(crate) fn remove() -> Result<(), NetlinkError> {
    let gone = [Errno::NOENT, Errno::SRCH];
    for family in FAMILIES {
        tolerate(family, &gone, send(DELETE_RULE, family))?;
        tolerate(family, &gone, send(DELETE_ROUTE, family))?;
    }
    Ok(())
}

fn send(kind: u16, family: u8) -> Result<(), NetlinkError> {
    let flags = if matches!(kind, NEW_RULE | NEW_ROUTE) {
        CREATE | EXCLUSIVE
    } else {
        0
    };
    if matches!(kind, NEW_RULE | DELETE_RULE) {
        // `FR_ACT_TO_TBL`; the table stands in an attribute.
        let header = [family, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        let attributes = Attributes::default()
            .native(6, ROUTES)
            .native(10, MARK_ANSWER)
            .native(16, u32::MAX)
            .native(15, ROUTES);
        return Messages::default()
            .request(kind, flags, &header, &attributes)
            .send(NETLINK_ROUTE);
    }
    // `RTPROT_STATIC`, `RT_SCOPE_HOST`, `RTN_LOCAL`: every address is one of ours.
    let header = [family, 0, 0, 0, 0, 4, 254, 2, 0, 0, 0, 0];
    let attributes = Attributes::default().native(4, LOOPBACK).native(15, ROUTES);
    Messages::default()
        .request(kind, flags, &header, &attributes)
        .send(NETLINK_ROUTE)
}

fn tolerate(family: u8, codes: &[Errno], result: Result<(), NetlinkError>) -> Result<(), NetlinkError> {
    // A namespace without IPv6 says one of these.
    let absent = [
        Errno::AFNOSUPPORT,
        Errno::OPNOTSUPP,
        Errno::ACCESS,
        Errno::NODEV,
        Errno::INVAL,
    ];
    let is = |codes: &[Errno], code: i32| codes.iter().any(|errno| errno.raw_os_error() == code);
    match result {
        Err(error) if error.code().is_some_and(|code| is(codes, code)) => Ok(()),
        Err(error) if family == FAMILIES[1] && error.code().is_some_and(|code| is(&absent, code)) => Ok(()),
        result => result,
    }
}
