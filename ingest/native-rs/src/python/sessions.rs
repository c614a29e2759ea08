//! `sessions`, whose rows are built by calling the classes of `builder/_row.py`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyList, PyString, PyTuple, PyType};

use super::call::Call;
use crate::agents::client_type;
use crate::counts::Counts;
use crate::ignore::Pattern;
use crate::row::{Reference, SessionDetails, TagPair};
use crate::rules::{Ignore, Network, Rules};
use crate::sessions::sessions as derive;
use crate::text::lower;
use crate::users::User;

/// Values of each kind that are kept to be used again.
const KEPT: usize = 8192;

thread_local! {
    /// Taken out while it is used: building objects may run a finaliser, and that anything.
    static MAKER: RefCell<Option<Maker>> = const { RefCell::new(None) };
}

#[pyfunction]
pub fn sessions<'py>(
    py: Python<'py>,
    call: &Bound<'py, Call>,
    rules: &Bound<'py, PyAny>,
    counts: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let mut call = call.try_borrow_mut()?;
    let call_id = call.call_id.bind(py).clone();
    let mut maker = match MAKER.take() {
        Some(maker) => maker,
        None => Maker::new(py)?,
    };
    let rows = rows(&call_id, call.normal()?, rules, &mut maker, counts);
    MAKER.set(Some(maker));
    rows
}

fn rows<'py>(
    call_id: &Bound<'py, PyBytes>,
    call: &crate::call::Call,
    rules: &Bound<'py, PyAny>,
    maker: &mut Maker,
    counts: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let rules = maker.rules(rules)?;
    let (facts, slims) = (call.facts()?, call.slims()?);
    let mut found = Counts::default();
    let mut rows = Vec::new();
    let take = |details: &SessionDetails| rows.push(maker.details(call_id, details));
    derive(call_id.as_bytes(), &facts, &slims, &rules, &mut found, take)?;
    let rows = rows.into_iter().collect::<PyResult<Vec<_>>>()?;
    for (what, many) in found.iter() {
        let known: u64 = counts.get_item(what)?.extract()?;
        counts.set_item(what, known + many)?;
    }
    PyList::new(call_id.py(), rows)
}

/// The classes, and what was made before and is needed again.
struct Maker {
    user: Py<PyType>,
    client: Py<PyType>,
    media: Py<PyType>,
    reference: Py<PyType>,
    session_details: Py<PyType>,
    users: HashMap<String, [Option<Py<PyAny>>; 2]>,
    clients: HashMap<String, Py<PyAny>>,
    names: HashMap<String, Py<PyString>>,
    /// The rules used last.
    rules: Option<(Py<PyAny>, Rc<Rules>)>,
}

impl Maker {
    fn new(py: Python<'_>) -> PyResult<Self> {
        let module = py.import("sipcdr.builder._row")?;
        let class = |name| Ok::<_, PyErr>(module.getattr(name)?.cast_into::<PyType>()?);
        Ok(Self {
            user: class("User")?.unbind(),
            client: class("Client")?.unbind(),
            media: class("Media")?.unbind(),
            reference: class("Reference")?.unbind(),
            session_details: class("SessionDetails")?.unbind(),
            users: HashMap::new(),
            clients: HashMap::new(),
            names: HashMap::new(),
            rules: None,
        })
    }

    fn rules(&mut self, rules: &Bound<'_, PyAny>) -> PyResult<Rc<Rules>> {
        if let Some((known, read)) = &self.rules
            && known.is(rules)
        {
            return Ok(read.clone());
        }
        let read = Rc::new(rules_of(rules)?);
        self.rules = Some((rules.clone().unbind(), read.clone()));
        Ok(read)
    }

