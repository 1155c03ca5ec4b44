//! pcapng: the packets of NDIS captures (`netsh trace`) and of PktMon, for Wireshark.
//!
//! | event | becomes |
//! |---|---|
//! | PktMon 160, 170 | a packet of the interface of its component; a packet passes several |
//! | NDIS 1001, 1003 | a packet; fragments are joined until the event that ends it |
//! | NDIS 1002 | a comment at the 802.11 packet behind it |
//! | PktMon 20, 30, 60, 65, 66, 70 | names and addresses of interfaces |
//! | all others | nothing |
//!
//! Each packet has its time in nanoseconds, its direction, and a comment with its process, where in
//! the stack PktMon saw it, and why it was dropped. Interfaces are described before their first
//! packet; [`learn`](Pcapng::learn) takes in their names, which may lie behind it in the log.
//!
//! NDIS hands out 802.11 frames that are decrypted already but still say that they are not: the
//! protected bit is cleared, or Wireshark would not look into them.
//!
//! # Bounds
//!
//! [`MOST_INTERFACES`] interfaces; packets of others go to one interface for each kind of packet.
//! [`MOST_PARTIAL`] packets are put together at a time, of [`MOST_PACKET`] bytes each.

mod block;
mod fields;

use crate::codec::{RawRecord, RecordKind, RecordView};
use crate::export::{Entry, text::escaped};
use crate::format::{Guid, HeaderType};
use crate::schema::{Shape, Value, Visitor};
use block::{LinkType, Opt};
use fields::{Fields, NdisFragment, PktMonPacket, Reception};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

/// Interfaces that have a description of their own.
pub const MOST_INTERFACES: usize = 4096;
/// Packets that are put together from fragments at a time.
pub const MOST_PARTIAL: usize = 256;
/// Bytes of a packet; Wireshark reads no larger ones.
pub const MOST_PACKET: usize = 256 * 1024;
/// Characters of a name that go into a file.
const MOST_NAME: usize = 256;
/// Components of PktMon that are known.
const MOST_COMPONENTS: usize = 1 << 16;

const NDIS: Guid = Guid::from_u128(0x2ed6006e_4729_4609_b423_3ee7bcd678ef);
const PKTMON: Guid = Guid::from_u128(0x4d4f80d9_c8bd_4d73_bb5b_19c90402c5ac);

const NDIS_FRAGMENT: u16 = 1001;
const NDIS_METADATA: u16 = 1002;
const NDIS_SWITCH_FRAGMENT: u16 = 1003;
const PKTMON_PACKET: u16 = 160;
const PKTMON_DROP: u16 = 170;

/// Bits of the keyword of an NDIS packet.
mod keyword {
    pub(super) const WIRELESS_WAN: u64 = 0x200;
    pub(super) const WIFI: u64 = 0x1_0000;
    pub(super) const TRUNCATED: u64 = 0x200_0000;
    pub(super) const START: u64 = 0x4000_0000;
    pub(super) const END: u64 = 0x8000_0000;
    pub(super) const SEND: u64 = 0x1_0000_0000;
    pub(super) const RECEIVE: u64 = 0x2_0000_0000;
}

/// Writes one capture. Keep the order: [`learn`](Self::learn), [`head`](Self::head), events,
/// [`tail`](Self::tail).
#[derive(Clone, Debug, Default)]
pub struct Pcapng {
    components: HashMap<u16, Component>,
    /// Numbers of the interfaces that are described.
    interfaces: HashMap<Interface, u32>,
    partial: BTreeMap<Interface, Partial>,
    /// What was said of the next packet, by the two numbers of its interface.
    receptions: HashMap<(u32, u32), Reception>,
    packets: u64,
}

/// What packets are kept apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Interface {
    source: Source,
    link: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Source {
    /// A component of PktMon.
    Component(u16),
    /// Numbers of the miniport's interface and of the one below.
    Adapter(u32, u32),
    /// The same, and the port of a virtual switch.
    Port(u32, u32, u32),
    /// One that is too many.
    Other,
}

/// What PktMon says of a component.
#[derive(Clone, Debug, Default)]
struct Component {
    name: String,
    description: String,
    /// `NdisMedium`: 0 Ethernet, 16 802.11, 19 mobile broadband.
    medium: Option<u16>,
    mac: Option<[u8; 6]>,
    ipv4: Option<[u8; 4]>,
    ipv6: Option<[u8; 16]>,
}

