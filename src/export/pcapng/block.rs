//! The blocks of pcapng, little-endian: what Wireshark reads.

/// Kind of the packets of an interface (`LINKTYPE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LinkType(pub(super) u16);

impl LinkType {
    pub(super) const ETHERNET: Self = Self(1);
    /// IPv4 or IPv6 without anything before it.
    pub(super) const RAW_IP: Self = Self(101);
    /// 802.11 without a radio header.
    pub(super) const WIFI: Self = Self(105);
    /// Bytes of a kind that has no number.
    pub(super) const USER0: Self = Self(147);
}

/// Time stamps are nanoseconds since 1970.
const TSRESOL_NANOS: u8 = 9;

const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

pub(super) const COMMENT: u16 = 1;
pub(super) const SHB_USERAPPL: u16 = 4;
pub(super) const IF_NAME: u16 = 2;
pub(super) const IF_DESCRIPTION: u16 = 3;
pub(super) const IF_IPV4: u16 = 4;
pub(super) const IF_IPV6: u16 = 5;
pub(super) const IF_MAC: u16 = 6;
const IF_TSRESOL: u16 = 9;
pub(super) const EPB_FLAGS: u16 = 2;
pub(super) const EPB_PACKETID: u16 = 5;

/// Bytes of an option's value; its length is 16 bits.
const MOST_OPTION: usize = 0xFFF0;

/// An option of a block.
pub(super) type Opt<'o> = (u16, &'o [u8]);

pub(super) fn section_header(out: &mut Vec<u8>, options: &[Opt<'_>]) {
    block(out, SECTION_HEADER, |out| {
        out.extend_from_slice(&0x1A2B_3C4D_u32.to_le_bytes());
        out.extend_from_slice(&[1, 0, 0, 0]);
        // Length of the section: not known, since it is written as it comes.
        out.extend_from_slice(&u64::MAX.to_le_bytes());
        put_options(out, options);
    });
}

pub(super) fn interface(out: &mut Vec<u8>, link: LinkType, options: &[Opt<'_>]) {
    block(out, INTERFACE, |out| {
        out.extend_from_slice(&link.0.to_le_bytes());
        // Reserved; no bound on the length of packets.
        out.extend_from_slice(&[0; 6]);
        option(out, (IF_TSRESOL, &[TSRESOL_NANOS]));
        put_options(out, options);
    });
}

/// A packet of which `data` was captured.
pub(super) fn packet(
    out: &mut Vec<u8>,
    interface: u32,
    nanos: i128,
    data: &[u8],
    original: u32,
    options: &[Opt<'_>],
) {
    let [a, b, c, d, high @ ..] = u64::try_from(nanos.max(0)).unwrap_or(u64::MAX).to_le_bytes();
    block(out, ENHANCED_PACKET, |out| {
        let captured = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let [high, low] = [high, [a, b, c, d]].map(u32::from_le_bytes);
        for word in [interface, high, low, captured, original.max(captured)] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(data);
        pad(out, data.len());
        put_options(out, options);
    });
}

/// Type, length, body, length; the body is a multiple of four.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = u32::try_from(out.len() - start + 4).unwrap_or(u32::MAX).to_le_bytes();
    out[start + 4..start + 8].copy_from_slice(&length);
    out.extend_from_slice(&length);
}

fn put_options(out: &mut Vec<u8>, options: &[Opt<'_>]) {
    options.iter().for_each(|one| option(out, *one));
    out.extend_from_slice(&[0; 4]);
}

fn option(out: &mut Vec<u8>, (code, value): Opt<'_>) {
    let value = &value[..value.len().min(MOST_OPTION)];
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(value);
    pad(out, value.len());
}

fn pad(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&[0; 3][..length.next_multiple_of(4) - length]);
}
