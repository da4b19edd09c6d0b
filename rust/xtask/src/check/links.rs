//! Links of the Markdown files to other files of the repository, and to headings in them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::report::{GREEN, RED, Tally, Verdict, paint};
use crate::workspace::Workspace;

/// Follows every link that does not leave the repository; each file counts as one case.
pub(super) fn run(workspace: &Workspace) -> Result<Verdict> {
    let mut command = std::process::Command::new("git");
    // Those that are new, too.
    command.args(["ls-files", "--cached", "--others", "--exclude-standard", "*.md"]);
    let Ok(listed) = command.current_dir(&workspace.root).output() else {
        return Ok(Verdict::Skipped("git is missing".to_owned()));
    };
    if !listed.status.success() {
        return Ok(Verdict::Skipped("this is no checkout".to_owned()));
    }
    let files = String::from_utf8(listed.stdout).context("git lists files that are no text")?;
    ensure!(!files.is_empty(), "there are no Markdown files");
    let mut tally = Tally::default();
    for file in files.lines() {
        let lost = lost(&workspace.root, file)?;
        tally.add(Tally::one(lost.is_empty()));
        if lost.is_empty() {
            println!("{} {file}", paint("ok    ", GREEN));
        } else {
            println!("{} {file}: {}", paint("FAILED", RED), lost.join(", "));
        }
    }
    Ok(Verdict::Counted(tally))
}

/// The links of a file that lead nowhere.
fn lost(root: &Path, file: &str) -> Result<Vec<String>> {
    let path = root.join(file);
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {file}"))?;
    let folder = path.parent().unwrap_or(root);
    let is_lost = |link: &&str| {
        let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = if target.is_empty() { path.clone() } else { folder.join(target) };
        let has_anchor = |text: String| prose(&text).any(|line| slug(line) == Some(anchor.into()));
        !target.exists() || !anchor.is_empty() && !fs::read_to_string(&target).is_ok_and(has_anchor)
    };
    Ok(prose(&text).flat_map(links).filter(is_lost).map(str::to_owned).collect())
}

/// The lines that are not in fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_fence && !is_code
    })
}

/// Where the links of a line lead, but for other sites.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target).filter(|target| !target.contains(':'))
}

/// The anchor that GitHub makes of a heading.
fn slug(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
    let keep = |char: &char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_');
    let text: String = heading.trim().to_lowercase().chars().filter(keep).collect();
    Some(text.replace(' ', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_within_the_repository_are_found() {
        let line = "[a](b.md) and ![c](d/e.png), [f](https://example.com) [g](#h)";
        assert_eq!(links(line).collect::<Vec<_>>(), ["b.md", "d/e.png", "#h"]);
    }

    #[test]
    fn headings_have_the_anchors_of_github() {
        assert_eq!(slug("## Who gets in?").as_deref(), Some("who-gets-in"));
        assert_eq!(slug("# One machine, no proxy").as_deref(), Some("one-machine-no-proxy"));
        assert_eq!(slug("#include"), None);
        assert_eq!(slug("text"), None);
    }

    #[test]
    fn code_has_no_links() {
        let text = "[a](b)\n```gdscript\n[c](d)\n# e\n```\n[f](g)";
        assert_eq!(prose(text).flat_map(links).collect::<Vec<_>>(), ["b", "g"]);
    }

    #[test]
    fn lost_links_are_told() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("links-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("a.md"), "# A b\n[x](#a-b) [y](#c) [z](b.md) [w](a.md#a-b)\n")?;
        assert_eq!(lost(&folder, "a.md")?, ["#c", "b.md"]);
        fs::remove_dir_all(&folder)?;
        Ok(())
    }
}