    fn details<'py>(&mut self, call_id: &Bound<'py, PyBytes>, row: &SessionDetails) -> PyResult<Bound<'py, PyAny>> {
        let py = call_id.py();
        let caller_tag = PyBytes::new(py, row.caller_tag);
        let callee_tag = PyBytes::new(py, row.callee_tag);
        let tag = |tag: &[u8]| {
            if tag == row.caller_tag {
                caller_tag.clone()
            } else if tag == row.callee_tag {
                callee_tag.clone()
            } else {
                PyBytes::new(py, tag)
            }
        };
        let pair = |(one, other): &TagPair| PyTuple::new(py, [tag(one), tag(other)]);
        let pairs = row.pairs.iter().map(pair).collect::<PyResult<Vec<_>>>()?;
        let media = row.media.each().map(|medium| self.media.bind(py).call1(medium)).collect::<PyResult<Vec<_>>>()?;
        let user1 = self.user(py, &row.user1)?;
        let number = |number: i64| PyInt::new(py, number).into_any();
        let perhaps = |known: Option<i64>| known.map_or_else(|| none(py), number);
        let text =
            |known: &Option<String>| known.as_ref().map_or_else(|| none(py), |text| PyString::new(py, text).into_any());
        // In the order of the fields.
        let values = [
            call_id.clone().into_any(),
            caller_tag.clone().into_any(),
            callee_tag.clone().into_any(),
            PyBytes::new(py, &row.external_id).into_any(),
            PyTuple::new(py, pairs)?.into_any(),
            number(row.invite_time),
            number(row.last_modified_time),
            self.reference(py, &row.reference)?,
            text(&row.correlation_id),
            user1.clone(),
            self.user(py, &row.user2)?,
            text(&row.user1_endpoint_id),
            text(&row.user2_endpoint_id),
            self.user(py, &row.target_user)?,
            if row.started_by_user1 { user1 } else { none(py) },
            self.user(py, &row.on_behalf_of)?,
            self.user(py, &row.referred_by)?,
            self.name(py, &row.server),
            self.name(py, &row.pool),
            self.name(py, &row.content_type),
            self.client(py, row.user1_client.as_deref())?,
            self.client(py, row.user2_client.as_deref())?,
            self.name(py, &row.user1_edge_server),
            self.name(py, &row.user2_edge_server),
            perhaps(row.is_user1_internal.map(i64::from)),
            perhaps(row.is_user2_internal.map(i64::from)),
            perhaps(row.response_time),
            perhaps(row.response_code.map(i64::from)),
            perhaps(row.diagnostic_id),
            number(row.call_priority.into()),
            number(row.user1_message_count),
            number(row.user2_message_count),
            perhaps(row.session_end_time),
            number(row.media.types().into()),
            PyTuple::new(py, media)?.into_any(),
            number(row.user1_flag.into()),
            number(row.user2_flag.into()),
            number(row.call_flag.into()),
        ];
        self.session_details.bind(py).call1(PyTuple::new(py, values)?)
    }

    fn reference<'py>(&self, py: Python<'py>, reference: &Option<Reference>) -> PyResult<Bound<'py, PyAny>> {
        let Some(reference) = reference else { return Ok(none(py)) };
        let tags = (PyBytes::new(py, &reference.tags.0), PyBytes::new(py, &reference.tags.1));
        self.reference.bind(py).call1((PyBytes::new(py, &reference.call_id), tags))
    }

    fn user<'py>(&mut self, py: Python<'py>, user: &Option<User>) -> PyResult<Bound<'py, PyAny>> {
        let Some(user) = user else { return Ok(none(py)) };
        let place = usize::from(user.uri_type != 0);
        if let Some(Some(known)) = self.users.get(&user.uri).map(|of_type| &of_type[place]) {
            return Ok(known.bind(py).clone());
        }
        let made = self.user.bind(py).call1((&user.uri, user.uri_type))?;
        room(&mut self.users).entry(user.uri.clone()).or_default()[place] = Some(made.clone().unbind());
        Ok(made)
    }

    fn client<'py>(&mut self, py: Python<'py>, version: Option<&str>) -> PyResult<Bound<'py, PyAny>> {
        let Some(version) = version else { return Ok(none(py)) };
        if let Some(known) = self.clients.get(version) {
            return Ok(known.bind(py).clone());
        }
        let made = self.client.bind(py).call1((version, client_type(version)))?;
        room(&mut self.clients).insert(version.to_owned(), made.clone().unbind());
        Ok(made)
    }

    fn name<'py>(&mut self, py: Python<'py>, name: &Option<String>) -> Bound<'py, PyAny> {
        let Some(name) = name else { return none(py) };
        if let Some(known) = self.names.get(name) {
            return known.bind(py).clone().into_any();
        }
        let made = PyString::new(py, name);
        room(&mut self.names).insert(name.to_owned(), made.clone().unbind());
        made.into_any()
    }
}

fn none(py: Python<'_>) -> Bound<'_, PyAny> {
    py.None().into_bound(py)
}

fn room<V>(known: &mut HashMap<String, V>) -> &mut HashMap<String, V> {
    if known.len() >= KEPT {
        known.clear();
    }
    known
}

fn rules_of(rules: &Bound<'_, PyAny>) -> PyResult<Rules> {
    let py = rules.py();
    let ignore = rules.getattr("ignore")?;
    let users: Vec<String> = ignore.getattr("users")?.extract()?;
    let patterns: Vec<String> = ignore.getattr("user_agents")?.extract()?;
    let parties = py.import("sipcdr.builder._parties")?;
    let networks = |networks: Bound<'_, PyAny>| -> PyResult<Vec<Network>> {
        let parsed = parties.call_method1("_networks", (networks,))?;
        parsed.try_iter()?.map(|network| network_of(&network?)).collect()
    };
    Ok(Rules {
        t1: rules.getattr("t1")?.extract()?,
        maximum_age: rules.getattr("maximum_age")?.extract()?,
        hosts: rules.getattr("hosts")?.extract()?,
        networks: networks(rules.getattr("networks")?)?,
        ignore: Ignore {
            user_agents: patterns.iter().map(|pattern| Pattern::new(pattern)).collect(),
            addresses: networks(ignore.getattr("addresses")?)?,
            users: users.iter().map(|user| lower(user).into_owned()).collect(),
        },
    })
}

fn network_of(network: &Bound<'_, PyAny>) -> PyResult<Network> {
    let address = |name| -> PyResult<IpAddr> {
        let packed: Vec<u8> = network.getattr(name)?.getattr("packed")?.extract()?;
        match packed.as_slice() {
            [a, b, c, d] => Ok(IpAddr::from([*a, *b, *c, *d])),
            bytes => <[u8; 16]>::try_from(bytes).map(IpAddr::from).map_err(|_| PyValueError::new_err("no address")),
        }
    };
    Ok(Network { address: address("network_address")?, mask: address("netmask")? })
}