/// A packet whose end has not come yet.
#[derive(Clone, Debug)]
struct Partial {
    nanos: i128,
    data: Vec<u8>,
    flags: u32,
    comment: String,
    name: String,
}

impl Pcapng {
    /// Knows no interfaces.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what a record says of interfaces; all others are passed over.
    pub fn learn(&mut self, record: RawRecord<'_>) {
        const PROVIDER: std::ops::Range<usize> = 24..40;
        let is_event = matches!(
            record.kind,
            RecordKind::Typed(HeaderType::EVENT_HEADER64 | HeaderType::EVENT_HEADER32)
        );
        if !is_event || record.bytes.get(PROVIDER) != Some(&PKTMON.0) {
            return;
        }
        let Ok(view) = RecordView::parse(record) else { return };
        let mut fields = Fields(view.payload());
        let (Some(id), Some(number), Some(kind)) = (view.id(), fields.u16(), fields.u16()) else {
            return;
        };
        if !matches!(id, 20 | 60 | 65 | 66 | 70)
            || self.components.len() >= MOST_COMPONENTS && !self.components.contains_key(&number)
        {
            return;
        }
        let component = self.components.entry(number).or_default();
        match id {
            20 => {
                component.name = fields.text().unwrap_or_default();
                component.description = fields.text().unwrap_or_default();
            }
            // Property 5 is the medium.
            60 if kind == 5 => component.medium = fields.u16(),
            65 => component.ipv4 = fields.0.try_into().ok(),
            66 => component.ipv6 = fields.0.try_into().ok(),
            70 if fields.u32() == Some(6) => {
                component.mac = fields.bytes(6).and_then(|bytes| bytes.try_into().ok());
            }
            _ => {}
        }
    }

    /// What stands before the first packet.
    pub fn head(&mut self, out: &mut Vec<u8>) {
        let program = concat!("etlring ", env!("CARGO_PKG_VERSION"));
        block::section_header(out, &[(block::SHB_USERAPPL, program.as_bytes())]);
    }

    /// One record, logged `nanos` nanoseconds after 1970. Records without a packet write nothing.
    pub fn event(&mut self, out: &mut Vec<u8>, entry: &Entry<'_, '_>, nanos: i128) {
        let view = entry.view;
        let payload = view.payload();
        match (view.provider(), view.id()) {
            (Some(PKTMON), Some(id @ (PKTMON_PACKET | PKTMON_DROP))) => {
                if let Some(packet) = PktMonPacket::parse(payload) {
                    self.pktmon(out, entry, nanos, &packet, id == PKTMON_DROP);
                }
            }
            (Some(NDIS), Some(id @ (NDIS_FRAGMENT | NDIS_SWITCH_FRAGMENT))) => {
                let fragment = NdisFragment::parse(payload, id == NDIS_SWITCH_FRAGMENT);
                if let Some(fragment) = fragment {
                    self.ndis(out, entry, nanos, &fragment);
                }
            }
            (Some(NDIS), Some(NDIS_METADATA)) => {
                let reception = Reception::parse(payload);
                if let Some((miniport, lower, reception)) = reception {
                    if self.receptions.len() >= MOST_INTERFACES {
                        self.receptions.clear();
                    }
                    self.receptions.insert((miniport, lower), reception);
                }
            }
            _ => {}
        }
    }

    /// Packets whose end never came.
    pub fn tail(&mut self, out: &mut Vec<u8>) {
        while let Some((interface, partial)) = self.partial.pop_first() {
            self.cut_off(out, interface, partial);
        }
    }

