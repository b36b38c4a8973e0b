//! Reads text files that may be gzipped.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;
use poker_operator_manifest::input::{display_name, read_bytes, text_of};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The text of a file, or of standard input for `-`. Gzip is recognized by its first bytes.
///
/// # Errors
/// The file cannot be read or decompressed, or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    let mut bytes = read_bytes(path)?;
    let cannot_read = || format!("cannot read {}", display_name(path));
    if bytes.starts_with(&GZIP_MAGIC) {
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(&bytes[..])
            .read_to_end(&mut unpacked)
            .with_context(cannot_read)?;
        bytes = unpacked;
    }
    text_of(bytes).with_context(cannot_read)
}
