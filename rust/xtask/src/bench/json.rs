//! The samples for other programs. Of each subject: `found`, all numbers, and `calls`, the system
//! calls for each unit of work by name.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::samples::Samples;
use super::table::median;
use super::{Measured, machine};

pub(crate) fn write(path: &Path, results: &[Measured], failed: &[String]) -> Result<()> {
    let about: Map<String, Value> = machine::describe()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let cases: Vec<Value> = results.iter().map(case).collect();
    let text =
        serde_json::to_string_pretty(&json!({ "about": about, "cases": cases, "failed": failed }))?;
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

fn case(measured: &Measured) -> Value {
    let options: Map<String, Value> = measured
        .case
        .options
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone().into()))
        .collect();
    let subjects: Vec<Value> = measured
        .names
        .iter()
        .zip(&measured.samples)
        .map(|(name, samples)| {
            json!({ "name": name, "found": found(samples), "calls": samples.calls })
        })
        .collect();
    json!({ "name": measured.case.name, "options": options, "subjects": subjects })
}

fn found(samples: &Samples) -> Value {
    let values = samples.numbers.iter().map(|(name, values)| {
        (name.clone(), json!({ "median": median(values), "samples": values }))
    });
    Value::Object(values.collect())
}
