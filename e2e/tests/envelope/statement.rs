//! Section "Devices" of `docs/E2E.md`: what a device signs about one generation of its keys.

use crate::envelope::device::Device;
use crate::envelope::device::SUITE;
use crate::envelope::encoding::Writer;

/// Bytes of a raw Ed25519 key, at the end of its `SubjectPublicKeyInfo`.
const RAW: usize = 32;

/// `created_at` is in milliseconds since 1970.
pub(crate) fn statement(device: &Device, generation: u64, created_at: u64) -> Vec<u8> {
    let (_, signing_key) = device.signing_key.split_at(device.signing_key.len() - RAW);
    Writer::default()
        .text("gatehouse/device-keys/1")
        .text(SUITE)
        .text(&device.account)
        .text(&device.device)
        .u64(generation)
        .u64(created_at)
        .bytes(&device.encryption_key)
        .raw(signing_key)
        .finish()
}
