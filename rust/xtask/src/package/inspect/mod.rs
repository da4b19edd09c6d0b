//! What can be told of a library without loading it: for whom it is built, what it exports, what it
//! needs, and from which version of a system on.

mod elf;
mod macho;

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use object::read::{File, NameOrOrdinal, Object};
use object::{Architecture, BinaryFormat};

use super::target::Target;

/// What the engine looks for.
const ENTRY: &str = "mio_websocket_init";

/// What was found, for a person to read.
#[derive(Debug, PartialEq)]
pub(crate) struct Facts(Vec<String>);

impl fmt::Display for Facts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("; "))
    }
}

/// Looks at the library `bytes`, built for `target`; an error says why it must not be shipped.
pub(crate) fn inspect(target: Target, bytes: &[u8]) -> Result<Facts> {
    let facts = match target {
        Target::LinuxX86_64 => elf::linux(&parse(bytes, BinaryFormat::Elf, Architecture::X86_64)?),
        Target::LinuxArm64 => elf::linux(&parse(bytes, BinaryFormat::Elf, Architecture::Aarch64)?),
        Target::AndroidArm64 => {
            let file = parse(bytes, BinaryFormat::Elf, Architecture::Aarch64)?;
            elf::android(&file, bytes)
        }
        Target::WindowsX86_64 => windows(&parse(bytes, BinaryFormat::Pe, Architecture::X86_64)?),
        Target::MacOs => macho::universal(bytes),
    };
    let mut facts = facts.with_context(|| format!("the library for {}", target.name()))?;
    facts.push(format!("{:.1} MB", bytes.len() as f64 / 1e6));
    Ok(Facts(facts))
}

fn parse(bytes: &[u8], format: BinaryFormat, architecture: Architecture) -> Result<File<'_>> {
    let file = File::parse(bytes).context("not a library of any known kind")?;
    ensure!(
        (file.format(), file.architecture()) == (format, architecture),
        "a {:?} file for {:?}",
        file.format(),
        file.architecture()
    );
    Ok(file)
}

/// A library of Windows: whoever runs the game has installed nothing for it.
fn windows(file: &File<'_>) -> Result<Vec<String>> {
    // Parts of every Windows 10; no runtime of a compiler is among them.
    const SYSTEM: [&str; 9] = [
        "advapi32.dll",
        "bcrypt.dll",
        "bcryptprimitives.dll",
        "kernel32.dll",
        "msvcrt.dll",
        "ntdll.dll",
        "userenv.dll",
        "ws2_32.dll",
        "api-ms-win-core-synch-l1-2-0.dll",
    ];
    exports(file, &[])?;
    let libraries = libraries(file)?;
    for library in &libraries {
        let name = library.to_lowercase();
        // The C runtime that has been a part of the system since Windows 10.
        let known = SYSTEM.contains(&name.as_str()) || name.starts_with("api-ms-win-crt-");
        ensure!(known, "it needs {library}");
    }
    Ok(vec![format!("needs {}", list(&libraries))])
}

/// Checks that the entry point and at most `others` are exported.
fn exports(file: &File<'_>, others: &[&str]) -> Result<()> {
    let mut entry = false;
    for export in file.exports()? {
        let export = export?;
        let NameOrOrdinal::Name(name) = export.name() else { bail!("it exports a number") };
        // Names of macOS start with a line.
        let name = text(name);
        let name = name.strip_prefix('_').filter(|name| *name == ENTRY).unwrap_or(&name);
        if name == ENTRY {
            entry = true;
        } else if !others.contains(&name) {
            bail!("it exports {name}");
        }
    }
    ensure!(entry, "it does not export {ENTRY}");
    Ok(())
}

/// The libraries that it needs.
fn libraries(file: &File<'_>) -> Result<BTreeSet<String>> {
    file.import_libraries()?.map(|library| Ok(text(library?.name()))).collect()
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_library_is_refused() {
        for target in Target::ALL {
            assert!(inspect(target, b"").is_err());
            assert!(inspect(target, b"\x7fELF and nothing").is_err());
        }
    }

    #[test]
    fn programs_do_not_pass_for_the_library() {
        // This test itself: of the right kind on one system, without the entry point.
        let path = std::env::current_exe().expect("a path");
        let bytes = std::fs::read(path).expect("readable");
        for target in Target::ALL {
            assert!(inspect(target, &bytes).is_err(), "{}", target.name());
        }
    }
}
