//! The rules as nftables takes them: expressions over registers, in one batch that applies as a whole or not at all.

use mynah_core::UPSTREAM_MARK;
use rustix::net::netlink::NETFILTER;

use super::netlink::{APPEND, Attributes, CREATE, Messages, NetlinkError};
use super::{MARK_ANSWER, Rules, TABLE};

/// `NFNL_MSG_BATCH_BEGIN`, `NFNL_MSG_BATCH_END`
const BATCH: (u16, u16) = (0x10, 0x11);
/// `NFNL_SUBSYS_NFTABLES`, in the upper byte of a message's type.
const NFTABLES: u16 = 10 << 8;
const NEW_TABLE: u16 = NFTABLES;
const DELETE_TABLE: u16 = NFTABLES | 2;
const NEW_CHAIN: u16 = NFTABLES | 3;
const NEW_RULE: u16 = NFTABLES | 6;
/// `NFPROTO_INET`, version 0, no resource: IPv4 and IPv6.
const INET: [u8; 4] = [1, 0, 0, 0];
/// `AF_UNSPEC`, version 0, the subsystem in the order of the network.
const BATCH_HEADER: [u8; 4] = [0, 0, 0, 10];
/// `NFT_REG_1`
const REGISTER: u32 = 1;
/// `IPPROTO_TCP`
const TCP: u8 = 6;
/// An interface's name, as the kernel compares it.
const LOOPBACK: [u8; 16] = *b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// A hook of the kernel, and a place among those who use it.
struct Hook {
    number: u32,
    priority: i32,
    kind: &'static str,
}

/// `dstnat`
const PREROUTING: Hook = Hook {
    number: 0,
    priority: -100,
    kind: "nat",
};
/// `raw`, before connections are tracked; a changed mark is routed anew.
const OUTPUT: Hook = Hook {
    number: 3,
    priority: -300,
    kind: "route",
};

/// Puts the rules in the place of those that are there.
pub(crate) fn replace(rules: &Rules) -> Result<(), NetlinkError> {
    let table = Attributes::default().text(1, TABLE);
    let mut batch = begin().request(NEW_TABLE, CREATE, &INET, &table);
    batch = chain(batch, "prerouting", &PREROUTING);
    for port in &rules.ports {
        let redirect = Expressions::default()
            .coming_in()
            .tcp_port(DESTINATION, *port)
            .redirect(rules.to);
        batch = rule(batch, "prerouting", redirect);
    }
    if rules.preserve_source {
        batch = chain(batch, "output", &OUTPUT);
        let request = Expressions::default().meta_mark_is(UPSTREAM_MARK).untracked();
        batch = rule(batch, "output", request);
        for port in &rules.ports {
            let answer = Expressions::default()
                .leaving()
                .tcp_port(SOURCE, *port)
                .untracked()
                .set_meta_mark(MARK_ANSWER);
            batch = rule(batch, "output", answer);
        }
    }
    end(batch)
}

/// Deletes the table, if it is there.
pub(crate) fn delete() -> Result<(), NetlinkError> {
    end(begin())
}

/// A batch that starts by deleting the table; for that it must exist.
fn begin() -> Messages {
    let table = Attributes::default().text(1, TABLE);
    Messages::default()
        .silent(BATCH.0, &BATCH_HEADER)
        .request(NEW_TABLE, CREATE, &INET, &table)
        .request(DELETE_TABLE, 0, &INET, &table)
}

fn end(batch: Messages) -> Result<(), NetlinkError> {
    batch.silent(BATCH.1, &BATCH_HEADER).send(Some(NETFILTER))
}

fn chain(batch: Messages, name: &str, hook: &Hook) -> Messages {
    let place = Attributes::default()
        .big(1, hook.number)
        .bytes(2, &hook.priority.to_be_bytes());
    let attributes = Attributes::default()
        .text(1, TABLE)
        .text(3, name)
        .nested(4, place)
        // `NF_ACCEPT`
        .big(5, 1)
        .text(7, hook.kind);
    batch.request(NEW_CHAIN, CREATE, &INET, &attributes)
}

fn rule(batch: Messages, chain: &str, expressions: Expressions) -> Messages {
    let attributes = Attributes::default()
        .text(1, TABLE)
        .text(2, chain)
        .nested(4, expressions.0);
    batch.request(NEW_RULE, CREATE | APPEND, &INET, &attributes)
}

/// Where a TCP header has its ports.
const SOURCE: u32 = 0;
const DESTINATION: u32 = 2;

/// `NFT_META_…`
const META_MARK: u32 = 3;
const META_INPUT_NAME: u32 = 6;
const META_OUTPUT_NAME: u32 = 7;
const META_PROTOCOL: u32 = 16;

/// The expressions of a rule, in their order.
#[derive(Debug, Default)]
struct Expressions(Attributes);

impl Expressions {
    fn push(self, name: &str, data: Attributes) -> Self {
        let expression = Attributes::default().text(1, name).nested(2, data);
        Self(self.0.nested(1, expression))
    }

    fn load_meta(self, key: u32) -> Self {
        self.push("meta", Attributes::default().big(2, key).big(1, REGISTER))
    }

    /// `NFT_CMP_EQ` is 0, `NFT_CMP_NEQ` 1.
    fn compare(self, unequal: bool, value: &[u8]) -> Self {
        let data = Attributes::default().bytes(1, value);
        let comparison = Attributes::default()
            .big(1, REGISTER)
            .big(2, u32::from(unequal))
            .nested(3, data);
        self.push("cmp", comparison)
    }

    fn load(self, value: &[u8]) -> Self {
        let data = Attributes::default().bytes(1, value);
        self.push("immediate", Attributes::default().big(1, REGISTER).nested(2, data))
    }

    fn coming_in(self) -> Self {
        self.load_meta(META_INPUT_NAME).compare(true, &LOOPBACK)
    }

    fn leaving(self) -> Self {
        self.load_meta(META_OUTPUT_NAME).compare(true, &LOOPBACK)
    }

    fn untracked(self) -> Self {
        self.push("notrack", Attributes::default())
    }

    fn tcp_port(self, offset: u32, port: u16) -> Self {
        // `NFT_PAYLOAD_TRANSPORT_HEADER`
        let transport = 2;
        let payload = Attributes::default()
            .big(1, REGISTER)
            .big(2, transport)
            .big(3, offset)
            .big(4, 2);
        self.load_meta(META_PROTOCOL)
            .compare(false, &[TCP])
            .push("payload", payload)
            .compare(false, &port.to_be_bytes())
    }

    fn redirect(self, port: u16) -> Self {
        // `NF_NAT_RANGE_PROTO_SPECIFIED`
        let flags = 2;
        self.load(&port.to_be_bytes())
            .push("redir", Attributes::default().big(1, REGISTER).big(3, flags))
    }

    fn meta_mark_is(self, mark: u32) -> Self {
        self.load_meta(META_MARK).compare(false, &mark.to_ne_bytes())
    }

    fn set_meta_mark(self, mark: u32) -> Self {
        self.load(&mark.to_ne_bytes())
            .push("meta", Attributes::default().big(2, META_MARK).big(3, REGISTER))
    }
}