    /// Packets that were written.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets
    }

    fn pktmon(
        &mut self,
        out: &mut Vec<u8>,
        entry: &Entry<'_, '_>,
        nanos: i128,
        packet: &PktMonPacket<'_>,
        dropped: bool,
    ) {
        let component = self.components.get(&packet.component);
        let medium = component.and_then(|component| component.medium);
        let link = match (packet.kind, medium) {
            (1, _) | (0, Some(0)) => LinkType::ETHERNET,
            (2, _) | (0, Some(16)) => LinkType::WIFI,
            (3, _) | (0, Some(19)) => LinkType::RAW_IP,
            _ => LinkType::USER0,
        };
        let source = Source::Component(packet.component);
        let interface = self.interface(out, source, link, String::new());
        let (flags, direction) = match packet.direction {
            1 => (1, "in"),
            2 => (2, "out"),
            3 => (1, "received"),
            4 => (2, "sent"),
            5 => (1, "ingress"),
            6 => (2, "egress"),
            _ => (0, "of no direction"),
        };
        let mut comment = who(entry);
        let PktMonPacket { group, number, appearance, edge, .. } = packet;
        let _ = write!(
            comment,
            "packet {group}.{number}, appearance {appearance}, {direction} at component {} edge \
             {edge}",
            packet.component
        );
        if dropped {
            let mut reason = DropReason(None);
            let _ = entry.event.walk(&mut reason);
            let reason = reason.0.unwrap_or_else(|| packet.drop_reason.to_string());
            let location = packet.drop_location;
            let _ = write!(comment, "; dropped: {}, location {location:#x}", escaped(&reason));
        }
        // The same at each component that the packet passes.
        let id = (group << 16 | u64::from(*number)).to_le_bytes();
        let options: [Opt<'_>; 3] = [
            (block::EPB_FLAGS, &u32::to_le_bytes(flags)),
            (block::EPB_PACKETID, &id),
            (block::COMMENT, comment.as_bytes()),
        ];
        let original = u32::from(packet.original);
        block::packet(out, interface, nanos, packet.data, original, &options);
        self.packets += 1;
    }

    fn ndis(
        &mut self,
        out: &mut Vec<u8>,
        entry: &Entry<'_, '_>,
        nanos: i128,
        fragment: &NdisFragment<'_>,
    ) {
        let keyword = entry.view.descriptor().map_or(0, |descriptor| descriptor.keyword.get());
        let has = |bit| keyword & bit != 0;
        let (miniport, lower) = (fragment.miniport, fragment.lower);
        let link = match () {
            () if has(keyword::WIFI) => LinkType::WIFI,
            () if has(keyword::WIRELESS_WAN) => LinkType::RAW_IP,
            () => LinkType::ETHERNET,
        };
        let source = match &fragment.source {
            Some((port, _, _)) => Source::Port(miniport, lower, *port),
            None => Source::Adapter(miniport, lower),
        };
        let interface = Interface { source, link: link.0 };
        if has(keyword::START) {
            if let Some(lost) = self.partial.remove(&interface) {
                self.cut_off(out, interface, lost);
            }
        }
        let mut partial = self.partial.remove(&interface).unwrap_or_else(|| {
            let mut comment = who(entry);
            if let Some(reception) = self.receptions.remove(&(miniport, lower)) {
                let _ = write!(comment, "{reception}; ");
            }
            let name = fragment.source.as_ref().map(|(port, port_name, adapter)| {
                let _ = write!(comment, "switch port {port} ");
                let _ = write!(comment, "\"{}\"; ", escaped(&cut(port_name)));
                cut(adapter)
            });
            let flags = match (has(keyword::RECEIVE), has(keyword::SEND)) {
                (true, false) => 1,
                (false, true) => 2,
                _ => 0,
            };
            Partial { nanos, data: Vec::new(), flags, comment, name: name.unwrap_or_default() }
        });
        let room = MOST_PACKET - partial.data.len();
        partial.data.extend_from_slice(&fragment.data[..fragment.data.len().min(room)]);
        const TRUNCATED: &str = "truncated by the capture; ";
        if has(keyword::TRUNCATED) && !partial.comment.contains(TRUNCATED) {
            partial.comment.push_str(TRUNCATED);
        }
        if has(keyword::END) {
            self.whole(out, interface, partial);
            return;
        }
        if self.partial.len() >= MOST_PARTIAL {
            self.tail(out);
        }
        self.partial.insert(interface, partial);
    }

    /// A packet whose end is lost.
    fn cut_off(&mut self, out: &mut Vec<u8>, interface: Interface, mut partial: Partial) {
        partial.comment.push_str("its end is missing; ");
        self.whole(out, interface, partial);
    }

    fn whole(&mut self, out: &mut Vec<u8>, interface: Interface, mut partial: Partial) {
        let link = LinkType(interface.link);
        let number = self.interface(out, interface.source, link, partial.name);
        if let (LinkType::WIFI, Some(flags)) = (link, partial.data.get_mut(1)) {
            *flags &= !0x40;
        }
        let comment = partial.comment.trim_end_matches("; ");
        let flags = partial.flags.to_le_bytes();
        let mut options = vec![(block::EPB_FLAGS, &flags[..])];
        if !comment.is_empty() {
            options.push((block::COMMENT, comment.as_bytes()));
        }
        let original = original_length(link, &partial.data);
        block::packet(out, number, partial.nanos, &partial.data, original, &options);
        self.packets += 1;
    }

    /// The number of an interface; it is described when it is first asked for.
    fn interface(
        &mut self,
        out: &mut Vec<u8>,
        source: Source,
        link: LinkType,
        name: String,
    ) -> u32 {
        let mut interface = Interface { source, link: link.0 };
        if let Some(number) = self.interfaces.get(&interface) {
            return *number;
        }
        if self.interfaces.len() >= MOST_INTERFACES {
            interface.source = Source::Other;
            if let Some(number) = self.interfaces.get(&interface) {
                return *number;
            }
        }
        let number = u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX);
        self.interfaces.insert(interface, number);
        let unknown = Component::default();
        let kind = match link {
            LinkType::WIFI => "wifi",
            LinkType::RAW_IP => "mbb",
            _ => "eth",
        };
        let mut component = &unknown;
        let (name, description) = match interface.source {
            Source::Component(id) => {
                component = self.components.get(&id).unwrap_or(&unknown);
                (format!("{} ({id})", cut(&component.name)), cut(&component.description))
            }
            Source::Adapter(miniport, lower) if miniport == lower => {
                (format!("{kind}:{miniport}"), String::new())
            }
            Source::Adapter(miniport, lower) => {
                (format!("{kind}:{miniport}"), format!("filter over interface {lower}"))
            }
            Source::Port(miniport, _, port) => (format!("vNIC:{miniport}:{port}"), name),
            Source::Other => ("other".to_owned(), String::new()),
        };
        let (name, description) = (escaped(&name).to_string(), escaped(&description).to_string());
        let mut options: Vec<Opt<'_>> = vec![(block::IF_NAME, name.trim_start().as_bytes())];
        if !description.is_empty() {
            options.push((block::IF_DESCRIPTION, description.as_bytes()));
        }
        // Address and mask, address and length of the prefix: of one address.
        let ipv4 = component.ipv4.map(|[a, b, c, d]| [a, b, c, d, 255, 255, 255, 255]);
        let ipv6: Option<Vec<u8>> = component.ipv6.map(|ip| [&ip[..], &[128]].concat());
        options.extend(ipv4.as_ref().map(|ip| (block::IF_IPV4, &ip[..])));
        options.extend(ipv6.as_ref().map(|ip| (block::IF_IPV6, &ip[..])));
        options.extend(component.mac.as_ref().map(|mac| (block::IF_MAC, &mac[..])));
        block::interface(out, link, &options);
        number
    }
}

