//! Twin of `builder/_call.py`. Facts are kept packed, one behind the other, as `bytes(call)` has them.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::details::Key;
use crate::fact::{ACK, BYE, Fact, INVITE, MESSAGE, countable};
use crate::message::Message;
use crate::msgpack::{self, Damaged, Reader};
use crate::pack::fact_of;
use crate::users::stored_uri_of;

pub const CLASS_SIZE: usize = 256;
pub const SLIM_SIZE: usize = 50_000;
const FORMAT: i64 = 1;
/// Of a packed call: format, Call-ID, capped, facts and slim facts.
const FIELDS: usize = 5;
const CLASSES: usize = 18;
const CAPPED: i64 = (1 << (CLASSES + 1)) - 1;

/// What is kept of a MESSAGE request, or of a 401 or 407 to one, beyond its class's bound.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slim<'a> {
    pub time: i64,
    pub from_tag: &'a [u8],
    pub to_tag: &'a [u8],
    pub cseq: u64,
    pub status: u16,
    pub countable: bool,
    pub from_uri: Cow<'a, str>,
}

impl<'a> Slim<'a> {
    fn of(fact: &Fact<'a>) -> Result<Option<Self>, Damaged> {
        if fact.method != MESSAGE || !matches!(fact.status, 0 | 401 | 407) {
            return Ok(None);
        }
        let details = fact.details()?;
        let same = fact.from_tag == fact.to_tag;
        Ok(Some(Self {
            time: fact.time,
            from_tag: fact.from_tag,
            to_tag: fact.to_tag,
            cseq: fact.cseq,
            status: fact.status,
            countable: fact.status == 0 && countable(details.text(Key::ContentType)),
            from_uri: Cow::Owned(if same { stored_uri_of(details.text(Key::From)) } else { String::new() }),
        }))
    }

    fn write(&self, out: &mut Vec<u8>) {
        msgpack::array(out, 7);
        msgpack::int(out, self.time);
        msgpack::bytes(out, self.from_tag);
        msgpack::bytes(out, self.to_tag);
        msgpack::uint(out, self.cseq);
        msgpack::uint(out, self.status.into());
        msgpack::flag(out, self.countable);
        msgpack::text(out, &self.from_uri);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, Damaged> {
        reader.array_of(7)?;
        Ok(Self {
            time: reader.int()?,
            from_tag: reader.bytes()?,
            to_tag: reader.bytes()?,
            cseq: reader.uint(i64::MAX)?,
            status: reader.uint(699)? as u16,
            countable: reader.flag()?,
            from_uri: Cow::Borrowed(reader.text()?),
        })
    }
}

/// Values packed one behind the other.
#[derive(Clone, Debug, Default)]
struct Packed {
    bytes: Vec<u8>,
    many: usize,
}

impl Packed {
    fn facts(&self) -> Result<Vec<Fact<'_>>, Damaged> {
        let mut reader = Reader::new(&self.bytes);
        (0..self.many).map(|_| Fact::read(&mut reader)).collect()
    }

