//! Where the documentation has GDScript: fenced blocks of Markdown files and of the class
//! reference, which is in doc comments, and `[codeblock]`s in those of the addon's scripts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::project;
use crate::workspace::Workspace;

/// Files and folders that are looked through.
const PLACES: [&str; 6] =
    ["README.md", "SECURITY.md", "addons/mio_websocket", "docs", "deploy", "rust/godot/src"];

/// A block, and what a comment before it says: `<!-- given: line -->` for code that it stands in,
/// `<!-- error: text -->` for an error line that it is about, `<!-- not run: reason -->`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Snippet {
    /// File and line.
    pub(super) place: String,
    pub(super) code: Vec<String>,
    pub(super) given: Vec<String>,
    pub(super) errors: Vec<String>,
    pub(super) not_run: Option<String>,
}

/// All snippets of the documentation.
pub(super) fn all(workspace: &Workspace) -> Result<Vec<Snippet>> {
    let mut files = Vec::new();
    for place in PLACES {
        let path = workspace.root.join(place);
        if path.is_dir() {
            project::collect(&path, &mut files)?;
        } else if path.exists() {
            files.push(path);
        }
    }
    files.retain(|file| ["md", "rs", "gd"].iter().any(|ending| has_ending(file, ending)));
    files.sort();
    let mut snippets = Vec::new();
    for file in files {
        snippets.extend(read(workspace, &file)?);
    }
    Ok(snippets)
}

fn has_ending(file: &Path, ending: &str) -> bool {
    file.extension().is_some_and(|extension| extension == ending)
}

fn read(workspace: &Workspace, file: &PathBuf) -> Result<Vec<Snippet>> {
    let text =
        fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    let name = file.strip_prefix(&workspace.root).unwrap_or(file).display().to_string();
    let text: Vec<&str> = match file.extension().and_then(|ending| ending.to_str()) {
        Some("rs") => text.lines().map(|line| doc_comment(line, "///")).collect(),
        Some("gd") => text.lines().map(|line| doc_comment(line, "##")).collect(),
        _ => text.lines().collect(),
    };
    Ok(blocks(&name, &text))
}

/// The text of a doc comment; nothing for a line of code.
fn doc_comment<'a>(line: &'a str, mark: &str) -> &'a str {
    let text = line.trim_start().strip_prefix(mark).unwrap_or_default();
    text.strip_prefix(' ').unwrap_or(text)
}

fn blocks(file: &str, lines: &[&str]) -> Vec<Snippet> {
    let mut blocks = Vec::new();
    let mut next = Snippet::default();
    let mut lines = lines.iter().enumerate();
    while let Some((number, line)) = lines.next() {
        let trimmed = line.trim_start();
        if let Some(note) = note(trimmed) {
            match note {
                ("given", text) => next.given.push(text.to_owned()),
                ("error", text) => next.errors.push(text.to_owned()),
                ("not run", text) => next.not_run = Some(text.to_owned()),
                _ => {}
            }
        } else if let Some(end) = end_of_block(trimmed) {
            let indent = line.len() - trimmed.len();
            next.place = format!("{file}:{}", number + 1);
            next.code = lines
                .by_ref()
                .map(|(_, line)| line.get(indent..).unwrap_or_default())
                .take_while(|line| line.trim_end() != end)
                .map(str::to_owned)
                .collect();
            blocks.push(std::mem::take(&mut next));
        } else if !trimmed.is_empty() {
            // A note is for the block right after it.
            next = Snippet::default();
        }
    }
    blocks
}

/// The line that ends what this one begins, if it begins a block of GDScript.
fn end_of_block(line: &str) -> Option<&'static str> {
    match line {
        "```gdscript" => Some("```"),
        "[codeblock]" => Some("[/codeblock]"),
        _ => None,
    }
}

/// Name and text of `<!-- name: text -->`.
fn note(line: &str) -> Option<(&str, &str)> {
    let (name, text) = line.strip_prefix("<!--")?.strip_suffix("-->")?.split_once(':')?;
    Some((name.trim(), text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_the_notes_right_before_it() {
        let text = "<!-- given: var a := 1 -->\ntext\n\n<!-- given: var id := 2 -->\n\
                    <!-- error: no peer -->\n```gdscript\nprint(id)\n```\n```gdscript\npass\n```";
        let found = blocks("a.md", &text.lines().collect::<Vec<_>>());
        let expected = [
            Snippet {
                place: "a.md:6".to_owned(),
                code: vec!["print(id)".to_owned()],
                given: vec!["var id := 2".to_owned()],
                errors: vec!["no peer".to_owned()],
                not_run: None,
            },
            Snippet {
                place: "a.md:9".to_owned(),
                code: vec!["pass".to_owned()],
                ..Snippet::default()
            },
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_block_in_a_list_loses_its_indent() {
        let text = ["- so:", "  ```gdscript", "  if a:", "      b()", "  ```", "- more"];
        assert_eq!(blocks("a.md", &text)[0].code, ["if a:", "    b()"]);
    }

    #[test]
    fn other_languages_are_left_alone() {
        assert_eq!(blocks("a.md", &["```sh", "ls", "```"]), []);
    }

    #[test]
    fn the_class_reference_is_in_doc_comments() {
        let code = ["/// ```gdscript", "    /// var a := 1", "fn a() {}", "/// ```"];
        let lines: Vec<&str> = code.iter().map(|line| doc_comment(line, "///")).collect();
        assert_eq!(lines, ["```gdscript", "var a := 1", "", "```"]);
    }

    #[test]
    fn scripts_have_blocks_of_another_kind() {
        let code = ["## [codeblock]", "## if a:", "##     b()", "## [/codeblock]", "var c := 1"];
        let lines: Vec<&str> = code.iter().map(|line| doc_comment(line, "##")).collect();
        let found = blocks("a.gd", &lines);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].code, ["if a:", "    b()"]);
    }
}