/// `process 12 (name.exe), thread 34; `, or nothing for a record of no process.
fn who(entry: &Entry<'_, '_>) -> String {
    let known = |id: Option<u32>| id.filter(|id| ![0, u32::MAX].contains(id));
    let Some(process) = known(entry.view.process_id()) else { return String::new() };
    let mut text = format!("process {process}");
    if let Some(name) = entry.process_name {
        let _ = write!(text, " ({})", escaped(&cut(name)));
    }
    if let Some(thread) = known(entry.view.thread_id()) {
        let _ = write!(text, ", thread {thread}");
    }
    text.push_str("; ");
    text
}

/// A name of a length that fits a comment.
fn cut(name: &str) -> String {
    name.chars().take(MOST_NAME).collect()
}

/// How long a packet was before the capture cut it, as its IP header says.
fn original_length(link: LinkType, data: &[u8]) -> u32 {
    let captured = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let (before, ip) = match link {
        LinkType::ETHERNET => match data.get(12..14) {
            Some([0x08, 0x00] | [0x86, 0xDD]) => (14, &data[14..]),
            _ => return captured,
        },
        LinkType::RAW_IP => (0, data),
        _ => return captured,
    };
    let word = |at: usize| ip.get(at..at + 2).map_or(0, |b| u32::from(b[0]) << 8 | u32::from(b[1]));
    let length = match ip.first().map(|first| first >> 4) {
        Some(4) => before + word(2),
        Some(6) => before + 40 + word(4),
        _ => 0,
    };
    length.max(captured)
}

/// The reason that the log's own map names: the numbers differ between builds of Windows.
struct DropReason(Option<String>);

impl Visitor for DropReason {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        if name == "DropReason" {
            self.0 = Some(value.to_string());
        }
    }

    fn begin(&mut self, _: &str, _: Shape) {}

    fn end(&mut self, _: Shape) {}
}
