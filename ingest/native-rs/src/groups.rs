//! Twin of `builder/_groups.py`: facts into messages, messages into lineages and generations.

use std::cell::OnceCell;

use crate::call::Slim;
use crate::details::{Details, Key};
use crate::dialogs::over;
use crate::fact::{ACK, BYE, CANCEL, Fact, INFO, INVITE, MESSAGE};
use crate::rules::Rules;
use crate::table::{Set, Table};
use crate::users::stored_uri_of;

/// Whether a method's request or response opens a row.
pub fn opens(method: u8) -> bool {
    matches!(method, INVITE | BYE | CANCEL | MESSAGE | INFO)
}

/// The facts of a call with what they keep. uris: of facts whose tags are equal the stored From URI; empty where no
/// fact has such tags.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub facts: &'a [Fact<'a>],
    pub details: &'a [Details<'a>],
    pub uris: &'a [String],
    pub slims: &'a [Slim<'a>],
}

impl<'a> Source<'a> {
    fn uri(&self, number: usize) -> &'a str {
        self.uris.get(number).map_or("", String::as_str)
    }
}

/// What `Source` needs beside the facts themselves.
pub fn uris_of(facts: &[Fact], details: &[Details]) -> Vec<String> {
    if facts.iter().all(|fact| fact.from_tag != fact.to_tag) {
        return Vec::new();
    }
    facts
        .iter()
        .zip(details)
        .map(
            |(fact, details)| {
                if fact.from_tag == fact.to_tag { stored_uri_of(details.text(Key::From)) } else { String::new() }
            },
        )
        .collect()
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity<'a> {
    method: u8,
    status: u16,
    cseq: u64,
    from_tag: &'a [u8],
    to_tag: &'a [u8],
    uri: &'a str,
}

pub struct Message<'a> {
    source: Source<'a>,
    earliest: usize,
    further: Vec<usize>,
    /// The fields that any of its facts has.
    pub present: u64,
    pub time: i64,
    pub last: i64,
    pub vias: u32,
    pub method: u8,
    pub status: u16,
    pub cseq: u64,
    pub from_tag: &'a [u8],
    pub to_tag: &'a [u8],
    pub other: &'a [u8],
    /// That of its identity.
    pub uri: &'a str,
    pub from_caller: bool,
    pub by_caller: bool,
}

impl<'a> Message<'a> {
    fn new(source: Source<'a>, number: usize, identity: &Identity<'a>, from_caller: bool, other: &'a [u8]) -> Self {
        let fact = &source.facts[number];
        Self {
            source,
            earliest: number,
            further: Vec::new(),
            present: source.details[number].present,
            time: fact.time,
            last: fact.time,
            vias: fact.vias,
            method: fact.method,
            status: fact.status,
            cseq: fact.cseq,
            from_tag: identity.from_tag,
            to_tag: identity.to_tag,
            other,
            uri: identity.uri,
            from_caller,
            by_caller: if fact.status == 0 { from_caller } else { !from_caller },
        }
    }

    fn sighted(&mut self, number: usize) {
        let fact = &self.source.facts[number];
        self.further.push(number);
        self.present |= self.source.details[number].present;
        self.last = fact.time;
        self.vias = self.vias.min(fact.vias);
    }

    /// Its facts and what each keeps, in their order.
    pub fn sightings(&self) -> impl Iterator<Item = (&'a Fact<'a>, &'a Details<'a>)> {
        let source = self.source;
        std::iter::once(self.earliest)
            .chain(self.further.iter().copied())
            .map(move |number| (&source.facts[number], &source.details[number]))
    }

    pub fn details(&self) -> impl Iterator<Item = &'a Details<'a>> {
        self.sightings().map(|(_, details)| details)
    }

    pub fn has(&self, key: Key) -> bool {
        self.present & key.bit() != 0
    }

    /// What the earliest fact that has a field keeps.
    pub fn keeping(&self, key: Key) -> Option<&'a Details<'a>> {
        if self.has(key) { self.details().find(|details| details.has(key)) } else { None }
    }

    /// A kept header: that of the earliest fact that has it, or empty.
    pub fn header(&self, key: Key) -> &'a str {
        self.keeping(key).map_or("", |details| details.text(key))
    }
}

