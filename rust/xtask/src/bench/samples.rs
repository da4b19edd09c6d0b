//! What measurements of a subject have found in a case.

use std::collections::BTreeMap;

/// What one measurement found.
#[derive(Default)]
pub(crate) struct Found {
    /// By name.
    pub(crate) numbers: Vec<(String, f64)>,
    /// System calls for each unit of work, by the name of the call.
    pub(crate) calls: Vec<(String, f64)>,
}

/// What all measurements found.
#[derive(Default)]
pub(crate) struct Samples {
    /// All values, by the name of what was measured.
    pub(crate) numbers: BTreeMap<String, Vec<f64>>,
    /// System calls for each unit of work, by the name of the call. They are counted once, and are
    /// too many for tables.
    pub(crate) calls: BTreeMap<String, f64>,
}

impl Samples {
    /// Adds another measurement.
    pub(crate) fn add(&mut self, found: Found) {
        for (name, value) in found.numbers {
            self.numbers.entry(name).or_default().push(value);
        }
        self.calls.extend(found.calls);
    }
}
