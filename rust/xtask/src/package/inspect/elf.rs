//! Libraries of Linux and Android.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use object::LittleEndian;
use object::elf::{FileHeader64, PT_LOAD};
use object::read::elf::{ElfFile, ProgramHeader};
use object::read::{File, ImportFlags, NameOrOrdinal, Object};

use super::{exports, libraries, list, text};

/// The oldest C library that a game may meet: that of CentOS 7 and everything since.
const GLIBC: Version = Version(2, 17);
/// The binding's hook for destructors of threads, which a reloading editor needs.
const RELOAD_HOOK: &str = "__cxa_thread_atexit_impl";
/// Pages of newer Android devices have 16 KiB.
const ANDROID_PAGE: u64 = 16 * 1024;
/// What the library may take from Android: each name has been there since Android 7 (API level 24) or
/// longer, as the `*.map.txt` files of bionic say. Another one must be looked up there.
const BIONIC: &str = include_str!("bionic.txt");

#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
struct Version(u32, u32);

impl Version {
    /// `GLIBC_2.17` or `GLIBC_2.2.5`.
    fn of_glibc(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix("GLIBC_")?.split('.');
        Some(Self(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

pub(super) fn linux(file: &File<'_>) -> Result<Vec<String>> {
    const SYSTEM: [&str; 7] = [
        "libc.so.6",
        "libdl.so.2",
        "libm.so.6",
        "libpthread.so.0",
        "librt.so.1",
        "ld-linux-x86-64.so.2",
        "ld-linux-aarch64.so.1",
    ];
    exports(file, &[RELOAD_HOOK])?;
    let libraries = libraries(file)?;
    for library in &libraries {
        ensure!(SYSTEM.contains(&library.as_str()), "it needs {library}");
    }
    ensure!(libraries.contains("libc.so.6"), "it does not say that it needs the C library");
    let mut newest = Version::default();
    for import in file.imports()? {
        let ImportFlags::Elf { version: Some(version), .. } = import?.flags() else { continue };
        let name = text(version);
        let version = Version::of_glibc(&name)
            .with_context(|| format!("it needs {name}, which is not of the C library"))?;
        ensure!(version <= GLIBC, "it needs {name}");
        newest = newest.max(version);
    }
    Ok(vec![format!("needs glibc {}.{}", newest.0, newest.1), list(&libraries)])
}

pub(super) fn android(file: &File<'_>, bytes: &[u8]) -> Result<Vec<String>> {
    const SYSTEM: [&str; 4] = ["libc.so", "libdl.so", "liblog.so", "libm.so"];
    exports(file, &[])?;
    let libraries = libraries(file)?;
    for library in &libraries {
        ensure!(SYSTEM.contains(&library.as_str()), "it needs {library}");
    }
    // Android looks for names nowhere else.
    for library in ["libc.so", "libdl.so"] {
        ensure!(libraries.contains(library), "it does not say that it needs {library}");
    }
    let known: BTreeSet<&str> = BIONIC.split_whitespace().collect();
    let mut unknown = BTreeSet::new();
    let mut imports = 0;
    for import in file.imports()? {
        let import = import?;
        // A weak one is asked for whether it is there.
        if let NameOrOrdinal::Name(name) = import.name()
            && !import.is_weak()
        {
            imports += 1;
            let name = text(name);
            if !known.contains(name.as_str()) {
                unknown.insert(name);
            }
        }
    }
    ensure!(unknown.is_empty(), "not known to be in Android: {}", list(&unknown));

    let file = ElfFile::<FileHeader64<LittleEndian>>::parse(bytes)?;
    for header in file.elf_program_headers() {
        let alignment = header.p_align(LittleEndian);
        ensure!(
            header.p_type(LittleEndian) != PT_LOAD || alignment % ANDROID_PAGE == 0,
            "a segment is aligned to {alignment} bytes"
        );
    }
    Ok(vec![
        format!("takes {imports} names from Android, all of API level 24 or less"),
        list(&libraries),
        "aligned for pages of 16 KiB".to_owned(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(Version::of_glibc("GLIBC_2.34") > Some(GLIBC));
        assert!(Version::of_glibc("GLIBC_2.2.5") < Some(GLIBC));
        assert_eq!(Version::of_glibc("GCC_3.0"), None);
    }
}