pub struct Generation<'a> {
    pub caller: &'a [u8],
    caller_uri: String,
    first_time: i64,
    pub messages: Vec<Message<'a>>,
    by_identity: Table<Identity<'a>, usize>,
    /// (method, CSeq number) of INVITE and MESSAGE requests without To tag.
    pub initial: Set<(u8, u64)>,
    others: Set<&'a [u8]>,
    has_bye: bool,
    pub slims: Vec<&'a Slim<'a>>,
}

impl<'a> Generation<'a> {
    fn new(caller: &'a [u8], caller_uri: String, first_time: i64) -> Self {
        Self {
            caller,
            caller_uri,
            first_time,
            messages: Vec::new(),
            by_identity: Table::default(),
            initial: Set::default(),
            others: Set::default(),
            has_bye: false,
            slims: Vec::new(),
        }
    }

    pub fn is_caller(&self, from_tag: &[u8], to_tag: &[u8], from_uri: &str) -> bool {
        from_tag == self.caller && (from_tag != to_tag || from_uri == self.caller_uri)
    }

    fn message(&self, identity: &Identity<'a>) -> Option<&Message<'a>> {
        self.by_identity.get(identity).map(|place| &self.messages[*place])
    }

    fn put(&mut self, source: Source<'a>, number: usize, identity: Identity<'a>, from_caller: bool, other: &'a [u8]) {
        let new = self.messages.len();
        let place = *self.by_identity.entry(identity, || new);
        if place != new {
            self.messages[place].sighted(number);
            return;
        }
        let message = Message::new(source, number, &identity, from_caller, other);
        self.others.add(other);
        if message.method == BYE {
            self.has_bye = true;
        } else if message.status == 0 && message.to_tag.is_empty() && matches!(message.method, INVITE | MESSAGE) {
            self.initial.add((message.method, message.cseq));
        }
        self.messages.push(message);
    }
}

/// The generations of a call, group by group, and how many groups have no opening message.
pub fn generations<'a>(source: Source<'a>, rules: &Rules) -> (Vec<Generation<'a>>, u64) {
    let (lineages, orphans) = grouped(source);
    let slims = if source.slims.is_empty() { Table::default() } else { slims_by_group(source, &lineages, &orphans) };
    let slims_of = |home: Home<'a>| slims.get(&home).map_or(&[] as &[&Slim], Vec::as_slice);
    let mut found = Vec::new();
    let mut unopened = 0;
    for (caller, members) in lineages.iter() {
        split(source, members, caller, slims_of(Home::Lineage(caller)), rules, &mut found);
    }
    for (pair, members) in orphans.iter() {
        match orphan_caller(source.facts, members) {
            None => unopened += 1,
            Some(caller) => split(source, members, caller, slims_of(Home::Orphan(pair.0, pair.1)), rules, &mut found),
        }
    }
    (found, unopened)
}

type Lineages<'a> = Table<&'a [u8], Vec<usize>>;
type Orphans<'a> = Table<(&'a [u8], &'a [u8]), Vec<usize>>;

/// Steps 2 to 4: facts of each caller tag, and of each pair of tags whose caller isn't known.
fn grouped(source: Source) -> (Lineages, Orphans) {
    let mut inviting = Set::default();
    let mut messaging = Set::default();
    for fact in source.facts {
        if fact.to_tag.is_empty() {
            match fact.method {
                INVITE | CANCEL => inviting.add(fact.from_tag),
                MESSAGE => messaging.add(fact.from_tag),
                _ => {}
            }
        }
    }
    let homes = Homes { facts: source.facts.iter().collect(), inviting, messaging, answered: OnceCell::new() };
    let mut lineages = Lineages::default();
    let mut orphans = Orphans::default();
    for (number, fact) in source.facts.iter().enumerate() {
        match homes.of(fact.method, fact.from_tag, fact.to_tag) {
            Home::Lineage(caller) => {
                lineages.entry(caller, || Vec::with_capacity(source.facts.len() - number)).push(number)
            }
            Home::Orphan(one, other) => orphans.entry((one, other), Vec::new).push(number),
        }
    }
    (lineages, orphans)
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Home<'a> {
    Lineage(&'a [u8]),
    Orphan(&'a [u8], &'a [u8]),
}

/// Step 4: the lineage (a caller tag) or orphan group (a pair of tags) that a fact belongs to.
struct Homes<'a> {
    facts: Vec<&'a Fact<'a>>,
    inviting: Set<&'a [u8]>,
    messaging: Set<&'a [u8]>,
    answered: OnceCell<Set<(&'a [u8], &'a [u8])>>,
}

