//! `share`: the messages whose Call-ID falls to one of several processes.

use flate2::Crc;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::message::Message;

/// Those of a batch whose Call-ID's CRC-32 leaves `number` when it is divided by `of`.
#[pyfunction]
pub fn share<'py>(batch: &Bound<'py, PyList>, number: u32, of: u32) -> PyResult<Bound<'py, PyList>> {
    let py = batch.py();
    let own = PyList::empty(py);
    for message in batch {
        let mut crc = Crc::new();
        match message.cast::<Message>() {
            Ok(message) => crc.update(message.get().0.call_id()),
            Err(_) => crc.update(message.getattr(intern!(py, "call_id"))?.cast::<PyBytes>()?.as_bytes()),
        }
        if crc.sum().checked_rem(of) == Some(number) {
            own.append(message)?;
        }
    }
    Ok(own)
}
