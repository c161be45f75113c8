//! Whether connections are encrypted.

/// What an encrypted handshake can lead to ("crypto_provide" and "crypto_select").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Only the handshake was hidden.
    Plaintext,
    /// All that follows is encrypted as well.
    Rc4,
}

impl Method {
    pub(crate) const fn bit(self) -> u32 {
        match self {
            Self::Plaintext => 1,
            Self::Rc4 => 2,
        }
    }
}

/// How much encryption a host wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// None: encrypted connections are not understood.
    Disabled,
    /// Whatever the other side begins with; ours begin plain. If encryption is asked for, the handshake's is enough.
    #[default]
    Allowed,
    /// Ours begin encrypted, and RC4 is chosen where there is a choice. Plain ones are taken.
    Preferred,
    /// All encrypted with RC4; others are refused.
    Required,
}

impl Policy {
    /// Whether a connection that we open begins encrypted. Where it fails and the policy is not
    /// [`Required`](Self::Required), it may be opened again without.
    #[must_use]
    pub fn begins_encrypted(self) -> bool {
        matches!(self, Self::Preferred | Self::Required)
    }

    /// Whether a plain connection is taken.
    #[must_use]
    pub fn takes_plain(self) -> bool {
        self != Self::Required
    }

    /// The methods that are offered, as bits.
    pub(crate) fn offers(self) -> u32 {
        match self {
            Self::Required => Method::Rc4.bit(),
            _ => Method::Plaintext.bit() | Method::Rc4.bit(),
        }
    }

    /// The best of what is `offered`.
    pub(crate) fn select(self, offered: u32) -> Option<Method> {
        let order = match self {
            Self::Disabled | Self::Allowed => [Method::Plaintext, Method::Rc4],
            Self::Preferred | Self::Required => [Method::Rc4, Method::Plaintext],
        };
        order.into_iter().find(|method| offered & self.offers() & method.bit() != 0)
    }
}
