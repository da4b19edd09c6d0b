//! A universal file of macOS: libraries for several processors, one behind the other.

use anyhow::{Context, Result, ensure};

/// `FAT_MAGIC` of <mach-o/fat.h>; the header is big-endian on every system.
const MAGIC: u32 = 0xcafe_babe;
/// `MH_MAGIC_64`, as it stands in a little-endian file.
const THIN_MAGIC: [u8; 4] = [0xcf, 0xfa, 0xed, 0xfe];
/// Pages of Apple's processors have 16 KiB; files for Intel's may be aligned so too.
const ALIGNMENT_BITS: u32 = 14;

/// The universal file of thin ones.
pub(super) fn join(slices: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut header = Vec::new();
    header.extend(MAGIC.to_be_bytes());
    header.extend(u32::try_from(slices.len())?.to_be_bytes());
    let mut offset = aligned(8 + 20 * slices.len());
    for slice in slices {
        ensure!(slice.starts_with(&THIN_MAGIC), "a slice is not a 64-bit Mach-O file");
        // Processor and its kind follow the magic.
        header.extend(word(slice, 4)?.to_be_bytes());
        header.extend(word(slice, 8)?.to_be_bytes());
        header.extend(u32::try_from(offset)?.to_be_bytes());
        header.extend(u32::try_from(slice.len())?.to_be_bytes());
        header.extend(ALIGNMENT_BITS.to_be_bytes());
        offset = aligned(offset + slice.len());
    }
    let mut file = header;
    for slice in slices {
        file.resize(aligned(file.len()), 0);
        file.extend(slice);
    }
    Ok(file)
}

fn aligned(offset: usize) -> usize {
    offset.next_multiple_of(1 << ALIGNMENT_BITS)
}

fn word(slice: &[u8], at: usize) -> Result<u32> {
    let bytes = slice.get(at..at + 4).context("a slice is too short")?;
    Ok(u32::from_le_bytes(bytes.try_into()?))
}

#[cfg(test)]
mod tests {
    use object::read::FileKind;
    use object::read::macho::{FatArch, MachOFatFile32};

    use super::*;

    fn thin(cpu: u32) -> Vec<u8> {
        [THIN_MAGIC, cpu.to_le_bytes(), 3_u32.to_le_bytes()].concat()
    }

    #[test]
    fn slices_are_found_again() {
        let slices = [thin(0x0100_000c), thin(0x0100_0007)];
        let file = join(&slices).expect("two thin files");
        assert_eq!(FileKind::parse(file.as_slice()).ok(), Some(FileKind::MachOFat32));
        let read = MachOFatFile32::parse(file.as_slice()).expect("a universal file");
        for (arch, slice) in read.arches().iter().zip(&slices) {
            assert_eq!(arch.offset() % (1 << ALIGNMENT_BITS), 0);
            assert_eq!(arch.data(file.as_slice()).ok(), Some(slice.as_slice()));
            assert_eq!(arch.cputype().0.to_le_bytes(), slice[4..8]);
        }
    }

    #[test]
    fn other_files_are_refused() {
        assert!(join(&[b"\x7fELF".to_vec()]).is_err());
        assert!(join(&[THIN_MAGIC.to_vec()]).is_err());
    }
}