impl<'a> Homes<'a> {
    fn of(&self, method: u8, from_tag: &'a [u8], to_tag: &'a [u8]) -> Home<'a> {
        if to_tag.is_empty() && matches!(method, INVITE | CANCEL | MESSAGE) {
            return Home::Lineage(from_tag);
        }
        for callers in [&self.inviting, &self.messaging] {
            if callers.contains(&from_tag) {
                if from_tag != to_tag && callers.contains(&to_tag) && self.reversed(from_tag, to_tag) {
                    return Home::Lineage(to_tag);
                }
                return Home::Lineage(from_tag);
            }
            if callers.contains(&to_tag) {
                return Home::Lineage(to_tag);
            }
        }
        if from_tag <= to_tag { Home::Orphan(from_tag, to_tag) } else { Home::Orphan(to_tag, from_tag) }
    }

    fn reversed(&self, from_tag: &'a [u8], to_tag: &'a [u8]) -> bool {
        let answered = self.answered.get_or_init(|| {
            let mut answered = Set::default();
            for fact in &self.facts {
                if fact.method == INVITE && fact.status > 100 {
                    answered.add((fact.from_tag, fact.to_tag));
                }
            }
            answered
        });
        answered.contains(&(to_tag, from_tag)) && !answered.contains(&(from_tag, to_tag))
    }
}

/// Step 5: From tag of the earliest INVITE fact, else of the earliest request that opens a row, else response.
fn orphan_caller<'a>(facts: &[Fact<'a>], members: &[usize]) -> Option<&'a [u8]> {
    let opening = || members.iter().map(|number| &facts[*number]).filter(|fact| opens(fact.method));
    opening()
        .find(|fact| fact.method == INVITE)
        .or_else(|| opening().find(|fact| fact.status == 0))
        .or_else(|| opening().next())
        .map(|fact| fact.from_tag)
}

/// Step 6: the generations of a group, put behind those of others.
fn split<'a>(
    source: Source<'a>,
    members: &[usize],
    caller: &'a [u8],
    slims: &[&'a Slim<'a>],
    rules: &Rules,
    all: &mut Vec<Generation<'a>>,
) {
    let begin = all.len();
    let same = !source.uris.is_empty()
        && members.iter().any(|number| source.facts[*number].from_tag == source.facts[*number].to_tag);
    let caller_uri = if same { caller_uri(source, members, caller) } else { String::new() };
    let mut waiting = slims.iter().copied().peekable();
    for &number in members {
        let fact = &source.facts[number];
        while all.len() > begin
            && let Some(slim) = waiting.next_if(|slim| slim.time < fact.time)
        {
            put_slim(slim, &mut all[begin..], caller, &caller_uri, rules);
        }
        let (from_tag, to_tag) = (fact.from_tag, fact.to_tag);
        let uri = source.uri(number);
        let from_caller = from_tag == caller && (from_tag != to_tag || uri == caller_uri);
        let other = if from_tag == caller { to_tag } else { from_tag };
        let identity = Identity { method: fact.method, status: fact.status, cseq: fact.cseq, from_tag, to_tag, uri };
        let found = &mut all[begin..];
        match generation_for(fact, &identity, from_caller, other, found, rules) {
            Some(place) => found[place].put(source, number, identity, from_caller, other),
            None => {
                let mut generation = Generation::new(caller, caller_uri.clone(), fact.time);
                if all.len() == begin {
                    generation.messages.reserve(members.len());
                }
                generation.put(source, number, identity, from_caller, other);
                all.push(generation);
            }
        }
    }
    for slim in waiting {
        put_slim(slim, &mut all[begin..], caller, &caller_uri, rules);
    }
}

/// The caller's address, which alone tells the sides apart where both have one tag.
fn caller_uri(source: Source, members: &[usize], caller: &[u8]) -> String {
    members
        .iter()
        .filter(|number| source.facts[**number].from_tag == caller)
        .map(|number| stored_uri_of(source.details[*number].text(Key::From)))
        .find(|uri| !uri.is_empty())
        .unwrap_or_default()
}

