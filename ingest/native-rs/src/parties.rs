//! Twin of `builder/_parties.py`: the two sides of a session and who else has to do with it.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::columns::Row;
use crate::counts::Counts;
use crate::details::Key;
use crate::fact::{CANCEL, INVITE};
use crate::groups::Message;
use crate::rules::Network;
use crate::syntax::{parameter_of, split_values};
use crate::text::{NAME_LENGTH, fit, is_lower, is_space, lower, lstrip};
use crate::users::{User, host_of, user_of, user_part};

const COLUMN: &str = "Users.UserUri";

fn user<'s, 'a: 's>(
    mut messages: impl Iterator<Item = &'s Message<'a>>,
    key: Key,
    counts: &mut Counts,
) -> Option<User> {
    messages.find_map(|message| {
        let value = message.header(key);
        if value.is_empty() { None } else { user_of(value, COLUMN, Some(&mut *counts)) }
    })
}

/// The initial INVITE, else the responses to it: they repeat its From and To (RFC 3261 section 8.2.6.2).
fn invites<'s, 'a>(row: &Row<'s, 'a>) -> impl Iterator<Item = &'s Message<'a>> {
    let places = if row.shape.invites.is_empty() { &row.responses } else { &row.shape.invites };
    row.shape.each(places)
}

/// P-Asserted-Identity (RFC 3325 section 9.1): the first sip or sips value, else the tel value.
fn asserted(value: &str, counts: &mut Counts) -> Option<User> {
    let of = |wanted: &str| {
        split_values(value).find(|element| {
            let uri = element.rsplit('<').next().unwrap_or("");
            lower(lstrip(uri)).starts_with(wanted)
        })
    };
    user_of(of("sip").or_else(|| of("tel"))?, COLUMN, Some(counts))
}

pub fn user1(row: &Row, counts: &mut Counts) -> Option<User> {
    (if row.has(Key::Asserted) { user1_pai(row, counts) } else { None })
        .or_else(|| user(invites(row), Key::From, counts))
        .or_else(|| of_start(row, row.start.from_caller, counts))
}

fn user1_pai(row: &Row, counts: &mut Counts) -> Option<User> {
    let from = user_of(row.first(row.initial(), Key::From)?, COLUMN, None);
    let known =
        |user: User| !matches!(user_part(&user.uri), "" | "anonymous") && !user.uri.contains("anonymous.invalid");
    if from.is_some_and(known) {
        return None;
    }
    asserted(row.first(row.initial(), Key::Asserted)?, counts)
}

/// The caller's address stands in To where the other side sent the request.
fn of_start(row: &Row, from: bool, counts: &mut Counts) -> Option<User> {
    user(std::iter::once(row.start), if from { Key::From } else { Key::To }, counts)
}

pub fn user2(row: &Row, counts: &mut Counts) -> Option<User> {
    (if row.has(Key::Asserted) { user2_answered_as(row, counts) } else { None })
        .or_else(|| user(invites(row), Key::To, counts))
        .or_else(|| of_start(row, !row.start.from_caller, counts))
}

fn user2_answered_as(row: &Row, counts: &mut Counts) -> Option<User> {
    let success = row.success()?;
    let value = success.header(Key::Asserted);
    let answering = if value.is_empty() { None } else { asserted(value, counts) }?;
    let part = user_part(&answering.uri);
    if part.is_empty() {
        return None;
    }
    // Some copy the request's headers back: then it is the caller.
    let same = |key| {
        let value = success.header(key);
        !value.is_empty() && user_of(value, COLUMN, None).is_some_and(|known| user_part(&known.uri) == part)
    };
    if same(Key::From) || same(Key::To) { None } else { Some(answering) }
}

pub fn target_user(row: &Row, counts: &mut Counts) -> Option<User> {
    let start = row.start;
    user(row.initial(), Key::To, counts).or_else(|| user(row.initial(), Key::HistoryInfo, counts)).or_else(|| {
        if row.shape.page_mode || start.method == CANCEL || (start.method == INVITE && start.status != 0) {
            return user(std::iter::once(start), Key::To, counts);
        }
        // The direction of the call is unknown.
        None
    })
}

pub fn on_behalf_of(row: &Row, counts: &mut Counts) -> Option<User> {
    of_initial(row, Key::SessionOnBehalf, counts).or_else(|| of_initial(row, Key::AgentOnBehalf, counts))
}

pub fn referred_by(row: &Row, counts: &mut Counts) -> Option<User> {
    of_initial(row, Key::ReferredBy, counts)
}

fn of_initial(row: &Row, key: Key, counts: &mut Counts) -> Option<User> {
    if row.has(key) { user(row.initial(), key, counts) } else { None }
}

/// `session_started_by` is user1: only the caller sends an initial INVITE, a CANCEL or a page-mode MESSAGE.
pub fn started_by_user1(row: &Row) -> bool {
    !row.shape.attempts.is_empty() || row.shape.page_mode
}

fn requests<'s, 'a>(row: &Row<'s, 'a>, caller: bool) -> impl Iterator<Item = &'s Message<'a>> {
    row.sent(caller).filter(|message| message.status == 0)
}

fn responses<'s, 'a>(row: &Row<'s, 'a>, caller: bool) -> impl Iterator<Item = &'s Message<'a>> {
    row.sent(caller).filter(|message| message.status != 0)
}

fn client<'s, 'a: 's>(
    mut messages: impl Iterator<Item = &'s Message<'a>>,
    key: Key,
    counts: &mut Counts,
) -> Option<Cow<'a, str>> {
    messages.find_map(|message| {
        let value = message.header(key);
        if value.is_empty() { None } else { fit(value, NAME_LENGTH, "ClientVersions.Version", Some(&mut *counts)) }
    })
}

