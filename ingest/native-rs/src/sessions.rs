//! Twin of `builder/_sessions.py`: the derivation, one pure function of a call's facts.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use crate::call::Slim;
use crate::columns::{self, Row};
use crate::counts::Counts;
use crate::details::{Details, Key};
use crate::dialogs::{Session, Shape};
use crate::fact::{Fact, hex};
use crate::groups::{Source, generations, uris_of};
use crate::ignore::ignored;
use crate::labels;
use crate::media::media_of;
use crate::msgpack::Damaged;
use crate::parties;
use crate::row::{SessionDetails, TagPair};
use crate::rules::Rules;
use crate::text::{NAME_LENGTH, fit, lower};

/// Bytes of Dialogs.ExternalId.
const EXTERNAL_ID_LENGTH: usize = 775;

/// Give each row of a call to `take`, in the order of (InviteTime, ExternalId).
pub fn sessions(
    call_id: &[u8],
    facts: &[Fact],
    slims: &[Slim],
    rules: &Rules,
    counts: &mut Counts,
    mut take: impl FnMut(&SessionDetails),
) -> Result<(), Damaged> {
    let mut details = vec![Details::default(); facts.len()];
    for (fact, details) in facts.iter().zip(&mut details) {
        fact.details_into(details)?;
    }
    let uris = uris_of(facts, &details);
    let (generations, unopened) = generations(Source { facts, details: &details, uris: &uris, slims }, rules);
    if unopened != 0 {
        counts.add("group without an opening message", unopened);
    }
    let shapes: Vec<Shape> = generations.iter().map(Shape::new).collect();
    let strays = shapes.iter().map(|shape| shape.strays).sum();
    if strays != 0 {
        counts.add("stray in-dialog messages", strays);
    }
    let mut found = Vec::new();
    for shape in &shapes {
        for number in 0..shape.rows.len() {
            if let Some(row) = Row::new(shape, number, rules) {
                let external_id = [call_id, shape.generation.caller, callee_tag(&row)].join(&b';');
                found.push((row.start.time, external_id, row));
            }
        }
    }
    found.sort_by(|(time, external_id, _), (other_time, other_id, _)| (time, external_id).cmp(&(other_time, other_id)));
    let mut taken = HashSet::new();
    let single = found.len() == 1;
    for (_, external_id, row) in found {
        let external_id = if single { cut(external_id) } else { unique(external_id, row.start.time, &mut taken) };
        if is_conference(&row) {
            counts.add("conference legs", 1);
            continue;
        }
        let details = columns_of(&row, external_id, counts);
        match ignored(&row, &details) {
            Some(why) => counts.add(format!("ignored by {why}"), 1),
            None => take(&details),
        }
    }
    Ok(())
}

/// The callee's part of ExternalId (step 15).
fn callee_tag<'a>(row: &Row<'_, 'a>) -> &'a [u8] {
    let session: &Session = row.session();
    if row.shape.page_mode {
        return b"";
    }
    if let Some(tag) = session.tag {
        return tag;
    }
    let tagged = |tag: &&[u8]| !tag.is_empty();
    let of_final = row.final_response().map(|message| message.to_tag).filter(tagged);
    of_final
        .or_else(|| row.responses().filter(|message| message.status < 200).map(|message| message.to_tag).find(tagged))
        .or_else(|| row.inside().map(|message| message.other).find(tagged))
        .unwrap_or(b"")
}

/// Step 16: a later generation's text ends in its InviteTime.
fn unique(external_id: Vec<u8>, invite_time: i64, taken: &mut HashSet<Vec<u8>>) -> Vec<u8> {
    let mut unique = external_id.clone();
    let mut number = i128::from(invite_time);
    while taken.contains(&unique) {
        unique.clone_from(&external_id);
        unique.extend_from_slice(format!(";{number}").as_bytes());
        number += 1;
    }
    taken.insert(unique.clone());
    cut(unique)
}