    fn slims(&self) -> Result<Vec<Slim<'_>>, Damaged> {
        let mut reader = Reader::new(&self.bytes);
        (0..self.many).map(|_| Slim::read(&mut reader)).collect()
    }

    fn push(&mut self, size: usize, write: impl FnOnce(&mut Vec<u8>)) {
        if self.bytes.capacity() - self.bytes.len() < size {
            // Most calls have few facts: room for twice as many would be half the memory.
            self.bytes.reserve_exact(size + self.bytes.len() / 4);
        }
        self.many += 1;
        write(&mut self.bytes);
    }

    fn append(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes);
        self.many += other.many;
    }

    fn of_facts(facts: &[Fact<'_>]) -> Self {
        let mut bytes = Vec::new();
        facts.iter().for_each(|fact| fact.write(&mut bytes));
        bytes.shrink_to_fit();
        Self { bytes, many: facts.len() }
    }

    fn of_slims(slims: &[Slim<'_>]) -> Self {
        let mut bytes = Vec::new();
        slims.iter().for_each(|slim| slim.write(&mut bytes));
        bytes.shrink_to_fit();
        Self { bytes, many: slims.len() }
    }
}

/// What few calls have.
#[derive(Clone, Debug)]
struct More {
    slims: Packed,
    capped: u32,
    /// How many facts there may be before they are normalised.
    bound: usize,
}

impl Default for More {
    fn default() -> Self {
        Self { slims: Packed::default(), capped: 0, bound: 2 * CLASS_SIZE }
    }
}

/// The facts of one Call-ID, which its owner knows.
#[derive(Clone, Debug)]
pub struct Call {
    facts: Packed,
    more: Option<Box<More>>,
    /// Of the last fact.
    last: i64,
    /// The facts are in their order, each once, within the bounds.
    normal: bool,
    /// Bytes that the facts take of the messages that were added.
    pub size: usize,
    /// One of them ends a session.
    pub ended: bool,
}

impl Default for Call {
    fn default() -> Self {
        Self { facts: Packed::default(), more: None, last: i64::MIN, normal: true, size: 0, ended: false }
    }
}

impl Call {
    /// Put a message's fact in, and return the bytes of memory that it takes; 0 if it is none that a rule reads.
    pub fn add(
        &mut self,
        message: &Message,
        correlation_header: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Result<usize, Damaged> {
        let size = fact_of(message, correlation_header, scratch, |fact| {
            let size = fact.size();
            self.facts.push(size, |bytes| fact.write(bytes));
            self.normal &= fact.time > self.last && self.facts.many <= CLASS_SIZE && self.more.is_none();
            self.last = fact.time;
            self.size += size;
            self.ended = self.ended || ends(&fact);
            size
        });
        if self.facts.many > self.more.as_ref().map_or(2 * CLASS_SIZE, |more| more.bound) {
            self.normalise()?;
            let facts = self.facts.many;
            let more = self.more.get_or_insert_default();
            // Sorting many slim facts for a few new ones would cost more than keeping these for a while.
            more.bound = (2 * CLASS_SIZE).max(2 * facts).max(facts + more.slims.many / 16);
        }
        Ok(size.unwrap_or(0))
    }

    /// The union of two sets of one Call-ID.
    pub fn join(&self, other: &Self) -> Result<Self, Damaged> {
        let mut joined = Self::default();
        for call in [self, other] {
            joined.facts.append(&call.facts);
            if let Some(more) = &call.more {
                let joined = joined.more.get_or_insert_default();
                joined.slims.append(&more.slims);
                joined.capped |= more.capped;
            }
        }
        joined.normal = false;
        joined.normalise()?;
        Ok(joined)
    }

    /// Sort, drop equals, and apply the bounds: what follows here wants it done.
    pub fn normalise(&mut self) -> Result<(), Damaged> {
        if self.normal {
            return Ok(());
        }
        let mut facts = self.facts.facts()?;
        let sorted = facts.is_sorted_by(|one, next| one < next);
        if !sorted {
            facts.sort_unstable();
            facts.dedup();
        }
        let mut capped = self.capped();
        let mut dropped = Vec::new();
        let bounded = facts.len() > CLASS_SIZE;
        if bounded {
            (facts, dropped) = first_of_each_class(facts, &mut capped)?;
        }
        if let Some(more) = &self.more {
            dropped.extend(more.slims.slims()?);
        }
        let slims = if dropped.is_empty() { dropped } else { first_slims(dropped, &facts, &mut capped)? };
        let slims = Packed::of_slims(&slims);
        self.last = facts.last().map_or(i64::MIN, |fact| fact.time);
        if !sorted || bounded {
            self.facts = Packed::of_facts(&facts);
        }
        if capped != 0 || slims.many != 0 || self.more.is_some() {
            let more = self.more.get_or_insert_default();
            more.slims = slims;
            more.capped = capped;
        }
        self.normal = true;
        Ok(())
    }

    /// The facts in their order, each once, within the bounds.
    pub fn facts(&self) -> Result<Vec<Fact<'_>>, Damaged> {
        self.facts.facts()
    }

    /// The slim facts in their order, without those whose full fact is kept.
    pub fn slims(&self) -> Result<Vec<Slim<'_>>, Damaged> {
        self.more.as_ref().map_or(Ok(Vec::new()), |more| more.slims.slims())
    }

    /// One bit a class of facts that has lost some, in the order of classes; the last bit is the slim facts'.
    pub fn capped(&self) -> u32 {
        self.more.as_ref().map_or(0, |more| more.capped)
    }

    /// Time of the earliest fact.
    pub fn first_time(&self) -> Result<Option<i64>, Damaged> {
        if self.facts.many == 0 {
            return Ok(None);
        }
        Ok(Some(Fact::read(&mut Reader::new(&self.facts.bytes))?.time))
    }

    /// Time of the latest fact.
    pub fn last_time(&self) -> Result<Option<i64>, Damaged> {
        if self.facts.many == 0 {
            return Ok(None);
        }
        Ok(Some(self.slims()?.last().map_or(self.last, |slim| slim.time.max(self.last))))
    }

    pub fn to_bytes(&self, call_id: &[u8]) -> Vec<u8> {
        let slims = self.more.as_ref().map(|more| &more.slims);
        let size = call_id.len() + self.facts.bytes.len() + slims.map_or(0, |slims| slims.bytes.len());
        let mut out = Vec::with_capacity(size + 24);
        msgpack::array(&mut out, FIELDS);
        msgpack::int(&mut out, FORMAT);
        msgpack::bytes(&mut out, call_id);
        msgpack::uint(&mut out, self.capped().into());
        msgpack::array(&mut out, self.facts.many);
        out.extend_from_slice(&self.facts.bytes);
        msgpack::array(&mut out, slims.map_or(0, |slims| slims.many));
        out.extend_from_slice(slims.map_or(&[], |slims| &slims.bytes));
        out
    }

    /// A call and its Call-ID.
    pub fn from_bytes(data: &[u8]) -> Result<(&[u8], Self), Damaged> {
        let (format, call_id, call) = Self::read(data).map_err(|error| error.within("stored facts don't decode"))?;
        if format != FORMAT {
            return Err(Damaged(format!("stored facts are of format {format}, this version reads {FORMAT}")));
        }
        for fact in call.facts()? {
            fact.details()?;
        }
        Ok((call_id, call))
    }

    fn read(data: &[u8]) -> Result<(i64, &[u8], Self), Damaged> {
        let mut reader = Reader::new(data);
        let many = reader.array()?;
        if many < FIELDS {
            return Err(Damaged(format!("Expected `array` of at least length {FIELDS}, got {many}")));
        }
        let format = reader.int()?;
        let call_id = reader.bytes()?;
        let mut call = Self::default();
        let capped = reader.uint(CAPPED)? as u32;
        // Whatever was packed, the shortest form is kept: what is equal must be equal bytes.
        for _ in 0..reader.array()? {
            let fact = Fact::read(&mut reader)?;
            call.last = fact.time;
            call.facts.push(fact.size(), |bytes| fact.write(bytes));
        }
        call.facts.bytes.shrink_to_fit();
        let mut slims = Packed::default();
        for _ in 0..reader.array()? {
            let slim = Slim::read(&mut reader)?;
            slims.push(0, |bytes| slim.write(bytes));
        }
        for _ in FIELDS..many {
            reader.skip()?; // a newer format's
        }
        reader.end()?;
        if capped != 0 || slims.many != 0 {
            call.more = Some(Box::new(More { slims, capped, ..More::default() }));
        }
        call.normal = false;
        Ok((format, call_id, call))
    }
}

