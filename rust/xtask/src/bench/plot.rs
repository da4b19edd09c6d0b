//! Bars as SVG: for each case the subjects below each other, as long as what they cost.

use std::fmt::Write;

use super::table::short;

const LABELS: usize = 250;
const BARS: usize = 400;
const WIDTH: usize = LABELS + BARS + 90;
const ROW: usize = 18;
const HEAD: usize = 26;
/// The built-in class, ours, the one without a network, and anchors.
const COLORS: [&str; 4] = ["#8a8f98", "#2f7ed8", "#7fb58a", "#d0b060"];

/// The bars of a case.
pub(crate) struct Bars {
    pub(crate) title: String,
    /// Name and value.
    pub(crate) bars: Vec<(String, f64)>,
}

/// A picture; the longest bar of each case takes all the room.
pub(crate) fn svg(title: &str, cases: &[Bars]) -> String {
    let rows: usize = cases.iter().map(|case| HEAD + case.bars.len() * ROW).sum();
    let height = 44 + rows;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"10\" y=\"24\" font-size=\"16\" font-weight=\"bold\">{}</text>\n",
        escape(title)
    );
    let mut y = 36;
    for case in cases {
        y += HEAD;
        line(&mut svg, 10, y - 7, "start", &format!("{} ", case.title));
        let longest = case.bars.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
        for (index, (name, value)) in case.bars.iter().enumerate() {
            let length = (value / longest * BARS as f64).max(1.0);
            let color = COLORS[index.min(COLORS.len() - 1)];
            line(&mut svg, LABELS - 8, y + 12, "end", name);
            // Writing to a string cannot fail.
            let _ = writeln!(
                svg,
                "<rect x=\"{LABELS}\" y=\"{}\" width=\"{length:.1}\" height=\"13\" fill=\"{color}\"/>",
                y + 2
            );
            line(&mut svg, LABELS + 6 + length as usize, y + 12, "start", &short(*value));
            y += ROW;
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn line(svg: &mut String, x: usize, y: usize, anchor: &str, text: &str) {
    let text = escape(text);
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_values() {
        let bars = vec![("a".to_owned(), 10.0), ("<b>".to_owned(), 2.5)];
        let svg = svg("title", &[Bars { title: "case".to_owned(), bars }]);
        assert!(svg.contains("width=\"400.0\"") && svg.contains("width=\"100.0\""));
        assert!(svg.contains("&lt;b&gt;") && svg.ends_with("</svg>\n"));
    }
}
