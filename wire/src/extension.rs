//! The extension protocol (BEP 10): who speaks what, under which numbers.

use core::net::IpAddr;

use downpour_bencode::{DecodeOptions, Dict, Encoder, Limits};

use crate::limits::MAX_EXTENSIONS;

/// An extension of our [`Registry`], known by its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ExtensionId(pub u8);

/// The extensions that we speak. A host program adds its own by name; the number that peers use towards us is
/// the place in this list plus one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry(Vec<String>);

impl Registry {
    /// Registers an extension by its name, such as `ut_metadata`. The same name gives the same id again.
    ///
    /// Returns `None` when all 254 numbers are taken.
    pub fn register(&mut self, name: &str) -> Option<ExtensionId> {
        if let Some(id) = self.id(name) {
            return Some(id);
        }
        let id = u8::try_from(self.0.len()).ok().filter(|id| *id < 254)?;
        self.0.push(name.to_owned());
        Some(ExtensionId(id))
    }

    /// The id of a registered extension.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<ExtensionId> {
        self.0.iter().position(|known| known == name).map(|place| ExtensionId(place as u8))
    }

    /// The extension that peers call by `number` when they talk to us.
    pub(crate) fn by_number(&self, number: u8) -> Option<ExtensionId> {
        (number >= 1 && usize::from(number) <= self.0.len()).then(|| ExtensionId(number - 1))
    }
}

/// The dictionary of an extension handshake. Every field is optional, in both directions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ExtensionHandshake {
    /// `v`: name and version of the client.
    pub client: Option<String>,
    /// `p`: the TCP port the client listens on.
    pub listen_port: Option<u16>,
    /// `yourip`: how the client sees the receiver.
    pub your_ip: Option<IpAddr>,
    /// `reqq`: how many outstanding requests the client takes.
    pub request_queue: Option<u32>,
    /// `metadata_size`: bytes of the info dictionary (BEP 9).
    pub metadata_size: Option<u32>,
    /// `upload_only`: the client downloads nothing (BEP 21).
    pub upload_only: Option<bool>,
}

/// The peer's numbers for the extensions of our registry.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerNumbers(Vec<u8>);

impl PeerNumbers {
    /// The number under which the peer wants `extension`, `None` if it does not speak it.
    pub(crate) fn number(&self, extension: ExtensionId) -> Option<u8> {
        self.0.get(usize::from(extension.0)).copied().filter(|number| *number != 0)
    }

    /// Takes over an `m` dictionary, which is additive; zero turns an extension off.
    fn update(&mut self, registry: &Registry, m: Dict<'_, '_>) -> Option<()> {
        self.0.resize(registry.0.len(), 0);
        for (count, (name, number)) in m.iter().enumerate() {
            if count >= MAX_EXTENSIONS {
                return None;
            }
            let number = number.as_int().and_then(|number| u8::try_from(number).ok());
            let id = std::str::from_utf8(name).ok().and_then(|name| registry.id(name));
            if let (Some(id), Some(number)) = (id, number) {
                self.0[usize::from(id.0)] = number;
            }
        }
        Some(())
    }
}

impl ExtensionHandshake {
    /// Reads the dictionary, `None` if it is none. Fields that make no sense are left out.
    pub(crate) fn decode(payload: &[u8], registry: &Registry, numbers: &mut PeerNumbers) -> Option<Self> {
        let document = DecodeOptions::lenient(Limits::MESSAGE).decode_prefix(payload).ok()?;
        let dict = document.root().as_dict()?;
        if let Some(m) = dict.get(b"m").and_then(|m| m.as_dict()) {
            numbers.update(registry, m)?;
        }
        let int = |key: &[u8]| dict.get(key).and_then(|value| value.as_int());
        let your_ip = dict.get(b"yourip").and_then(|value| value.as_bytes()).and_then(|bytes| {
            let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
        });
        let client = dict.get(b"v").and_then(|value| value.as_bytes());
        Some(Self {
            client: client
                .map(|v| String::from_utf8_lossy(v).chars().filter(|c| !c.is_control()).take(64).collect()),
            listen_port: int(b"p").and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0),
            your_ip,
            request_queue: int(b"reqq").and_then(|depth| u32::try_from(depth).ok()),
            metadata_size: int(b"metadata_size").and_then(|size| u32::try_from(size).ok()),
            upload_only: int(b"upload_only").map(|flag| flag != 0),
        })
    }

    /// Writes the dictionary with our registry's numbers.
    pub(crate) fn encode(&self, registry: &Registry) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        Encoder::new(&mut out).dict(|dict| {
            dict.entry(b"m").dict(|m| {
                (1u8..).zip(&registry.0).for_each(|(number, name)| m.entry(name.as_bytes()).int(number));
            });
            if let Some(size) = self.metadata_size {
                dict.entry(b"metadata_size").int(size);
            }
            if let Some(port) = self.listen_port {
                dict.entry(b"p").int(port);
            }
            if let Some(depth) = self.request_queue {
                dict.entry(b"reqq").int(depth);
            }
            if let Some(flag) = self.upload_only {
                dict.entry(b"upload_only").int(u8::from(flag));
            }
            if let Some(client) = &self.client {
                dict.entry(b"v").bytes(client);
            }
            match self.your_ip {
                Some(IpAddr::V4(ip)) => dict.entry(b"yourip").bytes(ip.octets()),
                Some(IpAddr::V6(ip)) => dict.entry(b"yourip").bytes(ip.octets()),
                None => {}
            }
        });
        out
    }
}
