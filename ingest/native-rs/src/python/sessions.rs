//! `sessions`, whose rows are built by calling the classes of `builder/_row.py`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple, PyType};

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
    /// Every field with its default.
    usual: Py<PyDict>,
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
        let session_details = class("SessionDetails")?;
        let usual = PyDict::new(py);
        for field in py.import("msgspec.structs")?.call_method1("fields", (&session_details,))?.try_iter()? {
            let field = field?;
            usual.set_item(field.getattr("name")?, field.getattr("default")?)?;
        }
        Ok(Self {
            user: class("User")?.unbind(),
            client: class("Client")?.unbind(),
            media: class("Media")?.unbind(),
            reference: class("Reference")?.unbind(),
            session_details: session_details.unbind(),
            usual: usual.unbind(),
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
        let fields = self.usual.bind(py).copy()?;
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
        fields.set_item(intern!(py, "pairs"), PyTuple::new(py, pairs)?)?;
        fields.set_item(intern!(py, "caller_tag"), &caller_tag)?;
        fields.set_item(intern!(py, "callee_tag"), &callee_tag)?;
        fields.set_item(intern!(py, "call_id"), call_id)?;
        fields.set_item(intern!(py, "external_id"), PyBytes::new(py, &row.external_id))?;
        if let Some(reference) = &row.reference {
            fields.set_item(intern!(py, "reference"), self.reference(py, reference)?)?;
        }
        for (name, value) in [
            (intern!(py, "correlation_id"), &row.correlation_id),
            (intern!(py, "user1_endpoint_id"), &row.user1_endpoint_id),
            (intern!(py, "user2_endpoint_id"), &row.user2_endpoint_id),
        ] {
            if let Some(value) = value {
                fields.set_item(name, value)?;
            }
        }
        if let Some(user) = &row.user1 {
            let user = self.user(py, user)?;
            fields.set_item(intern!(py, "user1"), &user)?;
            if row.started_by_user1 {
                fields.set_item(intern!(py, "session_started_by"), user)?;
            }
        }
        for (name, value) in [
            (intern!(py, "user2"), &row.user2),
            (intern!(py, "target_user"), &row.target_user),
            (intern!(py, "on_behalf_of"), &row.on_behalf_of),
            (intern!(py, "referred_by"), &row.referred_by),
        ] {
            if let Some(user) = value {
                fields.set_item(name, self.user(py, user)?)?;
            }
        }
        for (name, value) in [
            (intern!(py, "server"), &row.server),
            (intern!(py, "pool"), &row.pool),
            (intern!(py, "content_type"), &row.content_type),
            (intern!(py, "user1_edge_server"), &row.user1_edge_server),
            (intern!(py, "user2_edge_server"), &row.user2_edge_server),
        ] {
            if let Some(value) = value {
                fields.set_item(name, self.name(py, value))?;
            }
        }
        for (name, value) in
            [(intern!(py, "user1_client"), &row.user1_client), (intern!(py, "user2_client"), &row.user2_client)]
        {
            if let Some(version) = value {
                fields.set_item(name, self.client(py, version)?)?;
            }
        }
        for (name, value) in [
            (intern!(py, "is_user1_internal"), row.is_user1_internal.map(i64::from)),
            (intern!(py, "is_user2_internal"), row.is_user2_internal.map(i64::from)),
            (intern!(py, "invite_time"), Some(row.invite_time)),
            (intern!(py, "response_time"), row.response_time),
            (intern!(py, "response_code"), row.response_code.map(i64::from)),
            (intern!(py, "diagnostic_id"), row.diagnostic_id),
            (intern!(py, "session_end_time"), row.session_end_time),
            (intern!(py, "last_modified_time"), Some(row.last_modified_time)),
        ] {
            if let Some(number) = value {
                fields.set_item(name, number)?;
            }
        }
        for (name, number) in [
            (intern!(py, "call_priority"), row.call_priority.into()),
            (intern!(py, "user1_message_count"), row.user1_message_count),
            (intern!(py, "user2_message_count"), row.user2_message_count),
            (intern!(py, "media_types"), row.media.types().into()),
            (intern!(py, "user1_flag"), row.user1_flag.into()),
            (intern!(py, "user2_flag"), row.user2_flag.into()),
            (intern!(py, "call_flag"), row.call_flag.into()),
        ] {
            if number != 0 {
                fields.set_item(name, number)?;
            }
        }
        if row.media.types() != 0 {
            let media =
                row.media.each().map(|medium| self.media.bind(py).call1(medium)).collect::<PyResult<Vec<_>>>()?;
            fields.set_item(intern!(py, "media"), PyTuple::new(py, media)?)?;
        }
        self.session_details.bind(py).call((), Some(&fields))
    }

    fn reference<'py>(&self, py: Python<'py>, reference: &Reference) -> PyResult<Bound<'py, PyAny>> {
        let tags = (PyBytes::new(py, &reference.tags.0), PyBytes::new(py, &reference.tags.1));
        self.reference.bind(py).call1((PyBytes::new(py, &reference.call_id), tags))
    }

    fn user<'py>(&mut self, py: Python<'py>, user: &User) -> PyResult<Bound<'py, PyAny>> {
        let place = usize::from(user.uri_type != 0);
        if let Some(Some(known)) = self.users.get(&user.uri).map(|of_type| &of_type[place]) {
            return Ok(known.bind(py).clone());
        }
        let made = self.user.bind(py).call1((&user.uri, user.uri_type))?;
        room(&mut self.users).entry(user.uri.clone()).or_default()[place] = Some(made.clone().unbind());
        Ok(made)
    }

    fn client<'py>(&mut self, py: Python<'py>, version: &str) -> PyResult<Bound<'py, PyAny>> {
        if let Some(known) = self.clients.get(version) {
            return Ok(known.bind(py).clone());
        }
        let made = self.client.bind(py).call1((version, client_type(version)))?;
        room(&mut self.clients).insert(version.to_owned(), made.clone().unbind());
        Ok(made)
    }

    fn name<'py>(&mut self, py: Python<'py>, name: &str) -> Bound<'py, PyString> {
        if let Some(known) = self.names.get(name) {
            return known.bind(py).clone();
        }
        let made = PyString::new(py, name);
        room(&mut self.names).insert(name.to_owned(), made.clone().unbind());
        made
    }
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
