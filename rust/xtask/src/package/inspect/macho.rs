//! Libraries of macOS.

use anyhow::{Context, Result, bail, ensure};
use object::endian::{BigEndian, LittleEndian};
use object::macho::{CS_HASHTYPE_SHA256, LC_CODE_SIGNATURE, MachHeader64, PLATFORM_MACOS};
use object::read::macho::{FatArch, LoadCommandVariant, MachOFatFile32, MachOFile};
use object::{Architecture, BinaryFormat};
use sha2::{Digest, Sha256};

use super::{exports, libraries, parse, text};

/// Major version of the oldest macOS: the first for Apple's own processors.
const OLDEST: u16 = 11;
const SYSTEM: [&str; 2] = ["/usr/lib/libSystem.B.dylib", "/usr/lib/libiconv.2.dylib"];

pub(super) fn universal(bytes: &[u8]) -> Result<Vec<String>> {
    let fat = MachOFatFile32::parse(bytes).context("not a universal file")?;
    let mut facts = Vec::new();
    for arch in fat.arches() {
        let slice = arch.data(bytes)?;
        let fact = match arch.architecture() {
            Architecture::Aarch64 => thin(slice, Architecture::Aarch64),
            Architecture::X86_64 => thin(slice, Architecture::X86_64),
            other => bail!("a part for {other:?}"),
        };
        facts.push(fact.with_context(|| format!("the part for {:?}", arch.architecture()))?);
    }
    ensure!(facts.len() == 2, "{} parts instead of 2", facts.len());
    Ok(facts)
}

fn thin(bytes: &[u8], architecture: Architecture) -> Result<String> {
    let file = parse(bytes, BinaryFormat::MachO, architecture)?;
    exports(&file, &[])?;
    for library in libraries(&file)? {
        ensure!(SYSTEM.contains(&library.as_str()), "it needs {library}");
    }

    let file = MachOFile::<MachHeader64<LittleEndian>>::parse(bytes)?;
    let (mut oldest, mut signature) = (None, None);
    for command in file.macho_load_commands()? {
        let command = command?;
        match command.variant()? {
            LoadCommandVariant::BuildVersion(version, _) => {
                ensure!(version.platform.get(LittleEndian) == PLATFORM_MACOS, "not for macOS");
                oldest = Some(version.minos.get(LittleEndian).major());
            }
            LoadCommandVariant::IdDylib(id) => {
                let name = text(command.string(LittleEndian, id.dylib.name)?);
                ensure!(name.starts_with("@rpath/"), "it is called {name}");
            }
            LoadCommandVariant::LinkeditData(data) if command.cmd() == LC_CODE_SIGNATURE => {
                signature = Some(data);
            }
            _ => (),
        }
    }
    let oldest = oldest.context("it does not say which macOS it is for")?;
    ensure!(oldest == OLDEST, "it is for macOS {oldest}");
    let pages = match signature {
        Some(data) => signed_pages(data.code_signature(LittleEndian, bytes)?, bytes)?,
        None => 0,
    };
    // Apple's processors run no code without one, Intel's do.
    ensure!(pages > 0 || architecture != Architecture::Aarch64, "it is not signed");
    let signed = if pages > 0 { ", signed ad hoc" } else { "" };
    Ok(format!("{architecture:?} from macOS {oldest}{signed}"))
}

/// How many pages of `bytes` a signature covers, after comparing each with it.
fn signed_pages(signature: object::read::macho::CodeSignature<'_>, bytes: &[u8]) -> Result<usize> {
    for blob in signature.blobs() {
        let Some(directory) = blob?.code_directory()? else { continue };
        let header = directory.header();
        ensure!(header.hash_type == CS_HASHTYPE_SHA256, "signed with an old hash");
        let limit = usize::try_from(directory.code_limit())?;
        let code = bytes.get(..limit).context("the signature covers more than there is")?;
        let pages = code.chunks(1 << header.page_size);
        ensure!(
            pages.len() == usize::try_from(header.n_code_slots.get(BigEndian))?,
            "the signature covers other pages"
        );
        for (index, page) in (0..).zip(pages.clone()) {
            let expected = directory.code_hash(index)?;
            ensure!(Sha256::digest(page).as_slice() == expected, "page {index} was changed");
        }
        return Ok(pages.len());
    }
    bail!("an empty signature")
}
