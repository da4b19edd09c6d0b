//! The archive, byte for byte the same whenever it is made of the same files.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// A file of the archive.
pub(super) struct Entry {
    /// With `/` between its parts.
    pub(super) path: String,
    pub(super) content: Vec<u8>,
}

/// Writes `entries` to `path`, and their archive's checksum beside it in the form that
/// `sha256sum --check` reads. The checksum's file.
pub(super) fn write(path: &Path, entries: Vec<Entry>) -> Result<PathBuf> {
    let bytes = pack(entries)?;
    fs::write(path, &bytes).with_context(|| format!("failed to write {}", path.display()))?;
    let name = path.file_name().context("the archive has no name")?.to_string_lossy();
    let mut checksum = path.as_os_str().to_owned();
    checksum.push(".sha256");
    let checksum = PathBuf::from(checksum);
    // Two spaces: text and binary files are the same thing here.
    fs::write(&checksum, format!("{}  {name}\n", digest(&bytes)))
        .with_context(|| format!("failed to write {}", checksum.display()))?;
    Ok(checksum)
}

fn pack(mut entries: Vec<Entry>) -> Result<Vec<u8>> {
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        // The first time that the format knows, whatever the files' own are.
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    for entry in entries {
        writer.start_file(entry.path, options)?;
        writer.write_all(&entry.content)?;
    }
    Ok(writer.finish()?.into_inner())
}

/// The SHA-256 of `bytes`, in hexadecimal.
pub(super) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn entry(path: &str) -> Entry {
        Entry { path: path.to_owned(), content: path.repeat(100).into_bytes() }
    }

    #[test]
    fn order_of_the_files_changes_nothing() {
        let one = pack(vec![entry("a/b"), entry("a/a")]).expect("packs");
        let other = pack(vec![entry("a/a"), entry("a/b")]).expect("packs");
        assert_eq!(digest(&one), digest(&other));
    }

    #[test]
    fn files_come_out_as_they_went_in() {
        let bytes = pack(vec![entry("a/b")]).expect("packs");
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).expect("an archive");
        let mut text = String::new();
        archive.by_name("a/b").expect("is there").read_to_string(&mut text).expect("is text");
        assert_eq!(text, "a/b".repeat(100));
    }

    #[test]
    fn digest_is_sha_256() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest(b"abc"), known);
    }
}
