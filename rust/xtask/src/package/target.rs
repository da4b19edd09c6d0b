//! The systems that the addon has libraries for.

use std::env::consts;

use clap::ValueEnum;

/// A system and the architectures that one library of the addon serves on it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub(crate) enum Target {
    #[value(name = "linux-x86_64")]
    LinuxX86_64,
    #[value(name = "linux-arm64")]
    LinuxArm64,
    #[value(name = "windows-x86_64")]
    WindowsX86_64,
    /// One file for Apple's and Intel's processors.
    #[value(name = "macos")]
    MacOs,
    #[value(name = "android-arm64")]
    AndroidArm64,
}

impl Target {
    pub(crate) const ALL: [Self; 5] =
        [Self::LinuxX86_64, Self::LinuxArm64, Self::WindowsX86_64, Self::MacOs, Self::AndroidArm64];

    /// The one whose library this machine's engine loads.
    pub(crate) fn host() -> Option<Self> {
        match (consts::OS, consts::ARCH) {
            ("linux", "x86_64") => Some(Self::LinuxX86_64),
            ("linux", "aarch64") => Some(Self::LinuxArm64),
            ("windows", "x86_64") => Some(Self::WindowsX86_64),
            ("macos", _) => Some(Self::MacOs),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LinuxX86_64 => "linux-x86_64",
            Self::LinuxArm64 => "linux-arm64",
            Self::WindowsX86_64 => "windows-x86_64",
            Self::MacOs => "macos",
            Self::AndroidArm64 => "android-arm64",
        }
    }

    /// How the entries of the .gdextension file name it: system, and architecture if it has one.
    pub(crate) fn entry(self) -> (&'static str, &'static str) {
        match self {
            Self::LinuxX86_64 => ("linux", "x86_64"),
            Self::LinuxArm64 => ("linux", "arm64"),
            Self::WindowsX86_64 => ("windows", "x86_64"),
            Self::MacOs => ("macos", ""),
            Self::AndroidArm64 => ("android", "arm64"),
        }
    }

    /// What the compiler builds for it, on this machine.
    pub(crate) fn triples(self) -> &'static [&'static str] {
        match self {
            Self::LinuxX86_64 => &["x86_64-unknown-linux-gnu"],
            Self::LinuxArm64 => &["aarch64-unknown-linux-gnu"],
            // Microsoft's linker is where Microsoft's system is.
            Self::WindowsX86_64 if cfg!(windows) => &["x86_64-pc-windows-msvc"],
            Self::WindowsX86_64 => &["x86_64-pc-windows-gnu"],
            Self::MacOs => &["aarch64-apple-darwin", "x86_64-apple-darwin"],
            Self::AndroidArm64 => &["aarch64-linux-android"],
        }
    }

    /// How its libraries' names end.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::LinuxX86_64 | Self::LinuxArm64 | Self::AndroidArm64 => ".so",
            Self::WindowsX86_64 => ".dll",
            Self::MacOs => ".dylib",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for target in Target::ALL {
            let name = target.to_possible_value().map(|value| value.get_name().to_owned());
            assert_eq!(name.as_deref(), Some(target.name()));
        }
        assert_eq!(Target::value_variants(), Target::ALL);
    }
}