fn cut(mut external_id: Vec<u8>) -> Vec<u8> {
    if external_id.len() > EXTERNAL_ID_LENGTH {
        let digest = hex(&Sha256::digest(&external_id));
        external_id.truncate(700);
        external_id.push(b'~');
        external_id.extend_from_slice(digest.as_bytes());
    }
    external_id
}

/// MS-SIPRE section 2.2.3: the focus and its MCUs are addressed by a GRUU of a conference.
fn is_conference(row: &Row) -> bool {
    let to = row.start.header(Key::To);
    // Most have no such sign.
    row.start.has(Key::Conference) || (to.contains(':') && lower(to).contains("opaque=app:conf:"))
}

/// Step 17: the tag pairs that the row answers to.
fn pairs<'a>(row: &Row<'_, 'a>, caller: &'a [u8], callee: &'a [u8]) -> Vec<TagPair<'a>> {
    let mut pairs = vec![labels::pair_of(caller, callee)];
    let shape = row.shape;
    if shape.rows.len() == 1 {
        for message in shape.each(&shape.responses).chain(row.cancels()).chain(row.inside()) {
            let pair = labels::pair_of(caller, message.other);
            if !message.other.is_empty() && pairs.last() != Some(&pair) {
                pairs.push(pair);
            }
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// All columns of a row.
fn columns_of<'a>(row: &Row<'_, 'a>, external_id: Vec<u8>, counts: &mut Counts) -> SessionDetails<'a> {
    let caller = row.shape.generation.caller;
    let callee = callee_tag(row);
    let invite_time = row.start.time;
    let (response_time, response_code) = columns::response(row);
    if response_time.is_some_and(|response_time| response_time < invite_time) {
        counts.add("response before its INVITE", 1);
    }
    let session_end_time = columns::end_time(row);
    if let (Some(end_time), Some(response_time)) = (session_end_time, response_time)
        && end_time < response_time
    {
        counts.add("end before its response", 1);
    }
    let (server, pool) = labels::server(row).unwrap_or_default();
    let mut name =
        |value: &str, column| fit(value, NAME_LENGTH, column, Some(&mut *counts)).map(|name| name.into_owned());
    let server = name(&server, "Servers.ServerFQDN");
    let pool = name(&pool.unwrap_or_default(), "Pools.PoolFQDN");
    let (user1_message_count, user2_message_count) = columns::message_counts(row);
    SessionDetails {
        caller_tag: caller,
        callee_tag: callee,
        external_id,
        pairs: pairs(row, caller, callee),
        reference: labels::reference(row),
        correlation_id: labels::correlation_id(row, counts),
        user1: parties::user1(row, counts),
        user2: parties::user2(row, counts),
        user1_endpoint_id: labels::endpoint_id(row, true),
        user2_endpoint_id: labels::endpoint_id(row, false),
        target_user: parties::target_user(row, counts),
        started_by_user1: parties::started_by_user1(row),
        on_behalf_of: parties::on_behalf_of(row, counts),
        referred_by: parties::referred_by(row, counts),
        server,
        pool,
        content_type: labels::content_type(row, counts),
        user1_client: parties::user1_client(row, counts),
        user2_client: parties::user2_client(row, counts),
        user1_edge_server: parties::edge_server(row, true, counts),
        user2_edge_server: parties::edge_server(row, false, counts),
        is_user1_internal: parties::is_internal(row, true),
        is_user2_internal: parties::is_internal(row, false),
        invite_time,
        response_time,
        response_code,
        diagnostic_id: columns::diagnostic_id(row, counts),
        call_priority: columns::call_priority(row),
        user1_message_count,
        user2_message_count,
        session_end_time,
        media: media_of(row),
        user1_flag: columns::user_flag(row, true),
        user2_flag: columns::user_flag(row, false),
        call_flag: columns::call_flag(row),
        last_modified_time: columns::last_modified_time(row),
    }
}
