//! `Peers` and `Dissector`: `dissect` with `pcap` and `pcapng` in front of it, as Python feeds them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use super::message::{Message, shared};
use super::scan::limits_of;
use super::tally::hand_over;
use crate::dissect;
use crate::limits::Limits;
use crate::window::{Frames, Next, Window};

struct Shared {
    peers: dissect::Peers,
    next: u64,
    limits: Arc<Limits>,
}

/// The dissectors that share the bounds on what waits.
#[pyclass(frozen, module = "sipcdr.builder._native")]
pub struct Peers(Arc<Mutex<Shared>>);

#[pymethods]
impl Peers {
    #[new]
    fn new(limits: &Bound<'_, PyAny>) -> PyResult<Self> {
        let limits = limits_of(limits)?;
        Ok(Self(Arc::new(Mutex::new(Shared { peers: dissect::Peers::new(), next: 0, limits }))))
    }

    /// One more of them.
    fn dissector(&self, esp_null: bool) -> Dissector {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = shared.next;
        shared.next += 1;
        let limits = shared.limits.clone();
        shared.peers.insert(place, Box::new(dissect::Dissector::new(limits.clone(), place, esp_null)));
        let shared = self.0.clone();
        Dissector { shared, limits, place, frames: None, window: Window::default(), last_time: -1 }
    }
}

#[pyclass(module = "sipcdr.builder._native")]
pub struct Dissector {
    shared: Arc<Mutex<Shared>>,
    limits: Arc<Limits>,
    place: u64,
    frames: Option<Frames>,
    window: Window,
    last_time: i64,
}

impl Dissector {
    /// Let it work, with its peers at hand. None where it has come to its end, or panicked.
    fn work<T>(&self, work: impl FnOnce(&mut dissect::Dissector) -> T) -> Option<T> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dissector = shared.peers.remove(&self.place)?;
        dissector.peers = std::mem::take(&mut shared.peers);
        let result = catch_unwind(AssertUnwindSafe(|| work(&mut dissector)));
        shared.peers = std::mem::take(&mut dissector.peers);
        shared.peers.insert(self.place, dissector);
        result.ok()
    }

    /// Note that the kernel has a fault, and forget what waits, as nobody knows what state it is in. number: the frame;
    /// packets: those that nobody has counted yet.
    fn failed(&self, number: i64, packets: u64) {
        self.work(|dissector| {
            dissector.forget();
            let reason = "a fault in the native reader; what waited for fragments and segments is lost".to_owned();
            dissector.found.tally.packets += packets;
            dissector.found.tally.problem(&dissector.source, number, -1, reason);
        });
    }
}

#[pymethods]
impl Dissector {
    /// Begin with a capture, by its first bytes, of which there are 28 unless it ends before.
    fn begin(
        &mut self,
        source: &Bound<'_, PyString>,
        head: &[u8],
        ended: bool,
        damage: String,
        grows: bool,
    ) -> PyResult<()> {
        let name = shared(source)?;
        self.frames = None;
        self.frames = Some(Frames::open(head, &name, &self.limits).map_err(PyValueError::new_err)?);
        self.window = Window { data: head.to_vec(), base: 0, ended, damage, grows };
        self.work(|dissector| dissector.source = name);
        Ok(())
    }

    /// Take in what the capture goes on with, which may be nothing yet.
    fn more(&mut self, more: &[u8], ended: bool, damage: String) {
        if let Some(frames) = &mut self.frames {
            frames.more(&mut self.window, more);
        }
        self.window.ended = ended;
        self.window.damage = damage;
    }

    /// Go on until there are so many messages, or more is wanted, or the capture has ended; whether the first.
    fn feed(&mut self, batch: usize) -> bool {
        let Some(mut frames) = self.frames.take() else { return false };
        let next = loop {
            let before = frames.number();
            let packets = |after: i64| u64::try_from(after - before).unwrap_or_default();
            let next = self.work(|dissector| {
                let next = dissector.feed(&mut frames, &self.window, batch);
                dissector.found.tally.packets += packets(frames.number());
                (next, dissector.last_time)
            });
            if let Some((next, last_time)) = next {
                self.last_time = last_time;
                break next;
            }
            self.failed(frames.number(), packets(frames.number()));
            if frames.number() == before {
                break Next::End; // the fault isn't in what a frame holds
            }
        };
        if next != Next::End {
            self.frames = Some(frames);
        }
        matches!(next, Next::Frame { .. })
    }

    /// Whether the capture has ended.
    #[getter]
    fn ended(&self) -> bool {
        self.frames.is_none()
    }

    /// The time of the last frame.
    #[getter]
    fn last_time(&self) -> i64 {
        self.last_time
    }

    /// Give up what waits for fragments or segments, and be no peer any more; gives the messages in it.
    fn finish<'py>(&mut self, py: Python<'py>, tally: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        if self.work(dissect::Dissector::finish).is_none() {
            self.failed(0, 0);
        }
        let messages = self.take(py, tally);
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).peers.remove(&self.place);
        messages
    }

    /// The messages found since the last time; what was counted goes to the tally.
    fn take<'py>(&self, py: Python<'py>, tally: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let taken = self.work(|dissector| {
            let messages = std::mem::take(&mut dissector.found.messages);
            dissector.found.tally.messages += messages.len() as u64;
            (messages, std::mem::take(&mut dissector.found.tally))
        });
        let (messages, mut counted) = taken.unwrap_or_default();
        if !counted.is_empty() {
            hand_over(&mut counted, tally)?;
        }
        let messages = messages.into_iter().map(|message| Bound::new(py, Message(message)));
        PyList::new(py, messages.collect::<PyResult<Vec<_>>>()?)
    }
}
