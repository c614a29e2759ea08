//! `Call`, whose facts are Python's only where someone asks for them.

use std::cell::RefCell;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyType};
use pyo3::{import_exception, intern};

use crate::call::Call as Inner;
use crate::message::{HEADERS, METHODS, Message, Method, Position, Value};
use crate::msgpack::Damaged;
use crate::text::lower;

import_exception!(sipcdr.builder._errors, CallDamaged);

impl From<Damaged> for PyErr {
    fn from(error: Damaged) -> Self {
        CallDamaged::new_err(error.0)
    }
}

thread_local! {
    static ROOM: RefCell<Room> = const { RefCell::new(Room { details: Vec::new(), rules: None, header: Vec::new() }) };
}

/// What is used again for the next message: room for a fact's details, and the header that the rules name.
struct Room {
    details: Vec<u8>,
    rules: Option<Py<PyAny>>,
    header: Vec<u8>,
}

/// Have the rules at hand. They are immutable: the same object says the same.
fn prepare(rules: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let known = ROOM.with_borrow(|room| match (&room.rules, rules) {
        (Some(known), Some(rules)) => known.is(rules),
        (known, rules) => known.is_none() && rules.is_none(),
    });
    if known {
        return Ok(());
    }
    let mut header = Vec::new();
    if let Some(rules) = rules {
        let name = rules.getattr(intern!(rules.py(), "correlation_header"))?;
        header = lower(&name.cast::<PyString>()?.to_cow()?).into_owned().into_bytes();
    }
    let rules = rules.map(|rules| rules.clone().unbind());
    // What was there is let go when nothing is borrowed: its end may come back here.
    let _before = ROOM.with_borrow_mut(|room| {
        room.header = header;
        std::mem::replace(&mut room.rules, rules)
    });
    Ok(())
}

#[pyclass(module = "sipcdr.builder._native")]
pub struct Call {
    #[pyo3(get)]
    pub call_id: Py<PyBytes>,
    facts: Inner,
}

impl Call {
    /// The call within its bounds.
    pub fn normal(&mut self) -> PyResult<&Inner> {
        self.facts.normalise()?;
        Ok(&self.facts)
    }
}

#[pymethods]
impl Call {
    #[new]
    fn new(call_id: Py<PyBytes>) -> Self {
        Self { call_id, facts: Inner::default() }
    }

    #[getter]
    fn size(&self) -> usize {
        self.facts.size
    }

    #[getter]
    fn ended(&self) -> bool {
        self.facts.ended
    }

    #[pyo3(signature = (message, rules=None))]
    fn add(&mut self, message: &Bound<'_, PyAny>, rules: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
        prepare(rules)?;
        let read;
        let message = match message.cast::<super::message::Message>() {
            Ok(message) => &message.get().0,
            Err(_) => {
                read = plain(message)?;
                let Some(message) = &read else { return Ok(0) };
                message
            }
        };
        ROOM.with_borrow_mut(|room| Ok(self.facts.add(message, &room.header, &mut room.details)?))
    }

    fn join(&self, py: Python<'_>, other: &Self) -> PyResult<Self> {
        if self.call_id.as_bytes(py) != other.call_id.as_bytes(py) {
            return Err(PyValueError::new_err("only calls of one Call-ID can be joined"));
        }
        Ok(Self { call_id: self.call_id.clone_ref(py), facts: self.facts.join(&other.facts)? })
    }

