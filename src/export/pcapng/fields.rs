//! Payloads of the packet-capture providers, read field by field.

use crate::codec::Utf16;

/// Reads little-endian fields from the front of a payload; past its end there is nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// UTF-16 up to its terminator.
    pub(super) fn text(&mut self) -> Option<String> {
        let end = self.0.chunks_exact(2).position(|unit| unit == [0, 0])?;
        let text = self.bytes(2 * end)?;
        self.bytes(2)?;
        Some(Utf16(text).chars().collect())
    }
}

/// A packet event of PktMon: 160, and 170 for a packet that was dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct PktMonPacket<'a> {
    pub(super) group: u64,
    pub(super) number: u16,
    pub(super) appearance: u16,
    pub(super) direction: u16,
    pub(super) kind: u16,
    pub(super) component: u16,
    pub(super) edge: u16,
    pub(super) drop_reason: u32,
    pub(super) drop_location: u32,
    pub(super) original: u16,
    pub(super) data: &'a [u8],
}

impl<'a> PktMonPacket<'a> {
    pub(super) fn parse(payload: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(payload);
        let (group, number, appearance) = (fields.u64()?, fields.u16()?, fields.u16()?);
        let (direction, kind, component) = (fields.u16()?, fields.u16()?, fields.u16()?);
        let (edge, _filter) = (fields.u16()?, fields.u16()?);
        let (drop_reason, drop_location) = (fields.u32()?, fields.u32()?);
        let (original, logged) = (fields.u16()?, fields.u16()?);
        let data = fields.0;
        let data = data.get(..usize::from(logged)).unwrap_or(data);
        Some(Self {
            group,
            number,
            appearance,
            direction,
            kind,
            component,
            edge,
            drop_reason,
            drop_location,
            original,
            data,
        })
    }
}

/// A fragment of an NDIS capture: 1001, and 1003 from a virtual switch.
#[derive(Clone, Debug)]
pub(super) struct NdisFragment<'a> {
    pub(super) miniport: u32,
    pub(super) lower: u32,
    /// Of a virtual switch: the port, and the names of port and adapter.
    pub(super) source: Option<(u32, String, String)>,
    pub(super) data: &'a [u8],
}

impl<'a> NdisFragment<'a> {
    pub(super) fn parse(payload: &'a [u8], from_switch: bool) -> Option<Self> {
        let mut fields = Fields(payload);
        let (miniport, lower) = (fields.u32()?, fields.u32()?);
        let source = if from_switch {
            let (port, port_name) = (fields.u32()?, fields.text()?);
            let (adapter, _kind) = (fields.text()?, fields.text()?);
            let destinations = fields.u32()? as usize;
            fields.bytes(destinations.checked_mul(8)?)?;
            Some((port, port_name, adapter))
        } else {
            None
        };
        let size = fields.u32()? as usize;
        let data = fields.0.get(..size).unwrap_or(fields.0);
        Some(Self { miniport, lower, source, data })
    }
}

/// What an 802.11 adapter said of the packet that follows: the start of a
/// `DOT11_EXTSTA_RECV_CONTEXT` as 64-bit Windows lays it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reception {
    flags: u32,
    phy: u32,
    channel_mhz: u32,
    rssi_dbm: i32,
    rate: u8,
}

impl Reception {
    /// The payload of event 1002; with the two numbers of the interface.
    pub(super) fn parse(payload: &[u8]) -> Option<(u32, u32, Self)> {
        let mut fields = Fields(payload);
        let (miniport, lower, _size) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let _header = fields.u32()?;
        let (flags, phy, channel_mhz) = (fields.u32()?, fields.u32()?, fields.u32()?);
        // A count of 16 bits and the two bytes that align what follows.
        let _units = fields.u32()?;
        let rssi_dbm = fields.array().map(i32::from_le_bytes)?;
        let rate = *fields.bytes(1)?.first()?;
        Some((miniport, lower, Self { flags, phy, channel_mhz, rssi_dbm, rate }))
    }
}

impl std::fmt::Display for Reception {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { flags, phy, channel_mhz, rssi_dbm, rate } = self;
        write!(
            f,
            "phy {phy}, channel {channel_mhz} MHz, RSSI {rssi_dbm} dBm, rate {} kbit/s, \
             flags {flags:#x}",
            u32::from(*rate) * 500
        )
    }
}
