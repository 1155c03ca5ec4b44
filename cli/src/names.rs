//! Names of providers and events: built in, of kernel groups, and found in the file.

use etlring::codec::{RecordHeader, RecordView};
use etlring::format::{ExtType, Group, Guid};
use std::collections::HashMap;

/// What a record's extended items say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extras<'a> {
    /// Name of the provider, from its traits.
    pub(crate) provider: Option<&'a str>,
    /// Name of the event, from its schema.
    pub(crate) event: Option<&'a str>,
    /// The activity that this one came from.
    pub(crate) related: Option<Guid>,
    /// Return addresses, 4 or 8 bytes each.
    pub(crate) stack: Option<Stack<'a>>,
}

/// A call stack as it lies in the record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stack<'a> {
    addresses: &'a [u8],
    width: usize,
}

impl Stack<'_> {
    /// The addresses, innermost first.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = u64> + '_ {
        self.addresses.chunks_exact(self.width).map(|address| {
            address.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
        })
    }
}

impl<'a> Extras<'a> {
    /// Reads the items of `record`. Items that are not what they should be say nothing.
    pub(crate) fn of(record: &RecordView<'a>) -> Self {
        let mut extras = Self::default();
        for item in record.items().map_while(Result::ok) {
            match item.ext_type {
                ExtType::PROV_TRAITS => {
                    extras.provider = item.data.get(2..).and_then(terminated);
                }
                ExtType::EVENT_SCHEMA_TL => extras.event = event_name(item.data),
                ExtType::RELATED_ACTIVITYID => extras.related = item.guid(),
                ExtType::STACK_TRACE32 => extras.stack = stack(item.data, 4),
                ExtType::STACK_TRACE64 => extras.stack = stack(item.data, 8),
                _ => {}
            }
        }
        extras
    }
}

/// Addresses behind the match id.
fn stack(data: &[u8], width: usize) -> Option<Stack<'_>> {
    Some(Stack { addresses: data.get(8..)?, width })
}

/// The event's name behind size and tag; each tag byte but the last has bit 7 set.
fn event_name(schema: &[u8]) -> Option<&str> {
    let tag = schema.get(2..)?;
    let behind = tag.iter().position(|byte| byte & 0x80 == 0)? + 1;
    terminated(&tag[behind..])
}

fn terminated(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&bytes[..end]).ok()
}

/// Provider names, those found in the file included.
#[derive(Debug, Default)]
pub(crate) struct Names {
    found: HashMap<Guid, Box<str>>,
    /// The answer to the last question; records come in runs of one provider.
    last: Option<(Guid, Option<&'static str>)>,
}

impl Names {
    /// Remembers the name that a record tells of its provider.
    pub(crate) fn learn(&mut self, record: &RecordView<'_>, extras: &Extras<'_>) {
        let (Some(guid), Some(name)) = (record.provider(), extras.provider) else { return };
        if !name.is_empty() && self.found.get(&guid).is_none_or(|known| **known != *name) {
            self.found.insert(guid, name.into());
        }
    }

    /// The name of a provider, class or group.
    pub(crate) fn provider(&mut self, guid: Guid) -> Option<&str> {
        if !self.found.is_empty() {
            if let Some(name) = self.found.get(&guid) {
                return Some(name);
            }
        }
        match self.last {
            Some((last, name)) if last == guid => name,
            _ => {
                let name = built_in(guid);
                self.last = Some((guid, name));
                name
            }
        }
    }
}

/// The well-known name of a provider or kernel class.
fn built_in(guid: Guid) -> Option<&'static str> {
    let number = guid.to_u128();
    match PROVIDERS.binary_search_by_key(&number, |(guid, _)| *guid) {
        Ok(at) => Some(PROVIDERS[at].1),
        Err(_) => Group::of(guid).and_then(Group::name),
    }
}

/// Every GUID that is known by `name`, in any case of letters.
pub(crate) fn guids_of(name: &str) -> Vec<Guid> {
    let groups = (0..=u8::MAX).map(Group).filter_map(|group| Some((group.guid()?, group.name()?)));
    let known = PROVIDERS.iter().map(|(guid, name)| (Guid::from_u128(*guid), *name));
    known
        .chain(groups)
        .filter(|(_, n)| n.eq_ignore_ascii_case(name))
        .map(|(guid, _)| guid)
        .collect()
}

/// What kind of event a record is, where it has no name: `id 12 v1`, `type 36`, `message 43`.
pub(crate) fn kind(record: &RecordView<'_>) -> String {
    let version = record.version().filter(|v| *v != 0).map(|v| format!(" v{v}"));
    let version = version.unwrap_or_default();
    match record.header() {
        RecordHeader::Event(header) => match header.descriptor.opcode {
            0 => format!("id {}{version}", header.descriptor.id),
            opcode => format!("id {} op {opcode}{version}", header.descriptor.id),
        },
        RecordHeader::Message(message) => format!("message {}", message.number()),
        RecordHeader::Unknown => "unknown header".to_owned(),
        _ => format!("type {}{version}", record.opcode().unwrap_or(0)),
    }
}

