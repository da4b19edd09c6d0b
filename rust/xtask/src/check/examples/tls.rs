//! The example of a server whose certificate is renewed while somebody plays.

use std::fs;

use anyhow::{Context, Result};

use super::Stage;
use super::status::number;
use crate::certificates;

/// A player stays while the files are replaced, and a newcomer sees the new certificate.
pub(super) fn tls(stage: &Stage<'_>) -> Result<()> {
    let certificates = certificates::folder(stage.workspace)?;
    let folder = stage.workspace.target.join(format!("renewed-{}", std::process::id()));
    fs::create_dir_all(&folder).context("failed to make a folder")?;
    let renew = |name: &str| -> Result<()> {
        for ending in ["key", "crt"] {
            let from = certificates.join(format!("{name}.{ending}"));
            fs::copy(from, folder.join(format!("server.{ending}"))).context("failed to copy")?;
        }
        Ok(())
    };
    renew("good")?;
    let arguments = [
        "--port=0".to_owned(),
        "--bind=127.0.0.1".to_owned(),
        format!("--certificate={}", folder.join("server.crt").display()),
        format!("--key={}", folder.join("server.key").display()),
        "--look=0.2".to_owned(),
    ];
    let mut server = stage.start("tls/server", &arguments)?;
    let url = format!("--url=wss://localhost:{}", number(server.says("Listening on port ")?)?);
    let trusting = |authority: &str| {
        let authority = format!("--ca={}", certificates.join(authority).display());
        stage.start("reconnect/client", &[url.clone(), authority])
    };
    let mut player = trusting("root.crt")?;
    player.says("Connected")?;

    renew("unknown")?;
    // Comes until the server has looked at the files.
    let mut newcomer = trusting("other_root.crt")?;
    newcomer.says("Connected")?;
    player.stop(&["Lost"])?;
    fs::remove_dir_all(&folder).context("failed to remove the folder")
}
