//! Hexadecimal text and fingerprints.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Lowercase hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
}

/// A hash that distinguishes values without revealing them: 16 hex digits.
pub fn fingerprint(value: &[u8]) -> String {
    hex(&Sha256::digest(value)[..8])
}
