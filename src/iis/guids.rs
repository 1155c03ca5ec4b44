//! Providers and areas of IIS by name. All of them, with their bits:
//! [`PROVIDERS`](crate::schema::iis::PROVIDERS) and [`AREAS`](crate::schema::iis::AREAS).

use crate::format::Guid;

/// Every provider (`GUID_IIS_ALL_TRACE_PROVIDERS`).
pub const ALL: Guid = Guid::ZERO;
/// Provider of the web server (`GUID_IIS_WWW_SERVER_TRACE_PROVIDER`).
pub const WWW_SERVER: Guid = Guid::from_u128(0x3a2a4e84_4c21_4981_ae10_3fda0d9b0f83);
/// Its second version (`GUID_IIS_WWW_SERVER_V2_TRACE_PROVIDER`).
pub const WWW_SERVER_V2: Guid = Guid::from_u128(0xde4649c9_15e8_4fea_9d85_1cdda520c334);
/// Provider of ASP.NET (`GUID_IIS_ASPNET_TRACE_PROVIDER`).
pub const ASPNET: Guid = Guid::from_u128(0xaff081fe_0247_4275_9c4e_021f3dc1da35);
/// Provider of ASP (`GUID_IIS_ASP_TRACE_TRACE_PROVIDER`).
pub const ASP: Guid = Guid::from_u128(0x06b94d9a_b15e_456e_a4ef_37c984a2cb4b);
/// Provider of what belongs to no request (`GUID_IIS_WWW_GLOBAL_TRACE_PROVIDER`).
pub const WWW_GLOBAL: Guid = Guid::from_u128(0xd55d3bc9_cba9_44df_827e_132d3a4596c2);
/// Provider of ISAPI extensions (`GUID_IIS_ISAPI_TRACE_PROVIDER`).
pub const ISAPI: Guid = Guid::from_u128(0xa1c2040e_8840_4c31_ba11_9871031a19ea);

/// Area of requests and responses, which nobody can leave out.
pub const GENERAL: Guid = Guid::from_u128(0xd42cf7ef_de92_473e_8b6c_621ea663113a);
/// Area of modules that are notified; bit 0x100.
pub const REQUEST_NOTIFICATIONS: Guid = Guid::from_u128(0x002e91e3_e7ae_44ab_8e07_99230ffa6ade);
/// Area of what modules say themselves; bit 0x200.
pub const MODULE: Guid = Guid::from_u128(0xd79a948e_95f1_417b_a731_b7a79dec7ae5);

/// Bits of every area (`dwAreas`): what a configuration that leaves out nothing has.
pub const ALL_AREAS: u32 = 0xf_fffe;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::iis::{AREAS, PROVIDERS};

    #[test]
    fn they_are_those_of_the_tables() {
        let all = [WWW_SERVER, WWW_SERVER_V2, WWW_GLOBAL, ASPNET, ASP, ISAPI];
        assert!(PROVIDERS.iter().map(|known| known.guid).eq(all));
        let mask = |guid| AREAS.iter().find(|area| area.guid == guid).map(|area| area.mask);
        assert_eq!([GENERAL, REQUEST_NOTIFICATIONS, MODULE].map(mask), [0, 0x100, 0x200].map(Some));
        assert!(AREAS.iter().all(|area| area.mask & !ALL_AREAS == 0));
    }
}
