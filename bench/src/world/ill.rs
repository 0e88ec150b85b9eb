//! The mirror, well or ill.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::Result;
use socket2::{Domain, SockRef, Socket, Type};

use super::listen;

/// What a mirror does with what it gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mirror {
    Healthy,
    /// It reads and says nothing.
    NeverAnswers,
    /// It accepts and does not read.
    NeverReads,
    /// Nobody listens.
    Refuses,
    /// It accepts and resets.
    Resets,
    /// It answers late.
    Slow(Duration),
    /// Connecting is not even refused.
    BlackHole,
}

impl Mirror {
    /// All of them, the healthy one first.
    pub(crate) const ALL: [Self; 7] = [
        Self::Healthy,
        Self::NeverAnswers,
        Self::NeverReads,
        Self::Refuses,
        Self::Resets,
        Self::Slow(Duration::from_secs(1)),
        Self::BlackHole,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::NeverAnswers => "never answers",
            Self::NeverReads => "never reads",
            Self::Refuses => "refuses",
            Self::Resets => "resets",
            Self::Slow(_) => "slow (1 s)",
            Self::BlackHole => "black hole",
        }
    }

    pub(super) fn accepts(self) -> bool {
        !matches!(self, Self::Refuses | Self::BlackHole)
    }

    pub(super) fn place(self) -> Result<Place> {
        match self {
            Self::Refuses => {
                // Bound and not listening: nobody else can take the port either.
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
                socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
                Place::of(socket.into())
            }
            Self::BlackHole => {
                let mut place = Place::of(listen(0)?)?;
                // The kernel ignores whoever knocks when the queue is full.
                for _ in 0..8 {
                    let timeout = Duration::from_millis(50);
                    place
                        .crowd
                        .extend(TcpStream::connect_timeout(&place.address, timeout).ok());
                }
                Ok(place)
            }
            Self::NeverReads => {
                let place = Place::of(listen(4096)?)?;
                if let Some(listener) = &place.listener {
                    // Accepted sockets inherit it; the kernel would otherwise take megabytes in the mirror's name.
                    SockRef::from(listener).set_recv_buffer_size(4096)?;
                }
                Ok(place)
            }
            _ => Place::of(listen(4096)?),
        }
    }
}

/// Where a mirror is.
pub(super) struct Place {
    pub(super) listener: Option<TcpListener>,
    pub(super) address: SocketAddr,
    pub(super) crowd: Vec<TcpStream>,
}

impl Place {
    fn of(listener: TcpListener) -> Result<Self> {
        Ok(Self {
            address: listener.local_addr()?,
            listener: Some(listener),
            crowd: Vec::new(),
        })
    }
}