/// The place of the generation that takes a fact; None: a new one. The letters are those of step 6.
fn generation_for<'a>(
    fact: &Fact,
    identity: &Identity<'a>,
    from_caller: bool,
    other: &[u8],
    found: &[Generation<'a>],
    rules: &Rules,
) -> Option<usize> {
    let last = found.len().checked_sub(1)?;
    let begins = fact.to_tag.is_empty() && fact.status == 0 && matches!(fact.method, INVITE | MESSAGE);
    if last == 0 && !begins {
        return Some(0);
    }
    let current = &found[last];
    if let Some(place) = copied(identity, fact.time, found, rules) {
        return Some(place); // a: a copy
    }
    if begins {
        // b: an initial request
        if current.message(identity).is_some_and(|message| since(fact.time, message.last) > rules.timeout()) {
            return None;
        }
        // No session is over within 64·T1 of its beginning without a BYE (scenarios.md section M).
        if (current.has_bye || since(fact.time, current.first_time) > rules.timeout())
            && over(current, fact.time, rules)
        {
            return None;
        }
        return Some(last);
    }
    if from_caller && matches!(fact.method, INVITE | ACK | CANCEL | MESSAGE) {
        // c: of an initial request's number
        let initial = (if fact.method == MESSAGE { MESSAGE } else { INVITE }, fact.cseq);
        if let Some(place) = found.iter().rposition(|generation| generation.initial.contains(&initial)) {
            return Some(place);
        }
    }
    Some(of_other(other, found).unwrap_or(last)) // d: of the other side, or e
}

/// The latest generation that holds an identity, where it was first seen there at most T1 before.
fn copied<'a>(identity: &Identity<'a>, time: i64, found: &[Generation<'a>], rules: &Rules) -> Option<usize> {
    let (place, message) = found
        .iter()
        .enumerate()
        .rev()
        .find_map(|(place, generation)| generation.message(identity).map(|message| (place, message)))?;
    (since(time, message.time) <= i128::from(rules.t1)).then_some(place)
}

fn of_other(other: &[u8], found: &[Generation]) -> Option<usize> {
    if other.is_empty() { None } else { found.iter().rposition(|generation| generation.others.contains(&other)) }
}

fn since(time: i64, earlier: i64) -> i128 {
    i128::from(time) - i128::from(earlier)
}

/// Slim facts of each group that full facts have made; others count nowhere.
fn slims_by_group<'a>(
    source: Source<'a>,
    lineages: &Lineages<'a>,
    orphans: &Orphans<'a>,
) -> Table<Home<'a>, Vec<&'a Slim<'a>>> {
    let mut facts = Vec::new();
    let mut inviting = Set::default();
    let mut messaging = Set::default();
    for (caller, members) in lineages.iter() {
        for number in members {
            let fact = &source.facts[*number];
            facts.push(fact);
            if fact.to_tag.is_empty() {
                match fact.method {
                    INVITE | CANCEL => inviting.add(*caller),
                    MESSAGE => messaging.add(*caller),
                    _ => {}
                }
            }
        }
    }
    let homes = Homes { facts, inviting, messaging, answered: OnceCell::new() };
    let mut found: Table<Home, Vec<&Slim>> = Table::default();
    for slim in source.slims {
        let home = homes.of(MESSAGE, slim.from_tag, slim.to_tag);
        let known = match home {
            Home::Lineage(caller) => lineages.contains(&caller),
            Home::Orphan(one, other) => orphans.contains(&(one, other)),
        };
        if known {
            found.entry(home, Vec::new).push(slim);
        }
    }
    found
}

/// Step 6 for a slim fact, which opens nothing: rules a, c, d and e.
fn put_slim<'a>(slim: &'a Slim<'a>, found: &mut [Generation<'a>], caller: &[u8], caller_uri: &str, rules: &Rules) {
    let (from_tag, to_tag) = (slim.from_tag, slim.to_tag);
    let identity =
        Identity { method: MESSAGE, status: slim.status, cseq: slim.cseq, from_tag, to_tag, uri: &slim.from_uri };
    let from_caller = from_tag == caller && (from_tag != to_tag || slim.from_uri == *caller_uri);
    let other = if from_tag == caller { to_tag } else { from_tag };
    let initial = (MESSAGE, slim.cseq);
    let place = copied(&identity, slim.time, found, rules)
        .or_else(|| {
            let begun = || found.iter().rposition(|generation| generation.initial.contains(&initial));
            if from_caller { begun() } else { None }
        })
        .or_else(|| of_other(other, found));
    let chosen = match place {
        Some(place) => found.get_mut(place),
        None => found.last_mut(),
    };
    if let Some(generation) = chosen {
        generation.slims.push(slim);
    }
}
