//! The .gdextension file as it is shipped.
//!
//! In a checkout debug and release entries name different files, because a developer builds what the
//! editor loads without optimisation. A package has one library a system, the optimised one, behind
//! both entries: the same code in the editor as in the game, in half the download. Entries of
//! libraries that are not in the package are left out, so that an export for such a system says that
//! there is no library, instead of failing on a missing file.

use anyhow::{Result, ensure};

use super::target::Target;
use crate::library::library_path;

/// Stands above the entries.
const NOTE: &str = "; Debug and release entries name the same optimised library: it behaves the same in\n\
                    ; the editor as in a game, and the download is half as large.";

/// Where a target's library is, relative to the addon.
pub(super) fn path(text: &str, target: Target) -> Option<&str> {
    let (system, architecture) = target.entry();
    library_path(text, system, "release", architecture)
}

/// The shipped form of a checkout's `text`, for a package that holds `targets`.
pub(super) fn shipped(text: &str, targets: &[Target]) -> Result<String> {
    let mut shipped = String::new();
    let mut kept = 0;
    let mut in_libraries = false;
    for line in text.lines() {
        if line.trim_start().starts_with('[') {
            in_libraries = line.trim() == "[libraries]";
            shipped.push_str(line);
            if in_libraries {
                shipped.push_str(&format!("\n\n{NOTE}"));
            }
        } else if in_libraries && let Some((key, _)) = line.split_once('=') {
            let Some(path) = serving(key.trim(), targets).and_then(|target| path(text, target))
            else {
                continue;
            };
            kept += 1;
            shipped.push_str(&format!("{} = \"{path}\"", key.trim()));
        } else if in_libraries && line.trim().is_empty() && kept == 0 {
            continue;
        } else {
            shipped.push_str(line);
        }
        shipped.push('\n');
    }
    ensure!(kept == 2 * targets.len(), "{kept} entries for {} targets", targets.len());
    Ok(shipped)
}

/// The target that an entry like `linux.debug.x86_64` is for.
fn serving(key: &str, targets: &[Target]) -> Option<Target> {
    let mut parts = key.split('.');
    let (system, _tag, architecture) =
        (parts.next()?, parts.next()?, parts.next().unwrap_or_default());
    targets.iter().copied().find(|target| target.entry() == (system, architecture))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("../../../../addons/mio_websocket/mio_websocket.gdextension");

    #[test]
    fn addon_names_a_library_for_each_target() {
        for target in Target::ALL {
            let path = path(TEXT, target);
            assert!(path.is_some_and(|path| path.ends_with(target.suffix())), "{path:?}");
        }
    }

    #[test]
    fn debug_and_release_entries_name_what_is_packed_and_nothing_else_is_named() {
        let shipped = shipped(TEXT, &[Target::LinuxArm64, Target::MacOs]).expect("two targets");
        let entries: Vec<&str> = shipped
            .lines()
            .skip_while(|line| *line != "[libraries]")
            .take_while(|line| !line.starts_with("[icons"))
            .filter(|line| line.contains('='))
            .collect();
        assert_eq!(
            entries,
            [
                "linux.debug.arm64 = \"bin/libmio_websocket.linux.release.arm64.so\"",
                "linux.release.arm64 = \"bin/libmio_websocket.linux.release.arm64.so\"",
                "macos.debug = \"bin/libmio_websocket.macos.release.dylib\"",
                "macos.release = \"bin/libmio_websocket.macos.release.dylib\"",
            ]
        );
        assert!(shipped.contains("entry_symbol"), "{shipped}");
        assert!(shipped.contains("[icons]"), "{shipped}");
    }
}