/// Providers met often, by GUID.
#[rustfmt::skip]
const PROVIDERS: &[(u128, &str)] = &[
    (0x0063715b_eeda_4007_9429_ad526f62696e, "Microsoft-Windows-Services"),
    (0x099614a5_5dd7_4788_8bc9_e29f43db28fc, "Microsoft-Windows-LDAP-Client"),
    (0x0f67e49f_fe51_4e9f_b490_6f2948cc6027, "Microsoft-Windows-Kernel-Processor-Power"),
    (0x1418ef04_b0b4_4623_bf7e_d74ab47bbdaa, "Microsoft-Windows-WMI-Activity"),
    (0x15ca44ff_4d7a_4baa_bba5_0998955e531e, "Microsoft-Windows-Kernel-Boot"),
    (0x1c95126e_7eea_49a9_a3fe_a378b03ddb4d, "Microsoft-Windows-DNS-Client"),
    (0x22fb2cd6_0e7b_422b_a0c7_2fad1fd0e716, "Microsoft-Windows-Kernel-Process"),
    (0x2e35aaeb_857f_4beb_a418_2e6c0e54d988, "Microsoft-Windows-DriverFrameworks-UserMode"),
    (0x2ed6006e_4729_4609_b423_3ee7bcd678ef, "Microsoft-Windows-NDIS-PacketCapture"),
    (0x2f07e2ee_15db_40f1_90ef_9d7ba282188a, "Microsoft-Windows-TCPIP"),
    (0x30336ed4_e327_447c_9de0_51b652c86108, "Microsoft-Windows-Shell-Core"),
    (0x331c3b3a_2005_44c2_ac5e_77220c37d6b4, "Microsoft-Windows-Kernel-Power"),
    (0x3ff37a1c_a68d_4d6e_8c9b_f79e8b16c482, "Microsoft-Windows-Ntfs"),
    (0x43d1a55c_76d6_4f7e_995c_64c711e5cafe, "Microsoft-Windows-WinINet"),
    (0x4d4f80d9_c8bd_4d73_bb5b_19c90402c5ac, "Microsoft-Windows-PktMon"),
    (0x50b3e73c_9370_461d_bb9f_26f32d68887d, "Microsoft-Windows-WebIO"),
    (0x52fc89f8_995e_434c_a91e_199986449890, "Microsoft-Windows-Hyper-V-Hypervisor"),
    (0x5322d61a_9efa_4bc3_a3f9_14be95c144f8, "Microsoft-Windows-Kernel-Prefetch"),
    (0x54849625_5478_4994_a5ba_3e3b0328c30d, "Microsoft-Windows-Security-Auditing"),
    (0x6a399ae0_4bc6_4de9_870b_3657f8947e7e, "LostEvent"),
    (0x6ad52b32_d609_4be9_ae07_ce8dae937e39, "Microsoft-Windows-RPC"),
    (0x6bba3851_2c7e_4dea_8f54_31e5afd029e3, "Microsoft-Windows-Diagnosis-DPS"),
    (0x70eb4f03_c1de_4f73_a051_33d13d5413bd, "Microsoft-Windows-Kernel-Registry"),
    (0x783aca0a_790e_4d7f_8451_aa850511c6b9, "Microsoft-Windows-D3D9"),
    (0x7b563579_53c8_44e7_8236_0f87b9fe6594, "Microsoft-Windows-Kernel-WHEA"),
    (0x7b6bc78c_898b_4170_bbf8_1a469ea43fc5, "Microsoft-Windows-HttpEvent"),
    (0x7d44233d_3055_4b9c_ba64_0d47ca40a232, "Microsoft-Windows-WinHttp"),
    (0x7dd42a49_5329_4832_8dfd_43d979153a88, "Microsoft-Windows-Kernel-Network"),
    (0x802ec45a_1e99_4b83_9920_87c98277ba9d, "Microsoft-Windows-DxgKrnl"),
    (0x8c416c79_d49b_4f01_a467_e56d3aa8234c, "Microsoft-Windows-Win32k"),
    (0x8c9dd1ad_e6e5_4b07_b455_684a9d879900, "Microsoft-Windows-Dwm-Core"),
    (0x91cc1150_71aa_47e2_ae18_c96e61736b6f, "Microsoft-Windows-Schannel-Events"),
    (0x945a8954_c147_4acd_923f_40c45405a658, "Microsoft-Windows-WindowsUpdateClient"),
    (0x988c59c5_0a1c_45b6_a555_0c62276e327d, "Microsoft-Windows-SMBClient"),
    (0x9b79ee91_b5fd_41c0_a243_4248e266e9d0, "SystemConfigEx"),
    (0x9c205a39_1250_487d_abd7_e831c6290539, "Microsoft-Windows-Kernel-PnP"),
    (0xa0c1853b_5c40_4b15_8766_3cf1c58f985a, "Microsoft-Windows-PowerShell"),
    (0xa669021c_c450_4609_a035_5af59af4df18, "Microsoft-Windows-DotNETRuntimeRundown"),
    (0xa68ca8b7_004f_d7b6_a698_07e2de0f1f5d, "Microsoft-Windows-Kernel-General"),
    (0xa6ad76e3_867a_4635_91b3_4904ba6374d7, "Microsoft-Windows-Kernel-StoreMgr"),
    (0xabf1f586_2e50_4ba8_928d_49044e6f0db7, "Microsoft-Windows-Kernel-IO"),
    (0xae4bd3be_f36f_45b6_8d21_bdd6fb832853, "Microsoft-Windows-Audio"),
    (0xaea1b4fa_97d1_45f2_a64c_4d69fffd92c9, "Microsoft-Windows-GroupPolicy"),
    (0xb3e675d7_2554_4f18_830b_2762732560de, "KernelTraceControl-ImageID"),
    (0xb675ec37_bdb6_4648_bc92_f3fdc74d3ca2, "Microsoft-Windows-Kernel-EventTracing"),
    (0xbbccf6c1_6cd1_48c4_80ff_839482e37671, "KernelTraceControl-EventMetadata"),
    (0xbf406804_6afa_46e7_8a48_6c357e1d6d61, "Microsoft-Windows-COMRuntime"),
    (0xc514638f_7723_485b_bcfc_96565d735d4a, "Microsoft-Windows-Kernel-Acpi"),
    (0xc7bde69a_e1e0_4177_b6ef_283ad1525271, "Microsoft-Windows-Kernel-Disk"),
    (0xca11c036_0102_4a2d_a6ad_f03cfed5d3c9, "Microsoft-Windows-DXGI"),
    (0xcdead503_17f5_4a3e_b7ae_df8cc2902eb9, "Microsoft-Windows-NDIS"),
    (0xce8dee0b_d539_4000_b0f8_77bed049c590, "Microsoft-Windows-UserModePowerService"),
    (0xcfc18ec0_96b1_4eba_961b_622caee05b0a, "Microsoft-Windows-Diagnostics-Performance"),
    (0xd1d93ef7_e1f2_4f45_9943_03d245fe6c00, "Microsoft-Windows-Kernel-Memory"),
    (0xd4263c98_310c_4d97_ba39_b55354f08584, "Microsoft-Windows-COM"),
    (0xd48ce617_33a2_4bc3_a5c7_11aa4f29619e, "Microsoft-Windows-SMBServer"),
    (0xd8975f88_7ddb_4ed0_91bf_3adf48c48e0c, "Microsoft-Windows-RPCSS"),
    (0xdbe9b383_7cf3_4331_91cc_a3cb16a3b538, "Microsoft-Windows-Winlogon"),
    (0xdd5ef90a_6398_47a4_ad34_4dcecdef795f, "Microsoft-Windows-HttpService"),
    (0xde7b24ea_73c8_4a09_985d_5bdadcfa9017, "Microsoft-Windows-TaskScheduler"),
    (0xe13c0d23_ccbc_4e12_931b_d9cc2eee27e4, "Microsoft-Windows-DotNETRuntime"),
    (0xe53c6823_7bb8_44bb_90dc_3f86090d48a6, "Microsoft-Windows-Winsock-AFD"),
    (0xedd08927_9cc4_4e65_b970_c2560fb5c289, "Microsoft-Windows-Kernel-File"),
    (0xeef54e71_0661_422d_9a98_82fd4940b820, "Microsoft-Windows-Application-Experience"),
    (0xef1cc15b_46c1_414e_bb95_e76b077bd51e, "Microsoft-Windows-Bits-Client"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_found_both_ways() {
        assert!(PROVIDERS.is_sorted_by(|a, b| a.0 < b.0));
        for (guid, name) in PROVIDERS {
            assert_eq!(built_in(Guid::from_u128(*guid)), Some(*name));
            assert!(guids_of(&name.to_uppercase()).contains(&Guid::from_u128(*guid)));
        }
        assert_eq!(guids_of("thread"), [Group(5).guid().unwrap()]);
    }

    #[test]
    fn names_of_events_are_behind_their_tags() {
        assert_eq!(event_name(b"\x0a\x00\x00Start\x00"), Some("Start"));
        assert_eq!(event_name(b"\x0a\x00\x81\x82\x03Stop\x00"), Some("Stop"));
        assert_eq!(event_name(b"\x0a\x00\x81"), None);
        assert_eq!(event_name(b""), None);
    }
}
