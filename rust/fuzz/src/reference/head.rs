//! Where an HTTP/1.1 head ends and what lines it has: RFC 9112, sections 2 to 5, without the
//! leniency that they allow.

/// Largest head.
const MAX_SIZE: usize = 16 * 1024;
/// Most header lines.
const MAX_LINES: usize = 128;

/// What the bytes of a head say.
#[derive(Debug)]
pub enum Head<'a> {
    /// It is not complete, and nothing in it is wrong.
    More,
    /// No head begins like this.
    Bad,
    /// A head.
    Whole {
        /// Its size.
        len: usize,
        /// The first line.
        start: &'a [u8],
        /// The names and values of the others, values without the blanks around them.
        fields: Vec<(&'a str, &'a [u8])>,
    },
}

/// Reads the head at the front of `bytes`.
#[must_use]
pub fn read(bytes: &[u8]) -> Head<'_> {
    read_behind(bytes, 0)
}

/// Reads the head at `start`, when those before it count for its size.
#[must_use]
pub fn read_behind(bytes: &[u8], start: usize) -> Head<'_> {
    let max_size = MAX_SIZE.saturating_sub(start);
    let visible = &bytes[start..][..(bytes.len() - start).min(max_size)];
    let end = visible.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
    let head = &visible[..end.unwrap_or(visible.len())];
    let is_bad = head.starts_with(b"\r\n")
        || head.iter().any(|byte| byte.is_ascii_control() && !b"\t\r\n".contains(byte))
        || head.iter().enumerate().any(|(at, byte)| match byte {
            b'\n' => at == 0 || head[at - 1] != b'\r',
            b'\r' => head.get(at + 1).is_some_and(|next| *next != b'\n'),
            _ => false,
        });
    // The start line ends in one, and the head in an empty line.
    let line_ends = head.windows(2).filter(|window| window == b"\r\n").count();
    let is_long = line_ends > 1 + MAX_LINES + usize::from(end.is_some());
    match end {
        _ if is_bad || is_long => Head::Bad,
        None if visible.len() == max_size => Head::Bad,
        None => Head::More,
        Some(len) => lines(head, len).unwrap_or(Head::Bad),
    }
}

fn lines(head: &[u8], len: usize) -> Option<Head<'_>> {
    let mut lines = split(&head[..len - 4]).into_iter();
    let start = lines.next()?;
    let mut fields = Vec::new();
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = &line[..colon];
        if !is_token(name) {
            return None;
        }
        fields.push((str::from_utf8(name).ok()?, trim(&line[colon + 1..])));
    }
    Some(Head::Whole { len, start, fields })
}

/// The lines of a head.
fn split(head: &[u8]) -> Vec<&[u8]> {
    // CR and LF stand together only.
    head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect()
}

/// `value` without the blanks around it.
#[must_use]
pub fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Whether `word` is what RFC 9110, section 5.6.2, calls a token.
#[must_use]
pub fn is_token(word: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !word.is_empty() && word.iter().all(is_token)
}
