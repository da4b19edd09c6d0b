//! From a piece of code in a text to a script that runs.

use super::find::Snippet;

/// What snippets call a multiplayer peer unless they make one.
const PEER: &str = "var peer := MioWebSocketMultiplayerPeer.new()";

/// What `run.gd` looks for at a node.
const END: &str = "is_at_its_end";

/// The snippet as a whole script. Its host is this machine, its ports 9080 and 9443 are two that are
/// free.
pub(super) fn complete(snippet: &Snippet, port: u16, tls_port: u16) -> String {
    let code = &snippet.code;
    let mut given: Vec<&str> = snippet.given.iter().map(String::as_str).collect();
    let all = || given.iter().copied().chain(code.iter().map(String::as_str));
    if !all().any(|line| line.trim_start().starts_with("var peer")) && all().any(names_peer) {
        given.insert(0, PEER);
    }
    let is_script = code.iter().any(|line| starts_with_one_of(line, &["extends ", "class_name "]));
    let has_members = code
        .iter()
        .any(|line| starts_with_one_of(line, &["func ", "static func ", "@", "signal ", "const "]));
    let mut lines: Vec<String> = Vec::new();
    if !is_script {
        lines.push("extends Node".to_owned());
        lines.extend(given.iter().map(|line| (*line).to_owned()));
    }
    if is_script || has_members {
        lines.extend(code.iter().cloned());
    } else {
        lines.push("func _ready() -> void:".to_owned());
        // The engine does not like tabs and blanks mixed.
        let indent = if code.iter().any(|line| line.starts_with('\t')) { "\t" } else { "    " };
        lines.extend(code.iter().map(|line| format!("{indent}{line}")));
    }
    mark_end(&mut lines);
    let text = lines.join("\n") + "\n";
    text.replace("example.com", "localhost")
        .replace("9080", &port.to_string())
        .replace("9443", &tls_port.to_string())
}

/// Has a function `_ready` say when it has come to its end: it may wait for something.
fn mark_end(lines: &mut Vec<String>) {
    let Some(start) = lines.iter().position(|line| line.starts_with("func _ready(")) else {
        return;
    };
    let is_inside = |line: &&String| line.is_empty() || line.starts_with(['\t', ' ']);
    let size = lines[start + 1..].iter().take_while(is_inside).count();
    let body = &lines[start + 1..start + 1 + size];
    let Some(last) = body.iter().rposition(|line| !line.trim().is_empty()) else { return };
    let first = &body[body.iter().position(|line| !line.trim().is_empty()).unwrap_or(last)];
    // The engine does not like tabs and blanks mixed.
    let indent = &first[..first.len() - first.trim_start().len()];
    let mark = format!("{indent}set_meta(&\"{END}\", true)");
    lines.insert(start + 2 + last, mark);
}

fn starts_with_one_of(line: &str, starts: &[&str]) -> bool {
    starts.iter().any(|start| line.starts_with(start))
}

/// Whether a line has the word `peer`, not as part of a longer name and not after a dot.
fn names_peer(line: &str) -> bool {
    let code = line.split('#').next().unwrap_or_default();
    code.match_indices("peer").any(|(start, word)| {
        let is_part = |char: char| char.is_alphanumeric() || char == '_';
        let before = code[..start].chars().next_back();
        let after = code[start + word.len()..].chars().next();
        !before.is_some_and(|char| is_part(char) || char == '.') && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(code: &str) -> String {
        let code = code.lines().map(str::to_owned).collect();
        complete(&Snippet { code, ..Snippet::default() }, 1, 2)
    }

    #[test]
    fn statements_become_a_function() {
        assert_eq!(
            completed("print(9080)"),
            "extends Node\nfunc _ready() -> void:\n    print(1)\n    set_meta(&\"is_at_its_end\", true)\n"
        );
    }

    #[test]
    fn members_become_a_node_and_a_script_stays_one() {
        assert_eq!(completed("func a():\n\tpass"), "extends Node\nfunc a():\n\tpass\n");
        assert_eq!(completed("extends Label"), "extends Label\n");
    }

    #[test]
    fn the_end_of_ready_is_marked_wherever_it_is() {
        let code = "func _ready():\n\tif a:\n\t\tb()\n\n\nfunc b():\n\tpass";
        let marked = "\t\tb()\n\tset_meta(&\"is_at_its_end\", true)\n\n\nfunc b():";
        assert!(completed(code).contains(marked), "{}", completed(code));
    }

    #[test]
    fn a_peer_that_is_not_made_is_given() {
        assert!(completed("peer.close()").contains(PEER));
        assert!(!completed("var peer = null\npeer.close()").contains(PEER));
        for other in ["multiplayer.peer", "multiplayer_peer = 1", "peers.clear()", "a() # peer"] {
            assert!(!completed(other).contains(PEER), "{other}");
        }
    }
}
