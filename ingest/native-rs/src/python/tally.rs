//! What the kernel's tally gathered, into the Python one.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::tally::Tally;

/// Add all to a Python `Tally`, and empty this one.
pub fn hand_over(tally: &mut Tally, to: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = to.py();
    let Tally { packets, bytes, messages, counts, problems, problem_count, refused } = std::mem::take(tally);
    let noted = PyDict::new(py);
    for (reason, many) in counts {
        noted.set_item(&*reason, many)?;
    }
    let problems = problems.iter().map(|one| (&*one.source, one.frame, one.offset, &*one.reason));
    let problems = PyList::new(py, problems.collect::<Vec<_>>())?;
    let refused = refused.iter().map(|one| (&*one.source, one.frame, &*one.reason));
    let refused = PyList::new(py, refused.collect::<Vec<_>>())?;
    to.call_method1(intern!(py, "add"), (packets, bytes, messages, noted, problems, problem_count, refused))?;
    Ok(())
}
