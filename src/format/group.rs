//! Kernel groups: the high byte of a hook id, and the class that consumers show for it.

use crate::format::Guid;

/// Class of the records that say how many events were lost where (`RT_LostEvent`): type 32 for
/// events, 33 for buffers.
pub const LOST_EVENT_GUID: Guid = Guid::from_u128(0x6a399ae0_4bc6_4de9_870b_3657f8947e7e);

/// A kernel group (`EVENT_TRACE_GROUP_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Group(pub u8);

/// Name and class GUID by group number.
const GROUPS: [(&str, u128); 31] = [
    ("EventTrace", 0x68fdd900_4a3e_11d1_84f4_0000f80464e3),
    ("DiskIo", 0x3d6fa8d4_fe05_11d0_9dda_00c04fd7ba7c),
    ("PageFault", 0x3d6fa8d3_fe05_11d0_9dda_00c04fd7ba7c),
    ("Process", 0x3d6fa8d0_fe05_11d0_9dda_00c04fd7ba7c),
    ("FileIo", 0x90cbdc39_4a3e_11d1_84f4_0000f80464e3),
    ("Thread", 0x3d6fa8d1_fe05_11d0_9dda_00c04fd7ba7c),
    ("TcpIp", 0x9a280ac0_c8e0_11d1_84e2_00c04fb998a2),
    ("Job", 0x3282fc76_feed_498e_8aa7_e70f459d430e),
    ("UdpIp", 0xbf3a50c5_a9c9_4988_a005_2df0b7c80f80),
    ("Registry", 0xae53722e_c863_11d2_8659_00c04fa321a1),
    ("DbgPrint", 0x13976d09_a327_438c_950b_7f03192815c7),
    ("Config", 0x01853a65_418f_4f36_aefc_dc0f1d2fd235),
    ("Spare1", 0x99134383_5248_43fc_834b_529454e75df3),
    ("WNF", 0x42695762_ea50_497a_9068_5cbbb35e0b95),
    ("Pool", 0x0268a8b6_74fd_4302_9dd0_6e8f1795c0cf),
    ("PerfInfo", 0xce1dbfb4_137e_4da6_87b0_3f59aa102cbc),
    ("Heap", 0x222962ab_6180_4b88_a825_346b75f2a24a),
    ("Object", 0x89497f50_effe_4440_8cf2_ce6b1cdcaca7),
    ("Power", 0xe43445e0_0903_48c3_b878_ff0fccebdd04),
    ("ModBound", 0xa9152f00_3f58_4bee_92a1_70c7d079d5dd),
    ("Image", 0x2cb15d1d_5fc1_11d2_abe1_00a0c911f518),
    ("Dpc", 0xb2d14872_7c5b_463d_8419_ee9bf7d23e04),
    ("Cc", 0x7687a439_f752_45b8_b741_321aec0f8df9),
    ("CritSec", 0x3ac66736_cc59_4cff_8115_8df50e39816b),
    ("StackWalk", 0xdef2fe46_7bd6_4b80_bd94_f57fe20d0ce3),
    ("UMS", 0x9aec974b_5b8e_4118_9b92_3186d8002ce5),
    ("ALPC", 0x45d8cccd_539f_4b72_a8b7_5c683142609a),
    ("SplitIo", 0xd837ca92_12b9_44a5_ad6a_3a65b3578aa8),
    ("ThreadPool", 0xc861d0e2_a2c1_4d36_9f9c_970bab943a12),
    ("Hypervisor", 0x7f2a405c_69b5_4bf9_a1f5_30e8f1afab5e),
    ("HypervisorX", 0x2ce9a149_effe_42f0_a635_a1d39e26c8f2),
];

impl Group {
    /// The group's name, if it has one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        GROUPS.get(usize::from(self.0)).map(|&(name, _)| name)
    }

    /// The class that a consumer shows as the provider of the group's records.
    #[must_use]
    pub fn guid(self) -> Option<Guid> {
        /// Made once at compile time, so that a record costs one load.
        const GUIDS: [Guid; GROUPS.len()] = {
            let mut guids = [Guid::ZERO; GROUPS.len()];
            let mut at = 0;
            while at < guids.len() {
                guids[at] = Guid::from_u128(GROUPS[at].1);
                at += 1;
            }
            guids
        };
        GUIDS.get(usize::from(self.0)).copied()
    }

    /// The group whose class this is.
    #[must_use]
    pub fn of(class: Guid) -> Option<Self> {
        (0..=u8::MAX).map(Self).take(GROUPS.len()).find(|group| group.guid() == Some(class))
    }
}
