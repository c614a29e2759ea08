//! Twin of `builder/_labels.py`: ids, servers, content and what was replaced.

use sha1::{Digest, Sha1};

use crate::columns::{Row, texts_begin};
use crate::counts::Counts;
use crate::details::Key;
use crate::fact::{ACK, short_tag};
use crate::groups::Message;
use crate::row::{Reference, TagPair};
use crate::syntax::{address, parameter, parameter_of, split_values};
use crate::text::{NAME_LENGTH, fit, is_lower, lower, partition, strip};
use crate::users::{host_of, uri_host, uri_parameters};

/// A UUID's bytes, in the order in which its digits stand.
type Guid = [u8; 16];

/// A UUID with or without hyphens and braces; None if it is none.
fn guid(value: &str) -> Option<Guid> {
    let value = strip(value).trim_matches(['{', '}']);
    let mut made = [0; 16];
    let mut digits = 0;
    for sign in value.bytes().filter(|sign| *sign != b'-') {
        let digit = char::from(sign).to_digit(16)? as u8;
        let byte = made.get_mut(digits / 2)?;
        *byte = *byte << 4 | digit;
        digits += 1;
    }
    (digits == 32).then_some(made)
}

/// In the stored form.
fn written(guid: &Guid) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(36);
    for (number, byte) in guid.iter().enumerate() {
        if matches!(number, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Microsoft's byte order into that of the digits, and back.
fn swapped(mut guid: Guid) -> Guid {
    guid[..4].reverse();
    guid[4..6].reverse();
    guid[6..8].reverse();
    guid
}

fn named(namespace: &Guid, name: &[u8]) -> Guid {
    let mut hash = Sha1::new();
    hash.update(namespace);
    hash.update(name);
    let mut made = [0; 16];
    made.copy_from_slice(&hash.finalize()[..16]);
    made
}

pub fn correlation_id(row: &Row, counts: &mut Counts) -> Option<String> {
    let found = corr_configured(row).or_else(|| corr_ms(row, counts)).or_else(|| corr_session_id(row, counts));
    found.or_else(|| corr_cisco(row, counts)).as_ref().map(written)
}

const URL_NAMESPACE: Guid =
    [0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8];

fn corr_configured(row: &Row) -> Option<Guid> {
    let value = row.first(row.initial(), Key::ConfiguredId)?;
    Some(guid(value).unwrap_or_else(|| {
        let mut made = named(&URL_NAMESPACE, value.as_bytes());
        made[6] = made[6] & 0x0f | 0x50;
        made[8] = made[8] & 0x3f | 0x80;
        made
    }))
}

fn corr_ms(row: &Row, counts: &mut Counts) -> Option<Guid> {
    if !row.has(Key::MsCorrelationId) {
        return None;
    }
    let others = row.messages.iter().filter(|place| row.shape.invites.binary_search(place).is_err());
    let messages = row.initial().chain(others.map(|place| row.shape.message(*place)));
    for message in messages.filter(|message| message.has(Key::MsCorrelationId)) {
        let found = guid(message.header(Key::MsCorrelationId));
        if found.is_some() {
            return found;
        }
        counts.add("malformed Ms-Correlation-Id", 1);
    }
    None
}

fn corr_session_id(row: &Row, counts: &mut Counts) -> Option<Guid> {
    let value = row.first(row.initial(), Key::SessionId)?;
    let found = guid(partition(value, ';').0);
    if found.is_none() {
        counts.add("malformed Session-ID", 1);
    }
    // RFC 7989 section 5: all zeros is the null UUID of a side not known yet.
    found.filter(|guid| *guid != [0; 16])
}

fn corr_cisco(row: &Row, counts: &mut Counts) -> Option<Guid> {
    let value = strip(row.first(row.initial(), Key::CiscoGuid)?);
    let numbers: Vec<Option<u64>> = value.split('-').take(5).map(cisco_number).collect();
    let [Some(a), Some(b), Some(c), Some(d)] = numbers[..] else {
        counts.add("malformed Cisco-Guid", 1);
        return None;
    };
    let mut made = [0; 16];
    for (place, number) in made.chunks_exact_mut(4).zip([a, b, c, d]) {
        place.copy_from_slice(&u32::try_from(number).ok()?.to_be_bytes());
    }
    Some(made)
}

fn cisco_number(digits: &str) -> Option<u64> {
    let sound = (1..=10).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    if sound { digits.parse().ok() } else { None }
}

/// Microsoft's namespace fcacfb03-8a73-46ef-91b1-e5ebeeaba4fe, in its byte order.
const EPID_NAMESPACE: Guid =
    [0x03, 0xfb, 0xac, 0xfc, 0x73, 0x8a, 0xef, 0x46, 0x91, 0xb1, 0xe5, 0xeb, 0xee, 0xab, 0xa4, 0xfe];

/// The GUID of an endpoint id (`endpoint.epid`): name-based SHA-1 over Microsoft's byte order, case kept.
fn epid_guid(epid: &str) -> Guid {
    let mut digest = named(&EPID_NAMESPACE, epid.as_bytes());
    digest[7] = digest[7] & 0x0f | 0x50;
    digest[8] = digest[8] & 0x3f | 0x80;
    swapped(digest)
}

/// The parts of a Contact URI's `opaque` parameter, where the URI is a GRUU: the first three, if there are as many.
fn opaque(contact: &str) -> Option<[&str; 3]> {
    let parameters = uri_parameters(address(contact).0);
    parameter(parameters, "gruu")?;
    let mut parts = parameter(parameters, "opaque")?.split(':');
    Some([parts.next()?, parts.next()?, parts.next()?])
}

/// 16 bytes in base64 of 18, in the alphabet of URLs or the other.
fn decoded(text: &str) -> Option<Guid> {
    let (digits, padding) = text.as_bytes().split_at_checked(24)?;
    if !padding.iter().all(|sign| *sign == b'=') {
        return None;
    }
    let mut bytes = [0; 18];
    for (place, quad) in bytes.chunks_exact_mut(3).zip(digits.chunks_exact(4)) {
        let mut number = 0;
        for sign in quad {
            number = number << 6 | base64_digit(*sign)?;
        }
        place.copy_from_slice(&number.to_be_bytes()[1..]);
    }
    bytes.first_chunk().copied()
}

fn base64_digit(sign: u8) -> Option<u32> {
    Some(
        match sign {
            b'A'..=b'Z' => sign - b'A',
            b'a'..=b'z' => sign - b'a' + 26,
            b'0'..=b'9' => sign - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        }
        .into(),
    )
}

fn endpoint_gruu(contact: &str) -> Option<Guid> {
    let [user, epid, text] = opaque(contact)?;
    if is_lower(user, "user") && is_lower(epid, "epid") { decoded(text).map(swapped) } else { None }
}

fn endpoint_server_gruu(contact: &str) -> Option<Guid> {
    let [server, _, text] = opaque(contact)?;
    if is_lower(server, "srvr") { decoded(text) } else { None }
}

fn endpoint_instance(contact: &str) -> Option<Guid> {
    let (uri, parameters) = address(contact);
    [parameter(parameters, "+sip.instance"), parameter(uri_parameters(uri), "gr")].into_iter().flatten().find_map(
        |value| {
            let urn = lower(strip(value).trim_matches(['<', '>']));
            guid(urn.strip_prefix("urn:uuid:")?)
        },
    )
}

fn endpoint_epid(value: &str) -> Option<Guid> {
    let epid = parameter(address(value).1, "epid")?;
    let sound = !epid.is_empty() && epid.bytes().all(|sign| sign.is_ascii_alphanumeric());
    sound.then(|| epid_guid(epid))
}

type ByContact = (&'static str, fn(&str) -> Option<Guid>);

// Each with what a Contact must have in it, so that most are passed over quickly.
const BY_CONTACT: [ByContact; 3] =
    [("opaque", endpoint_gruu), ("opaque", endpoint_server_gruu), ("urn:uuid:", endpoint_instance)];

/// User1EndpointId, User2EndpointId: the device that a side used.
pub fn endpoint_id(row: &Row, caller: bool) -> Option<String> {
    let found = if caller {
        endpoint(|| row.initial(), row.initial(), Key::From)
    } else {
        let early = || row.responses().filter(|m| m.status < 200 && !m.to_tag.is_empty());
        let messages = || row.success().into_iter().chain(early());
        endpoint(messages, messages().chain(row.initial()), Key::To)
    };
    found.as_ref().map(written)
}

fn endpoint<'s, 'a: 's, M: Iterator<Item = &'s Message<'a>>>(
    messages: impl Fn() -> M,
    mut addressed: impl Iterator<Item = &'s Message<'a>>,
    key: Key,
) -> Option<Guid> {
    let contact = |message: &Message<'a>| message.header(Key::Contact);
    // Each rule reads a parameter.
    let any = messages().map(contact).any(|contact| contact.contains(';'));
    for (mark, rule) in if any { &BY_CONTACT[..] } else { &[] } {
        let found = messages().map(contact).filter(|contact| contact.contains(mark)).find_map(rule);
        if found.is_some() {
            return found;
        }
    }
    addressed.find_map(|message| {
        let value = message.header(key);
        if value.contains("epid") { endpoint_epid(value) } else { None }
    })
}

/// ServerFQDN and PoolFQDN.
type Place = (String, Option<String>);

pub fn server(row: &Row) -> Option<Place> {
    let route = RecordRoute::of(row);
    (if row.has(Key::Machine) { server_trace(row) } else { None })
        .or_else(|| if row.has(Key::FrontEnd) { server_ms_fe(&route) } else { None })
        .or_else(|| server_configured(row, &route))
        .or_else(|| route.host().map(|host| (host.clone(), Some(host))))
        .or_else(|| server_auth_target(row))
}

fn server_trace(row: &Row) -> Option<Place> {
    let details = row.initial().chain(row.messages()).flat_map(Message::details).find(|d| d.has(Key::Machine))?;
    let pool = lower(details.text(Key::Pool)).into_owned();
    Some((lower(details.text(Key::Machine)).into_owned(), (!pool.is_empty()).then_some(pool)))
}

/// The URI of the last Record-Route: the proxy on the caller's side (RFC 3261 section 16.6 step 4).
struct RecordRoute<'a>(Option<&'a str>);

impl<'a> RecordRoute<'a> {
    /// Tapped at the caller, the INVITE has none yet, but the response has.
    fn of(row: &Row<'_, 'a>) -> Self {
        let found = row.first(row.initial(), Key::RecordRoute).or_else(|| row.first(row.responses(), Key::RecordRoute));
        Self(found.map(|value| address(value).0))
    }

    fn host(&self) -> Option<String> {
        self.0.map(|uri| uri_host(uri).into_owned()).filter(|host| !host.is_empty())
    }
}

fn server_ms_fe(route: &RecordRoute) -> Option<Place> {
    let uri = route.0?;
    let front_end = parameter(uri_parameters(uri), "ms-fe").filter(|name| !name.is_empty())?;
    Some((lower(front_end).into_owned(), Some(uri_host(uri).into_owned())))
}

fn server_configured(row: &Row, route: &RecordRoute) -> Option<Place> {
    let hosts = &row.rules.hosts;
    if hosts.is_empty() {
        return None;
    }
    let earliest = row.initial().next().and_then(|message| message.details().next());
    let addresses =
        earliest.into_iter().flat_map(|details| [details.text(Key::Destination), details.text(Key::Source)]);
    let mut candidates = route.0.map(uri_host).into_iter().chain(addresses.map(host_of));
    candidates.find_map(|host| hosts.get(host.as_ref()).or_else(|| hosts.get(host.trim_matches(['[', ']'])))).cloned()
}

fn server_auth_target(row: &Row) -> Option<Place> {
    let value = lower(row.first(row.messages(), Key::AuthTarget)?);
    let target = value.strip_prefix("sip/").unwrap_or(&value);
    (!target.is_empty()).then(|| (target.to_owned(), None))
}

/// `type/subtype` in lower case; of the parameters only `call-type` is kept (MS-OCER section 3.1.4.1).
fn content_type_of(value: &str) -> Option<String> {
    let (kind, parameters) = partition(value, ';');
    let mut kind = lower(strip(kind)).into_owned();
    let (one, other) = kind.split_once('/')?;
    if one.is_empty() || other.is_empty() || !one.bytes().chain(other.bytes()).all(is_token) {
        return None;
    }
    let call_type = parameters.and_then(|parameters| parameter_of(parameters, "call-type")).unwrap_or("");
    if !call_type.is_empty() {
        kind.push_str(";call-type=");
        kind.push_str(&lower(call_type));
    }
    Some(kind)
}

fn is_token(sign: u8) -> bool {
    matches!(sign, b'a'..=b'z' | b'0'..=b'9') || b"!#$&^_.+*%'`|~-".contains(&sign)
}

fn content<'s, 'a: 's>(mut messages: impl Iterator<Item = &'s Message<'a>>, counts: &mut Counts) -> Option<String> {
    messages.find_map(|message| {
        message.details().filter(|details| details.has(Key::HasBody) && details.has(Key::ContentType)).find_map(
            |details| {
                let kind = content_type_of(details.text(Key::ContentType))?;
                fit(&kind, NAME_LENGTH, "ContentTypes.ContentType", Some(&mut *counts))
                    .map(|fitted| fitted.into_owned())
            },
        )
    })
}