    #[getter]
    fn facts<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        static FACT: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let class = FACT.import(py, "sipcdr.builder._facts", "Fact")?;
        let facts = self.normal()?.facts()?.into_iter().map(|fact| {
            class.call1((
                fact.time,
                fact.cseq,
                fact.method,
                fact.status,
                PyBytes::new(py, fact.from_tag),
                PyBytes::new(py, fact.to_tag),
                fact.vias,
                PyBytes::new(py, fact.details),
            ))
        });
        PyList::new(py, facts.collect::<PyResult<Vec<_>>>()?)
    }

    #[getter]
    fn slims<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        static SLIM: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let class = SLIM.import(py, "sipcdr.builder._call", "Slim")?;
        let slims = self.normal()?.slims()?.into_iter().map(|slim| {
            class.call1((
                slim.time,
                PyBytes::new(py, slim.from_tag),
                PyBytes::new(py, slim.to_tag),
                slim.cseq,
                slim.status,
                slim.countable,
                slim.from_uri,
            ))
        });
        PyList::new(py, slims.collect::<PyResult<Vec<_>>>()?)
    }

    #[getter]
    fn capped(&mut self) -> PyResult<u32> {
        Ok(self.normal()?.capped())
    }

    #[getter]
    fn first_time(&mut self) -> PyResult<Option<i64>> {
        Ok(self.normal()?.first_time()?)
    }

    #[getter]
    fn last_time(&mut self) -> PyResult<Option<i64>> {
        Ok(self.normal()?.last_time()?)
    }

    fn __bytes__<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.facts.normalise()?;
        Ok(PyBytes::new(py, &self.facts.to_bytes(self.call_id.as_bytes(py))))
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let (call_id, facts) = Inner::from_bytes(data)?;
        Ok(Self { call_id: PyBytes::new(py, call_id).unbind(), facts })
    }
}

/// A Python message as the kernel's; None where its method or status is none that a rule reads.
fn plain(message: &Bound<'_, PyAny>) -> PyResult<Option<Message>> {
    let py = message.py();
    let method = message.getattr(intern!(py, "method"))?;
    let method = method.cast::<PyString>()?.to_cow()?;
    let Some(method) = METHODS.iter().position(|known| *known == method) else { return Ok(None) };
    let Ok(status) = message.getattr(intern!(py, "status"))?.extract::<u16>() else { return Ok(None) };
    let owned = |value: &[u8]| Value::Owned(value.into());
    let bytes = |name| -> PyResult<Value> { Ok(owned(message.getattr(name)?.cast::<PyBytes>()?.as_bytes())) };
    let text =
        |name| -> PyResult<Arc<str>> { Ok(Arc::from(message.getattr(name)?.cast::<PyString>()?.to_cow()?.as_ref())) };
    let mut headers = Vec::new();
    for (name, values) in message.getattr(intern!(py, "headers"))?.cast::<PyDict>()? {
        let name = name.cast::<PyBytes>()?.as_bytes().to_owned();
        let Some(kept) = HEADERS.iter().position(|known| known.as_bytes() == name) else { continue };
        for value in values.cast::<PyList>()? {
            headers.push((kept as u8, owned(value.cast::<PyBytes>()?.as_bytes())));
        }
    }
    let raw = message.getattr(intern!(py, "raw"))?;
    let raw = raw.cast::<PyBytes>()?.as_bytes();
    let body_at: usize = message.getattr(intern!(py, "body_at"))?.extract()?;
    let empty: Arc<str> = Arc::from("");
    Ok(Some(Message {
        time: message.getattr(intern!(py, "time"))?.extract()?,
        method: Method::Known(method as u8),
        status,
        call_id: owned(b""),
        from_tag: bytes(intern!(py, "from_tag"))?,
        to_tag: bytes(intern!(py, "to_tag"))?,
        cseq: message.getattr(intern!(py, "cseq"))?.extract()?,
        vias: message.getattr(intern!(py, "vias"))?.extract()?,
        headers,
        raw: raw.into(),
        body_at: body_at.min(raw.len()) as u32,
        position: Position { source: empty.clone(), number: 0, partition: empty.clone() },
        source: text(intern!(py, "source"))?,
        destination: text(intern!(py, "destination"))?,
        transport: empty,
        cut: message.getattr(intern!(py, "cut"))?.extract()?,
        machine: text(intern!(py, "machine"))?,
        pool: text(intern!(py, "pool"))?,
    }))
}
