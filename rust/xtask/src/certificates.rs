//! Certificates for the tests: made anew each day, in a folder that the tests are told of.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

use crate::workspace::Workspace;

/// The environment variable that tells a test the folder.
pub(crate) const VARIABLE: &str = "CERTIFICATES";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

type Authority = CertifiedIssuer<'static, KeyPair>;

/// A server's certificate, for which there are two files: `name.crt` and `name.key`.
struct Leaf {
    name: &'static str,
    common_name: &'static str,
    /// Alternative names; no extension if there are none.
    names: &'static [&'static str],
    signer: Signer,
    /// The days from now between which it is valid.
    days: (i32, i32),
    /// Whether it might sign others, as none needs to.
    is_authority: bool,
}

#[derive(Clone, Copy)]
enum Signer {
    Root,
    OtherRoot,
    Intermediate,
    Itself,
}

/// Signed by the root, valid now, and for the names of this machine.
const GOOD: Leaf = Leaf {
    name: "good",
    common_name: "good",
    names: &["localhost", "127.0.0.1", "::1"],
    signer: Signer::Root,
    days: VALID,
    is_authority: false,
};

/// Well around the day on which they are used.
const VALID: (i32, i32) = (-2, 60);

const LEAVES: [Leaf; 12] = [
    GOOD,
    Leaf { name: "via_inter", common_name: "via_inter", signer: Signer::Intermediate, ..GOOD },
    Leaf { name: "wrong_name", common_name: "wrong_name", names: &["other.test"], ..GOOD },
    Leaf { name: "expired", common_name: "expired", days: (-20, -10), ..GOOD },
    Leaf { name: "future", common_name: "future", days: (10, 20), ..GOOD },
    Leaf { name: "unknown", common_name: "unknown", signer: Signer::OtherRoot, ..GOOD },
    Leaf { name: "wildcard", common_name: "wildcard", names: &["*.example.test"], ..GOOD },
    Leaf { name: "ip_only", common_name: "ip_only", names: &["127.0.0.1"], ..GOOD },
    Leaf { name: "cn_only", common_name: "localhost", names: &[], ..GOOD },
    Leaf { name: "cn_ok_san_other", common_name: "localhost", names: &["other.test"], ..GOOD },
    Leaf { name: "authority", common_name: "authority", is_authority: true, ..GOOD },
    Leaf {
        name: "self_signed_ee",
        common_name: "self_signed_ee",
        names: &["localhost"],
        signer: Signer::Itself,
        ..GOOD
    },
];

/// The folder, with certificates that are not older than a day:
/// - `root.crt`, `inter.crt` (signed by it), `other_root.crt`;
/// - `bundle.crt`: root and intermediate; `roots.crt`: the other root, then the root;
/// - `via_inter.chain.crt`: that leaf and its intermediate;
/// - two files for each leaf.
pub(crate) fn folder(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("certificates");
    if is_fresh(&folder) {
        return Ok(folder);
    }
    // Whole when it gets its name, even if two of these run at once.
    let unfinished = folder.with_extension(format!("{}.tmp", process::id()));
    let _ = fs::remove_dir_all(&unfinished);
    make(&unfinished).with_context(|| format!("failed to make {}", unfinished.display()))?;
    let _ = fs::remove_dir_all(&folder);
    if fs::rename(&unfinished, &folder).is_err() {
        // Another one was faster.
        fs::remove_dir_all(&unfinished)
            .with_context(|| format!("failed to remove {}", unfinished.display()))?;
    }
    Ok(folder)
}

fn is_fresh(folder: &Path) -> bool {
    let age = || SystemTime::now().duration_since(fs::metadata(folder).ok()?.modified().ok()?).ok();
    // A folder that was made before a leaf was thought of is made anew, too.
    LEAVES.iter().all(|leaf| folder.join(format!("{}.key", leaf.name)).exists())
        && age().is_some_and(|age| age < DAY)
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let write = |name: &str, text: &str| fs::write(folder.join(name), text);

    let root = Authority::self_signed(authority("Test root", 1), KeyPair::generate()?)?;
    let other = Authority::self_signed(authority("Other test root", 1), KeyPair::generate()?)?;
    let inter = authority("Test intermediate", 0);
    let inter = Authority::signed_by(inter, KeyPair::generate()?, &root)?;
    for leaf in &LEAVES {
        let key = KeyPair::generate()?;
        let params = leaf.params()?;
        let signed_by = |issuer: &Issuer<'static, KeyPair>| params.signed_by(&key, issuer);
        let certificate = match leaf.signer {
            Signer::Root => signed_by(&root),
            Signer::OtherRoot => signed_by(&other),
            Signer::Intermediate => signed_by(&inter),
            Signer::Itself => params.self_signed(&key),
        }?;
        write(&format!("{}.crt", leaf.name), &certificate.pem())?;
        write(&format!("{}.key", leaf.name), &key.serialize_pem())?;
        if let Signer::Intermediate = leaf.signer {
            let chain = certificate.pem() + &inter.pem();
            write(&format!("{}.chain.crt", leaf.name), &chain)?;
        }
    }
    write("inter.crt", &inter.pem())?;
    write("other_root.crt", &other.pem())?;
    write("bundle.crt", &(root.pem() + &inter.pem()))?;
    write("roots.crt", &(other.pem() + &root.pem()))?;
    write("root.crt", &root.pem())?;
    Ok(())
}

fn authority(common_name: &str, depth: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(depth));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    set_days(&mut params, VALID);
    params
}

impl Leaf {
    fn params(&self) -> Result<CertificateParams> {
        let names: Vec<String> = self.names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, self.common_name);
        params.is_ca = if self.is_authority {
            IsCa::Ca(BasicConstraints::Unconstrained)
        } else {
            IsCa::ExplicitNoCa
        };
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_days(&mut params, self.days);
        Ok(params)
    }
}

fn set_days(params: &mut CertificateParams, (from, until): (i32, i32)) {
    let day = |days: i32| {
        let distance = DAY * days.unsigned_abs();
        let now = SystemTime::now();
        if days < 0 { now - distance } else { now + distance }
    };
    params.not_before = day(from).into();
    params.not_after = day(until).into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_fresh_while_it_is_whole() {
        let folder = std::env::temp_dir().join(format!("xtask-certificates-{}", process::id()));
        assert!(!is_fresh(&folder));
        make(&folder).expect("a folder for temporary files can be written to");
        assert!(is_fresh(&folder));
        fs::remove_file(folder.join("self_signed_ee.key")).expect("it has just been made");
        assert!(!is_fresh(&folder));
        fs::remove_dir_all(&folder).expect("it has just been made");
    }
}
