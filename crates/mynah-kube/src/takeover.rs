//! The takeover inside a pod: rules in its network namespace that send inbound connections to Mynah.
//!
//! Connections for the application's port that come from outside the pod are redirected to Mynah's. What comes over the
//! loopback device is left alone, so neither the application's neighbours in the pod nor Mynah's own connections to it are
//! touched. One table of nftables holds all of it, for IPv4 and IPv6, and is replaced as a whole: doing it twice is doing it
//! once, and undoing it is deleting the table.
//!
//! With `preserve_source` Mynah connects from the client's own address to the pod's. The application's answers would then
//! leave the pod; but whatever of the application's port leaves it is such an answer, since no connection from outside
//! reaches the application any other way. So these are marked, and what is marked is routed back to the loopback device. The
//! kernel does not track them: it would take them for the client's connection to Mynah, whose addresses are the same.
//!
//! There is no `nft` or `ip` in the image, so `netlink` speaks to the kernel. [`Rules`] prints what these would be told.

mod netlink;
mod nftables;
mod routing;

use std::fmt;
use std::io;

use mynah_core::UPSTREAM_MARK;

pub use self::netlink::NetlinkError;

/// The name of the table of nftables.
pub(crate) const TABLE: &str = "mynah";
/// What the answers on them are marked with.
pub(crate) const MARK_ANSWER: u32 = 0x6d79_0001;
/// The routing table, and the preference of the rule, that send answers back to the loopback device.
pub(crate) const ROUTES: u32 = 0x6d79;

/// What is redirected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The application's ports.
    pub ports: Vec<u16>,
    /// Mynah's port.
    pub to: u16,
    /// The application sees the client's address.
    pub preserve_source: bool,
}

/// Why the rules were not written.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// The process lacks the capability.
    #[error("the kernel does not permit it: the container needs the capability NET_ADMIN, and to run as root (user 0)")]
    NotPermitted,
    /// The kernel lacks what is needed.
    #[error("the kernel has no nftables with NAT for both address families (Linux 5.2), or no module for it: {0}")]
    Unsupported(io::Error),
    /// Anything else.
    #[error("{what}: {error}")]
    Kernel {
        /// What was asked of the kernel.
        what: &'static str,
        /// Its answer.
        error: io::Error,
    },
}

impl Rules {
    /// Writes the rules into the network namespace of this process. What an earlier call has written is replaced.
    pub fn apply(&self) -> Result<(), TakeoverError> {
        nftables::replace(self).map_err(explain("cannot write the rules of nftables"))?;
        if self.preserve_source {
            routing::add().map_err(explain("cannot write the routes for answers"))?;
        } else {
            routing::remove().map_err(explain("cannot remove the routes for answers"))?;
        }
        Ok(())
    }
}

/// Removes everything that [`Rules::apply`] has written; without it, nothing.
pub fn undo() -> Result<(), TakeoverError> {
    nftables::delete().map_err(explain("cannot remove the rules of nftables"))?;
    routing::remove().map_err(explain("cannot remove the routes for answers"))
}

fn explain(what: &'static str) -> impl Fn(NetlinkError) -> TakeoverError {
    move |error| {
        let error = error.into_io();
        match error.kind() {
            io::ErrorKind::PermissionDenied => TakeoverError::NotPermitted,
            io::ErrorKind::NotFound | io::ErrorKind::Unsupported => TakeoverError::Unsupported(error),
            _ => TakeoverError::Kernel { what, error },
        }
    }
}

/// As `nft` and `ip` would be told.
impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "table inet {TABLE} {{")?;
        writeln!(f, "\tchain prerouting {{")?;
        writeln!(f, "\t\ttype nat hook prerouting priority dstnat; policy accept;")?;
        for port in &self.ports {
            writeln!(f, "\t\tiifname != \"lo\" tcp dport {port} redirect to :{}", self.to)?;
        }
        writeln!(f, "\t}}")?;
        if self.preserve_source {
            writeln!(f, "\n\tchain output {{")?;
            writeln!(f, "\t\ttype route hook output priority raw; policy accept;")?;
            writeln!(f, "\t\tmeta mark {UPSTREAM_MARK:#010x} notrack")?;
            for port in &self.ports {
                writeln!(
                    f,
                    "\t\toifname != \"lo\" tcp sport {port} notrack meta mark set {MARK_ANSWER:#010x}"
                )?;
            }
            writeln!(f, "\t}}")?;
        }
        writeln!(f, "}}")?;
        if self.preserve_source {
            for (family, all) in [("", "0.0.0.0/0"), (" -6", "::/0")] {
                writeln!(
                    f,
                    "# ip{family} rule add pref {ROUTES} fwmark {MARK_ANSWER:#010x} lookup {ROUTES}"
                )?;
                writeln!(f, "# ip{family} route add local {all} dev lo table {ROUTES}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_printed_as_nft_reads_them() {
        let rules = Rules {
            ports: vec![8080],
            to: 9480,
            preserve_source: false,
        };
        let expected = "table inet mynah {\n\tchain prerouting {\n\t\ttype nat hook prerouting priority dstnat; policy accept;\n\
            \t\tiifname != \"lo\" tcp dport 8080 redirect to :9480\n\t}\n}\n";
        assert_eq!(rules.to_string(), expected);
    }
}
