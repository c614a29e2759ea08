//! The usual road of `Values.messages`: records of raw SIP, with the usual headers or none. What is of another kind is
//! left to the Python, which goes on where this says.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use super::message::{Message, shared};
use super::scan::limits_of;
use super::tally::hand_over;
use crate::message::Position;
use crate::tally::Tally;

const HEADERS: usize = 64;
const HEADER: usize = 256;

/// What a record's headers say of its message.
#[derive(Default)]
struct Known {
    time: Option<i64>,
    source: Arc<str>,
    destination: Arc<str>,
    transport: Arc<str>,
}

/// For each record its message, or None; and of those without one the places, each with why it is refused, or None where
/// it is of another kind. Behind them the bytes of all values that were scanned.
///
/// names: of the headers with time, source, destination and transport. addresses, transports: what values of these mean,
/// as far as the Python has seen them. others: for each first byte whether it may begin something else than SIP.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
pub fn values<'py>(
    py: Python<'py>,
    offsets: &Bound<'py, PyList>,
    times: &Bound<'py, PyList>,
    values: &Bound<'py, PyList>,
    headers: &Bound<'py, PyList>,
    source: &Bound<'py, PyString>,
    partition: &Bound<'py, PyString>,
    tally: &Bound<'py, PyAny>,
    limits: &Bound<'py, PyAny>,
    names: (String, String, String, String),
    addresses: &Bound<'py, PyDict>,
    transports: &Bound<'py, PyDict>,
    others: &[u8],
) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>, usize)> {
    let mut place = Position { source: shared(source)?, number: 0, partition: shared(partition)? };
    let limits = limits_of(limits)?;
    let mut noted = Tally::default();
    let found = PyList::empty(py);
    let odd = PyList::empty(py);
    let mut bytes = 0;
    for at in 0..values.len() {
        let value = values.get_item(at)?;
        let data = value.cast::<PyBytes>().map_or(&[][..], |value| value.as_bytes());
        let usual = data.first().is_some_and(|first| others.get(usize::from(*first)).is_none_or(|other| *other == 0));
        let known = if usual { known(&headers.get_item(at)?, &names, addresses, transports)? } else { None };
        let Some(known) = known else {
            found.append(py.None())?;
            odd.append((at, py.None()))?;
            continue;
        };
        bytes += data.len();
        place.number = offsets.get_item(at)?.extract()?;
        // A time that no 64 bits hold is none that can be used.
        let time = known.time.map_or_else(|| times.get_item(at).map(|time| time.extract().unwrap_or(i64::MAX)), Ok)?;
        let Known { source, destination, transport, .. } = known;
        match crate::scan::scan(data, time, &place, &mut noted, &limits, &source, &destination, &transport, false) {
            Ok(message) => found.append(Bound::new(py, Message(message))?)?,
            Err(reason) => {
                found.append(py.None())?;
                odd.append((at, reason))?;
            }
        }
    }
    if !noted.counts.is_empty() {
        hand_over(&mut noted, tally)?;
    }
    Ok((found, odd, bytes))
}

/// What headers say; None where that takes the Python.
fn known(
    headers: &Bound<'_, PyAny>,
    names: &(String, String, String, String),
    addresses: &Bound<'_, PyDict>,
    transports: &Bound<'_, PyDict>,
) -> PyResult<Option<Known>> {
    let mut known = Known::default();
    let Ok(headers) = headers.cast::<PyList>() else {
        // Without headers it may be an empty tuple.
        return Ok(headers.cast::<PyTuple>().is_ok_and(|headers| headers.is_empty()).then_some(known));
    };
    for header in headers.iter().take(HEADERS) {
        let Ok(header) = header.cast::<PyTuple>() else { return Ok(None) };
        let (Ok(name), Ok(value)) = (header.get_borrowed_item(0), header.get_borrowed_item(1)) else {
            return Ok(None);
        };
        let Ok(name) = name.cast::<PyString>() else { return Ok(None) };
        let Ok(value) = value.cast::<PyBytes>() else {
            if value.is_none() {
                continue;
            }
            return Ok(None);
        };
        let data = value.as_bytes();
        if data.is_empty() {
            continue;
        }
        if data.len() > HEADER {
            return Ok(None);
        }
        // One name may be that of several things.
        let name = name.to_cow()?;
        if *name == names.0 {
            match microseconds(data) {
                Some(time) => known.time = Some(time),
                None => return Ok(None),
            }
        }
        for (wanted, cache, is_address, into) in [
            (&names.1, addresses, true, &mut known.source),
            (&names.2, addresses, true, &mut known.destination),
            (&names.3, transports, false, &mut known.transport),
        ] {
            if *name == **wanted {
                *into = if let Some(text) = is_address.then(|| usual_address(data)).flatten() {
                    Arc::from(text)
                } else if let Some(text) = cache.get_item(value)? {
                    shared(text.cast::<PyString>()?)?
                } else {
                    return Ok(None);
                };
            }
        }
    }
    Ok(Some(known))
}

/// An IPv4 address and a port, which mean what they say.
fn usual_address(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    let (host, port) = text.split_once(':')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let usual = host.len() <= 15 && host.split('.').count() == 4 && host.split('.').all(|part| !part.is_empty());
    let number: u16 = if port.starts_with('0') || !digits(port) { return None } else { port.parse().ok()? };
    (usual && number > 0 && host.split('.').all(digits)).then_some(text)
}

/// Microseconds since 1970 in digits, as most times are written.
fn microseconds(text: &[u8]) -> Option<i64> {
    if !(15..=17).contains(&text.len()) || text.first() == Some(&b'0') || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}
