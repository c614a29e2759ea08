//! `Message`: what `SipMessage` is in Python, made into Python objects only where someone asks for them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple, PyType};

use crate::message::{HEADERS, METHODS, Message as Inner, Method};

/// One sighting of a SIP message; `builder/_message.py` says what each field means.
#[pyclass(frozen, module = "sipcdr.builder._native")]
pub struct Message(pub Inner);

#[pymethods]
impl Message {
    #[getter]
    fn time(&self) -> i64 {
        self.0.time
    }

    #[getter]
    fn method<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        static NAMES: PyOnceLock<[Py<PyString>; METHODS.len()]> = PyOnceLock::new();
        match &self.0.method {
            Method::Known(place) => {
                let names = NAMES.get_or_init(py, || METHODS.map(|name| PyString::intern(py, name).unbind()));
                names[usize::from(*place)].bind(py).clone()
            }
            Method::Other(name) => PyString::new(py, name),
        }
    }

    #[getter]
    fn status(&self) -> u16 {
        self.0.status
    }

    #[getter]
    fn call_id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.call_id())
    }

    #[getter(from_tag)]
    fn tag_from<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.from_tag())
    }

    #[getter]
    fn to_tag<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.to_tag())
    }

    #[getter]
    fn cseq(&self) -> u64 {
        self.0.cseq
    }

    #[getter]
    fn vias(&self) -> u32 {
        self.0.vias
    }

    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        static NAMES: PyOnceLock<[Py<PyBytes>; HEADERS.len()]> = PyOnceLock::new();
        let names = NAMES.get_or_init(py, || HEADERS.map(|name| PyBytes::new(py, name.as_bytes()).unbind()));
        let headers = PyDict::new(py);
        let mut lists: [Option<Bound<'py, PyList>>; HEADERS.len()] = [const { None }; HEADERS.len()];
        for (name, value) in &self.0.headers {
            let value = PyBytes::new(py, self.0.bytes(value));
            let place = usize::from(*name);
            match &lists[place] {
                Some(values) => values.append(value)?,
                None => {
                    let values = PyList::new(py, [value])?;
                    headers.set_item(&names[place], &values)?;
                    lists[place] = Some(values);
                }
            }
        }
        Ok(headers)
    }

    #[getter]
    fn raw<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.raw)
    }

    #[getter]
    fn body_at(&self) -> u32 {
        self.0.body_at
    }

    #[getter]
    fn position<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let position = &self.0.position;
        let class = CLASS.import(py, "sipcdr.builder._message", "Position")?;
        class.call1((&*position.source, position.number, &*position.partition))
    }

    #[getter]
    fn source(&self) -> &str {
        &self.0.source
    }

    #[getter]
    fn destination(&self) -> &str {
        &self.0.destination
    }

    #[getter]
    fn transport(&self) -> &str {
        &self.0.transport
    }

    #[getter]
    fn cut(&self) -> bool {
        self.0.cut
    }

    #[getter]
    fn machine(&self) -> &str {
        &self.0.machine
    }

    #[getter]
    fn pool(&self) -> &str {
        &self.0.pool
    }

    #[getter]
    fn start_line<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.start_line())
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.body())
    }

    fn header<'py>(&self, py: Python<'py>, name: &[u8]) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.0.header(name).iter().map(|value| PyBytes::new(py, value)))
    }

    /// The same as a `SipMessage`.
    fn plain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let fields = PyDict::new(py);
        fields.set_item("time", self.time())?;
        fields.set_item("method", self.method(py))?;
        fields.set_item("status", self.status())?;
        fields.set_item("call_id", self.call_id(py))?;
        fields.set_item("from_tag", self.tag_from(py))?;
        fields.set_item("to_tag", self.to_tag(py))?;
        fields.set_item("cseq", self.cseq())?;
        fields.set_item("vias", self.vias())?;
        fields.set_item("headers", self.headers(py)?)?;
        fields.set_item("raw", self.raw(py))?;
        fields.set_item("body_at", self.body_at())?;
        fields.set_item("position", self.position(py)?)?;
        fields.set_item("source", self.source())?;
        fields.set_item("destination", self.destination())?;
        fields.set_item("transport", self.transport())?;
        fields.set_item("cut", self.cut())?;
        fields.set_item("machine", self.machine())?;
        fields.set_item("pool", self.pool())?;
        CLASS.import(py, "sipcdr.builder._message", "SipMessage")?.call((), Some(&fields))
    }

    fn __eq__<'py>(&self, py: Python<'py>, other: &Bound<'py, PyAny>) -> PyResult<bool> {
        match other.cast::<Self>() {
            Ok(other) => self.plain(py)?.eq(other.get().plain(py)?),
            Err(_) => self.plain(py)?.eq(other),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        self.plain(py)?.repr()?.extract()
    }
}

/// How many of these messages there are of each method and status, in the order in which these first come.
#[pyfunction]
pub fn kinds<'py>(messages: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyDict>> {
    let mut places: BTreeMap<(u8, u16), usize> = BTreeMap::new();
    let mut found: Vec<(Bound<'py, PyTuple>, u64)> = Vec::new();
    for message in messages {
        if let Ok(message) = message.cast::<Message>()
            && let Method::Known(place) = message.get().0.method
        {
            match places.entry((place, message.get().0.status)) {
                Entry::Occupied(entry) => found[*entry.get()].1 += 1,
                Entry::Vacant(entry) => {
                    entry.insert(found.len());
                    found.push((kind_of(message.as_any())?, 1));
                }
            }
        } else {
            found.push((kind_of(&message)?, 1));
        }
    }
    let kinds = PyDict::new(messages.py());
    for (kind, number) in found {
        let known: u64 = kinds.get_item(&kind)?.map_or(Ok(0), |known| known.extract())?;
        kinds.set_item(kind, known + number)?;
    }
    Ok(kinds)
}

fn kind_of<'py>(message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    let py = message.py();
    PyTuple::new(py, [message.getattr(intern!(py, "method"))?, message.getattr(intern!(py, "status"))?])
}

/// A text as the kernel shares it.
pub fn shared(text: &Bound<'_, PyString>) -> PyResult<Arc<str>> {
    let text = text.to_string_lossy(); // a path may be of any bytes
    Ok(if text.is_empty() { Arc::default() } else { Arc::from(&*text) })
}
