//! Providers of IIS and the areas that their events belong to.

use crate::format::Guid;

/// A provider of IIS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderInfo {
    /// What it is known by.
    pub guid: Guid,
    /// What people and documents call it.
    pub name: &'static str,
}

/// An area of a provider's events: the class of their records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// Class of the records (`pAreaGuid`, `EventGuid` in documents).
    pub guid: Guid,
    /// Its name (`Keyword` in documents); empty for the general area.
    pub name: &'static str,
    /// Its bit (`dwArea`, `Keywords` in documents); 0 for the general area, whose events nobody can
    /// leave out.
    pub mask: u32,
    /// Whose it is.
    pub provider: &'static ProviderInfo,
}

const fn provider(guid: u128, name: &'static str) -> ProviderInfo {
    ProviderInfo { guid: Guid::from_u128(guid), name }
}

const WWW_SERVER: ProviderInfo = provider(0x3a2a4e84_4c21_4981_ae10_3fda0d9b0f83, "WWW Server");
const WWW_GLOBAL: ProviderInfo = provider(0xd55d3bc9_cba9_44df_827e_132d3a4596c2, "WWW Global");
const ASPNET: ProviderInfo = provider(0xaff081fe_0247_4275_9c4e_021f3dc1da35, "ASPNET");
const ASP: ProviderInfo = provider(0x06b94d9a_b15e_456e_a4ef_37c984a2cb4b, "ASP");
const ISAPI: ProviderInfo = provider(0xa1c2040e_8840_4c31_ba11_9871031a19ea, "ISAPI Extension");

/// The providers that come with IIS.
pub const PROVIDERS: &[ProviderInfo] = &[
    WWW_SERVER,
    provider(0xde4649c9_15e8_4fea_9d85_1cdda520c334, "WWW Server V2"),
    WWW_GLOBAL,
    ASPNET,
    ASP,
    ISAPI,
];

const fn area_of(
    provider: &'static ProviderInfo,
    guid: u128,
    mask: u32,
    name: &'static str,
) -> Area {
    Area { guid: Guid::from_u128(guid), name, mask, provider }
}

/// The areas of these providers. The events of ASP.NET, and those of ASP, have one class for all
/// their areas, so of these only the provider is known.
pub const AREAS: &[Area] = &[
    area_of(&WWW_SERVER, 0xd42cf7ef_de92_473e_8b6c_621ea663113a, 0, ""),
    area_of(&WWW_SERVER, 0xc33bbe8f_985b_4080_81e6_005f1a06b9e2, 0x2, "Authentication"),
    area_of(&WWW_SERVER, 0x29347ffb_ba48_41e6_bffd_469c5e543ca5, 0x4, "Security"),
    area_of(&WWW_SERVER, 0x00237f0d_73eb_4bcf_a232_126693595847, 0x8, "Filter"),
    area_of(&WWW_SERVER, 0x79b02104_0db9_4cda_a552_058d97c2ecfd, 0x10, "StaticFile"),
    area_of(&WWW_SERVER, 0xe2e55403_0d2e_4609_a470_be0da04013c0, 0x20, "CGI"),
    area_of(&WWW_SERVER, 0xe60cee96_4472_448d_a13c_2170b18220ec, 0x40, "Compression"),
    area_of(&WWW_SERVER, 0xac1d69f1_bf33_4ca0_9313_bca13873e1dc, 0x80, "Cache"),
    area_of(&WWW_SERVER, 0x002e91e3_e7ae_44ab_8e07_99230ffa6ade, 0x100, "RequestNotifications"),
    area_of(&WWW_SERVER, 0xd79a948e_95f1_417b_a731_b7a79dec7ae5, 0x200, "Module"),
    area_of(&WWW_SERVER, 0xe3642acc_3627_42b0_8372_867baa033b07, 0x1000, "FastCGI"),
    area_of(&WWW_SERVER, 0x2e94e6c7_eda0_4b73_9010_2529edce1c27, 0x2000, "ISAPI"),
    area_of(&WWW_SERVER, 0x2ce74327_08be_425c_bfc5_1534fe7fefa6, 0x4000, "WebSocket"),
    area_of(&WWW_GLOBAL, 0x35646e78_fe59_47e9_a617_eef5fc640816, 0, "Startup"),
    area_of(&WWW_GLOBAL, 0xe1af7c2a_7bbe_4bec_b5e0_ba064e1d77da, 0, "Shutdown"),
    area_of(&WWW_GLOBAL, 0xc4ccfe5b_639e_42d9_a9af_a5dee1688f35, 0, "Cache"),
    area_of(&ASPNET, 0x06a01367_79d3_4594_8eb3_c721603c4679, 0, ""),
    area_of(&ASP, 0x1fc299fa_3fc4_4c37_910d_de5b911d0270, 0, ""),
    area_of(&ISAPI, 0xacade3b2_b7d7_4339_956c_811b4edb1b24, 0, ""),
];

/// The area that records of this class belong to.
#[must_use]
pub fn area(class: Guid) -> Option<&'static Area> {
    AREAS.iter().find(|area| area.guid == class)
}

/// The name of a provider that comes with IIS.
#[must_use]
pub fn provider_name(provider: Guid) -> Option<&'static str> {
    PROVIDERS.iter().find(|known| known.guid == provider).map(|known| known.name)
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn no_area_stands_twice() {
        for (at, area) in AREAS.iter().enumerate() {
            assert!(AREAS[at + 1..].iter().all(|other| other.guid != area.guid), "{}", area.name);
            assert!(area.mask == 0 || area.mask.is_power_of_two());
            assert_eq!(provider_name(area.provider.guid), Some(area.provider.name));
        }
    }
}
