//! `scan`, for values of topics, packets of collectors and records of logs.

use std::sync::{Arc, Mutex};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::message::{Message, shared};
use super::tally::hand_over;
use crate::limits::Limits;
use crate::message::Position;
use crate::tally::Tally;

/// `sipcdr.ingest.scan` by the kernel.
#[pyfunction]
#[pyo3(signature = (
    data, time, position, tally, limits, source=None, destination=None, transport=None, cut=false, machine=None, pool=None
))]
#[allow(clippy::too_many_arguments)]
pub fn scan<'py>(
    py: Python<'py>,
    data: &[u8],
    time: &Bound<'py, PyAny>,
    position: &Bound<'py, PyAny>,
    tally: &Bound<'py, PyAny>,
    limits: &Bound<'py, PyAny>,
    source: Option<&Bound<'py, PyString>>,
    destination: Option<&Bound<'py, PyString>>,
    transport: Option<&Bound<'py, PyString>>,
    cut: bool,
    machine: Option<&Bound<'py, PyString>>,
    pool: Option<&Bound<'py, PyString>>,
) -> PyResult<Bound<'py, PyAny>> {
    let text = |given: Option<&Bound<'py, PyString>>| given.map_or_else(|| Ok(Arc::default()), shared);
    // A time that no 64 bits hold is none that can be used.
    let time = time.extract().unwrap_or(i64::MAX);
    let place = Position {
        source: text(Some(position.getattr(intern!(py, "source"))?.cast::<PyString>()?))?,
        number: position.getattr(intern!(py, "number"))?.extract()?,
        partition: text(Some(position.getattr(intern!(py, "partition"))?.cast::<PyString>()?))?,
    };
    let (source, destination, transport) = (text(source)?, text(destination)?, text(transport)?);
    let limits = limits_of(limits)?;
    let mut noted = Tally::default();
    let found = crate::scan::scan(data, time, &place, &mut noted, &limits, &source, &destination, &transport, cut);
    if !noted.counts.is_empty() {
        hand_over(&mut noted, tally)?;
    }
    match found {
        Ok(mut message) => {
            message.machine = text(machine)?;
            message.pool = text(pool)?;
            Ok(Bound::new(py, Message(message))?.into_any())
        }
        Err(reason) => Ok(PyString::intern(py, reason).into_any()),
    }
}

/// The bounds that a Python `Limits` names. One is used over and over, so the last is remembered.
pub fn limits_of(limits: &Bound<'_, PyAny>) -> PyResult<Arc<Limits>> {
    static LAST: Mutex<Option<(Py<PyAny>, Arc<Limits>)>> = Mutex::new(None);
    if let Ok(last) = LAST.lock()
        && let Some((known, made)) = last.as_ref()
        && limits.is(known)
    {
        return Ok(made.clone());
    }
    let size = |name: &str| -> PyResult<usize> { limits.getattr(name)?.extract() };
    let span = |name: &str| -> PyResult<i64> { limits.getattr(name)?.extract() };
    let made = Arc::new(Limits {
        message: size("message")?,
        headers: size("headers")?,
        header: size("header")?,
        packet: size("packet")?,
        block: size("block")?,
        interfaces: size("interfaces")?,
        layers: size("layers")?,
        fragments: size("fragments")?,
        parts: size("parts")?,
        fragmented: size("fragmented")?,
        fragment_wait: span("fragment_wait")?,
        stream: size("stream")?,
        streams: size("streams")?,
        streams_held: size("streams_held")?,
        stream_wait: span("stream_wait")?,
        stream_idle: span("stream_idle")?,
        line: size("line")?,
        foreign: size("foreign")?,
        files: size("files")?,
        value: size("value")?,
    });
    if let Ok(mut last) = LAST.lock() {
        *last = Some((limits.clone().unbind(), made.clone()));
    }
    Ok(made)
}