/// Whether a message ends a session: BYE, a final response from 300 on but 401 and 407, a final one to a MESSAGE.
fn ends(fact: &Fact<'_>) -> bool {
    match (fact.method, fact.status) {
        (BYE, _) => true,
        (MESSAGE, status) => status >= 200,
        (_, status) => status >= 300 && status != 401 && status != 407,
    }
}

type Bounded<'a> = (Vec<Fact<'a>>, Vec<Slim<'a>>);

fn first_of_each_class<'a>(facts: Vec<Fact<'a>>, capped: &mut u32) -> Result<Bounded<'a>, Damaged> {
    let mut kept = Vec::with_capacity(facts.len());
    let mut dropped = Vec::new();
    let mut sizes = [0; CLASSES];
    for fact in facts {
        let number = class_of(&fact);
        if sizes[number] < CLASS_SIZE {
            sizes[number] += 1;
            kept.push(fact);
        } else {
            *capped |= 1 << number;
            dropped.extend(Slim::of(&fact)?);
        }
    }
    Ok((kept, dropped))
}

fn first_slims<'a>(mut union: Vec<Slim<'a>>, facts: &[Fact<'a>], capped: &mut u32) -> Result<Vec<Slim<'a>>, Damaged> {
    let mut whole = HashSet::new();
    for fact in facts {
        whole.extend(Slim::of(fact)?);
    }
    union.extend(whole.iter().cloned());
    union.sort_unstable();
    union.dedup();
    if union.len() > SLIM_SIZE {
        *capped |= 1 << CLASSES;
        union.truncate(SLIM_SIZE);
    }
    union.retain(|slim| !whole.contains(slim));
    Ok(union)
}

/// The class of a fact for the bounds: 5 of INVITE, ACK, and two of each other method (derivations.md 2.2).
fn class_of(fact: &Fact<'_>) -> usize {
    match (fact.method, fact.status) {
        (INVITE, 0) => usize::from(!fact.to_tag.is_empty()),
        (INVITE, ..200) => 2,
        (INVITE, 200..300) => 3,
        (INVITE, 300..) => 4,
        (ACK, _) => 5,
        (method, status) => 2 * (usize::from(method) + 1) + usize::from(status != 0),
    }
}
