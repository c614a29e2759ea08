//! What the readers of logs ask of `logs` and `scan`.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::{logs, scan};

#[pyfunction]
pub fn is_start_line(line: &[u8]) -> bool {
    scan::is_start_line(line)
}

#[pyfunction]
pub fn content_length(data: &[u8], at: usize, body_at: usize) -> i64 {
    let head = data.get(at..body_at.min(data.len())).unwrap_or_default();
    logs::content_length(head).and_then(|length| i64::try_from(length).ok()).unwrap_or(-1)
}

#[pyfunction]
pub fn on_the_wire<'py>(raw: &Bound<'py, PyBytes>) -> Bound<'py, PyBytes> {
    match logs::on_the_wire(raw.as_bytes()) {
        Some(wire) => PyBytes::new(raw.py(), &wire),
        None => raw.clone(),
    }
}

#[pyfunction]
pub fn with_bare_ends(data: &[u8], at: usize, size: usize, ended: bool) -> Option<usize> {
    logs::with_bare_ends(data, at, size, ended)
}
