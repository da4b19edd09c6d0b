//! What libraries of macOS and Android are linked against, where neither Xcode nor Google's kit is:
//! names only, made from what Zig has with it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::tools::Zig;
use crate::workspace::Workspace;

/// The C that is compiled for Android (some of ring's, and the unwinder) uses headers only, and musl's
/// do but for one name.
pub(super) const ANDROID_TARGET: &str = "aarch64-linux-musl";
/// Calls of helpers for atomics are left out because no library here has them.
pub(super) const ANDROID_FLAGS: [&str; 4] =
    ["-D__errno_location=__errno", "-mno-outline-atomics", "-fno-sanitize=undefined", "-fPIC"];
/// The system's libraries that the linker is told of; what is in them is left to the device.
const ANDROID_LIBRARIES: [&str; 4] = ["c", "dl", "log", "m"];
/// LLVM's unwinder, which the kit has as a static library too.
const UNWINDER: [&str; 5] = [
    "UnwindLevel1.c",
    "UnwindLevel1-gcc-ext.c",
    "UnwindRegistersRestore.S",
    "UnwindRegistersSave.S",
    "libunwind.cpp",
];
/// The one library of macOS that Zig does not know. Nothing is taken from it.
const ICONV: &str = "--- !tapi-tbd\n\
    tbd-version: 4\n\
    targets: [ x86_64-macos, arm64-macos ]\n\
    install-name: '/usr/lib/libiconv.2.dylib'\n\
    current-version: 7\n\
    compatibility-version: 7\n\
    ...\n";

/// A folder like that of an SDK of macOS.
pub(super) fn macos(workspace: &Workspace, zig: &Zig) -> Result<PathBuf> {
    let root = super::folder(workspace).join("macos");
    let folder = root.join("usr/lib");
    fs::create_dir_all(&folder)
        .with_context(|| format!("failed to create {}", folder.display()))?;
    let source = zig.folder.join("lib/libc/darwin/libSystem.tbd");
    let text = fs::read_to_string(&source)
        .with_context(|| format!("failed to read {}", source.display()))?;
    let text = for_apple_silicon(&text);
    // The others are other names of the first.
    for name in ["libSystem.tbd", "libc.tbd", "libm.tbd"] {
        fs::write(folder.join(name), &text)?;
    }
    fs::write(folder.join("libiconv.tbd"), ICONV)?;
    Ok(root)
}

/// Zig's list names Apple's processors by the form that only the system itself is compiled for.
fn for_apple_silicon(text: &str) -> String {
    let mut rewritten = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("targets:") {
        let Some((list, after)) = after.split_once(']') else { break };
        let mut targets: Vec<String> = Vec::new();
        for target in list.trim_start().trim_start_matches('[').split(',').map(str::trim) {
            // A later form of the same processors.
            let target = target.replace("arm64e.x1-", "arm64e-").replace("arm64e-", "arm64-");
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        rewritten.push_str(before);
        rewritten.push_str(&format!("targets: [ {} ]", targets.join(", ")));
        rest = after;
    }
    rewritten + rest
}

/// A folder with libraries to link against for Android.
pub(super) fn android(workspace: &Workspace, zig: &Zig) -> Result<PathBuf> {
    let folder = super::folder(workspace).join("android");
    let stamp = folder.join("libunwind.a");
    if stamp.exists() {
        return Ok(folder);
    }
    fs::create_dir_all(&folder)
        .with_context(|| format!("failed to create {}", folder.display()))?;
    fs::write(folder.join("empty.c"), "")?;
    for library in ANDROID_LIBRARIES {
        let file = format!("lib{library}.so");
        let mut arguments = vec!["cc", "-target", ANDROID_TARGET];
        arguments.extend(ANDROID_FLAGS);
        let name = format!("-Wl,-soname,{file}");
        arguments.extend(["-shared", "-nostdlib", &name, "-o", &file, "empty.c"]);
        zig.run(&folder, arguments)?;
    }
    unwinder(zig, &folder)?;
    Ok(folder)
}

fn unwinder(zig: &Zig, folder: &Path) -> Result<()> {
    let sources = zig.folder.join("lib/libunwind");
    let include = format!("-I{}", sources.join("include").display());
    let own = format!("-I{}", sources.join("src").display());
    let mut objects = Vec::new();
    for source in UNWINDER {
        let path = sources.join("src").join(source).display().to_string();
        let object = format!("{source}.o");
        let cpp = source.ends_with(".cpp");
        let mut arguments = vec![if cpp { "c++" } else { "cc" }, "-target", ANDROID_TARGET];
        arguments.extend(ANDROID_FLAGS);
        arguments.extend(["-O2", "-DNDEBUG", "-fvisibility=hidden", "-funwind-tables"]);
        arguments.extend(["-D_LIBUNWIND_HIDE_SYMBOLS", "-D_LIBUNWIND_IS_NATIVE_ONLY"]);
        if cpp {
            arguments.extend(["-std=c++17", "-fno-exceptions", "-fno-rtti", "-nostdinc++"]);
        }
        arguments.extend([&include, &own, "-c", &path, "-o", &object]);
        zig.run(folder, arguments).with_context(|| format!("failed to compile {source}"))?;
        objects.push(object);
    }
    // Under its own name when it is whole.
    let mut arguments = vec!["ar", "rcs", "libunwind.a.new"];
    arguments.extend(objects.iter().map(String::as_str));
    zig.run(folder, arguments)?;
    fs::rename(folder.join("libunwind.a.new"), folder.join("libunwind.a"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_named_as_the_linker_knows_them() {
        let text = "targets: [ x86_64-macos, arm64e-macos, \n  arm64e.x1-macos ]\nx: 1\n\
                    - targets: [ arm64e-macos ]\n  symbols: [ _a ]\n";
        assert_eq!(
            for_apple_silicon(text),
            "targets: [ x86_64-macos, arm64-macos ]\nx: 1\n\
             - targets: [ arm64-macos ]\n  symbols: [ _a ]\n"
        );
    }
}