pub fn content_type(row: &Row, counts: &mut Counts) -> Option<String> {
    if !row.has(Key::ContentType) {
        return None;
    }
    content(row.own(), counts)
        .or_else(|| if row.own().any(|m| m.has(Key::HasBody)) { None } else { content_of_answer(row, counts) })
        .or_else(|| content(texts_begin(row), counts))
}

fn content_of_answer(row: &Row, counts: &mut Counts) -> Option<String> {
    let acks = row.inside().filter(|m| m.method == ACK && Some(m.cseq) == row.session().attempt);
    content(row.success().into_iter().chain(acks), counts)
}

/// Two tags without direction. RFC 3891 section 3: `0` stands for an absent tag too.
pub fn pair_of<'a>(one: &'a [u8], other: &'a [u8]) -> TagPair<'a> {
    let one = if one == b"0" { b"" } else { one };
    let other = if other == b"0" { b"" } else { other };
    if one <= other { (one, other) } else { (other, one) }
}

pub fn reference(row: &Row) -> Option<Reference> {
    // Only a 2xx means that something was replaced.
    if !row.has(Key::Replaces) || row.session().success.is_none() {
        return None;
    }
    let message = row.own().find(|message| message.has(Key::Replaces))?;
    reference_of(message.keeping(Key::Replaces)?.replaces.iter())
}

/// The dialog that Replaces headers name (RFC 3891 section 6.1): one header, with one to-tag and one from-tag.
fn reference_of<'a>(values: impl Iterator<Item = &'a str>) -> Option<Reference> {
    let mut elements = values.flat_map(split_values);
    let element = elements.next()?;
    if elements.next().is_some() {
        return None;
    }
    let mut parts = element.split(';');
    let call_id = strip(parts.next()?);
    let mut to_tag = None;
    let mut from_tag = None;
    for item in parts {
        let (name, value) = partition(item, '=');
        let value = strip(value.unwrap_or(""));
        let name = lower(strip(name));
        let known = match name.as_ref() {
            "to-tag" => &mut to_tag,
            "from-tag" => &mut from_tag,
            _ => continue,
        };
        if !value.is_empty() && known.replace(short_tag(value.as_bytes())).is_some() {
            return None;
        }
    }
    let (to_tag, from_tag) = (to_tag?, from_tag?);
    if call_id.is_empty() {
        return None;
    }
    let (one, other) = pair_of(&to_tag, &from_tag);
    Some(Reference { call_id: call_id.as_bytes().to_vec(), tags: (one.to_vec(), other.to_vec()) })
}