pub fn user1_client<'a>(row: &Row<'_, 'a>, counts: &mut Counts) -> Option<Cow<'a, str>> {
    let by_request = if row.has(Key::UserAgent) {
        client(row.initial().chain(requests(row, true)), Key::UserAgent, counts)
    } else {
        None
    };
    by_request.or_else(|| if row.has(Key::Server) { client(responses(row, true), Key::Server, counts) } else { None })
}

pub fn user2_client<'a>(row: &Row<'_, 'a>, counts: &mut Counts) -> Option<Cow<'a, str>> {
    let answers = || row.success().into_iter().chain(responses(row, false));
    let by_answer = if row.has(Key::UserAgent) {
        client(answers().chain(requests(row, false)), Key::UserAgent, counts)
    } else {
        None
    };
    by_answer.or_else(|| if row.has(Key::Server) { client(answers(), Key::Server, counts) } else { None })
}

/// The edge proxy through which a side's messages came in (MS-SIPRE section 2.2.15).
pub fn edge_server(row: &Row, caller: bool, counts: &mut Counts) -> Option<String> {
    if !row.has(Key::EdgeTrust) {
        return None;
    }
    row.sent(caller).filter(|message| message.has(Key::EdgeTrust)).find_map(|message| {
        let name = lower(parameter_of(message.header(Key::EdgeTrust), "ms-ep-fqdn").unwrap_or(""));
        fit(&name, NAME_LENGTH, "EdgeServers.EdgeServer", Some(&mut *counts)).map(Cow::into_owned)
    })
}

/// IsUser1Internal, IsUser2Internal.
pub fn is_internal(row: &Row, caller: bool) -> Option<bool> {
    if row.has(Key::EdgeTrust) && row.sent(caller).any(|message| message.has(Key::EdgeTrust)) {
        return Some(false);
    }
    let remote = |message: &Message| lower(message.header(Key::LogonData)).contains("remoteuser");
    if row.has(Key::LogonData) && row.sent(!caller).any(remote) {
        return Some(false);
    }
    if row.has(Key::LocationData)
        && let Some(known) = row.sent(caller).find_map(media_location)
    {
        return Some(known);
    }
    if row.has(Key::Source)
        && !row.rules.networks.is_empty()
        && let Some(known) = nearest(row, caller).and_then(|source| inside(source, &row.rules.networks))
    {
        return Some(known);
    }
    let platform = row.sent(caller).next().is_some() && (row.has(Key::FrontEnd) || is_platform(row));
    platform.then_some(true)
}

fn media_location(message: &Message) -> Option<bool> {
    let place = parameter_of(message.header(Key::LocationData), "ms-media-location-type")?;
    match lower(place).as_ref() {
        "intranet" => Some(true),
        "internet" => Some(false),
        _ => None,
    }
}

/// The source address of a side's message where it was seen nearest to that side.
pub fn nearest<'s, 'a>(row: &Row<'s, 'a>, caller: bool) -> Option<&'a str> {
    let mut found: Option<((i64, i64), &str)> = None;
    let mut look = |messages: &mut dyn Iterator<Item = &'s Message<'a>>, sign: i64| {
        for message in messages {
            for (fact, details) in message.sightings().filter(|(_, details)| details.has(Key::Source)) {
                let distance = (sign * i64::from(fact.vias), message.time);
                if found.is_none_or(|(known, _)| distance < known) {
                    found = Some((distance, details.text(Key::Source)));
                }
            }
        }
    };
    if caller {
        if row.shape.invites.is_empty() {
            look(&mut requests(row, true), 1);
        } else {
            look(&mut row.initial(), 1);
        }
    } else {
        // A response gathers no Vias on its way, it loses them: most of them means nearest to its sender.
        let mut tagged = row.responses().filter(|m| !m.to_tag.is_empty() && m.status > 100).peekable();
        if tagged.peek().is_some() {
            look(&mut tagged, -1);
        } else {
            look(&mut requests(row, false), 1);
        }
    }
    found.map(|(_, source)| source)
}

/// Whether `host:port` is in one of the networks; None where the host is no address.
pub fn inside(source: &str, networks: &[Network]) -> Option<bool> {
    let host = host_of(source);
    let host = host.trim_matches(['[', ']']);
    // What stands behind "%" is a zone (RFC 4007), which no network has.
    let address = match host.split_once('%') {
        None => host.parse().ok()?,
        Some((_, zone)) if zone.is_empty() || zone.contains(['%', '/']) => return None,
        Some((address, _)) => IpAddr::V6(address.parse().ok()?),
    };
    Some(networks.iter().any(|network| network.contains(address)))
}

/// Whether any of the row's clients names Microsoft's RTC platform as one of its products.
fn is_platform(row: &Row) -> bool {
    *row.platform.get_or_init(|| {
        [Key::UserAgent, Key::Server].into_iter().filter(|key| row.has(*key)).any(|key| {
            // The same client says the same in most of its messages.
            let mut known = "";
            row.messages().any(|message| {
                let agent = message.header(key);
                agent != std::mem::replace(&mut known, agent) && names_platform(agent)
            })
        })
    })
}

fn names_platform(agent: &str) -> bool {
    agent.split(is_space).filter(|word| word.starts_with(['u', 'U', 'r', 'R'])).any(|word| {
        let name = word.split('/').next().unwrap_or("");
        ["uccapi", "rtc", "rtcc"].into_iter().any(|platform| is_lower(name, platform))
    })
}
