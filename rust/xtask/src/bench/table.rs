//! Medians and ratios.

use super::Measured;
use crate::report::{GREEN, paint};

/// Widths of columns.
const NAME: usize = 40;
const COLUMN: usize = 34;

/// What was found: for each subject the median, with the least and the most behind it, and how many
/// times less than the first one's it is.
pub(crate) fn text(measured: &Measured) -> String {
    let Some((first, others)) = measured.samples.split_first() else {
        return String::new();
    };
    let name = &measured.case.name;
    let gap = NAME.saturating_sub(name.chars().count());
    let mut text = paint(name, GREEN) + &" ".repeat(gap);
    measured.names.iter().for_each(|name| text += &format!("{name:<COLUMN$}"));
    for (name, values) in &first.numbers {
        text += &format!("\n  {name:<width$}{:<COLUMN$}", cell(values), width = NAME - 2);
        for samples in others {
            let column = samples.numbers.get(name).map_or_else(String::new, |other| {
                format!("{} {}", cell(other), ratio(values, other))
            });
            text += &format!("{column:<COLUMN$}");
        }
    }
    text + "\n"
}

/// How many times less than the first the other is.
pub(crate) fn ratio(first: &[f64], other: &[f64]) -> String {
    let (first, other) = (median(first), median(other));
    if first > 0.0 && other > 0.0 { short(first / other) + "x" } else { String::new() }
}

/// The median, with the least and the most.
pub(crate) fn cell(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match values.len() {
        1 => short(median(values)),
        _ => format!("{} ({}..{})", short(median(values)), short(least), short(most)),
    }
}

/// Three digits that matter.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        ..0.1 => format!("{value:.4}"),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        _ if sorted.is_empty() => f64::NAN,
        1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.0, 0.01234, 1.234, 12.34, 1234.5].map(short),
            ["0", "0.0123", "1.23", "12.3", "1234"]
        );
    }
}
