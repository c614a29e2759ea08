//! Twin of `builder/_agents.py`: the type that UserAgentDef gives a client.

use crate::text::{is_space, lower};

/// UserAgentDef's UAName in lower case to its UAType, in the order of names.
const UA_TYPES: [(&str, u16); 39] = [
    ("androidlync", 16400),
    ("aoc", 16407),
    ("applicationsharing", 16397),
    ("archivingagent", 16395),
    ("attendant", 128),
    ("av-mcu", 2),
    ("call_park_service_1.0", 1032),
    ("como", 16386),
    ("comosvc", 16389),
    ("conference_auto_attendant_1.0", 512),
    ("conferencing_announcement_service_1.0", 256),
    ("conferencing_attendant_1.0", 512),
    ("cwa", 16387),
    ("dvt", 32),
    ("gateway", 32769),
    ("gatewaymediationserverpair", 32770),
    ("gcc", 16408),
    ("immcu", 16409),
    ("inboundrouting", 16388),
    ("ipadlync", 16401),
    ("iphonelync", 16399),
    ("lmc", 16),
    ("lwa", 16405),
    ("lyncimm", 16403),
    ("mc", 64),
    ("mediationserver", 1),
    ("microsoft.rtc.applications.ccs", 2048),
    ("mm", 64),
    ("msexchangeum", 16393),
    ("nokialync", 16402),
    ("oc", 4),
    ("ocphone", 8),
    ("owa", 16406),
    ("pcs", 16404),
    ("response_group_service", 1024),
    ("response_group_service announcement_service", 1040),
    ("st", 16396),
    ("wplync", 16398),
    ("xmpptgw", 16410),
];

fn ua_type(name: &str) -> Option<u16> {
    UA_TYPES.binary_search_by_key(&name, |(known, _)| known).ok().map(|place| UA_TYPES[place].1)
}

/// The UAType of the first product name or comment word that UserAgentDef lists.
pub fn client_type(version: &str) -> Option<u16> {
    let version = lower(version);
    let mut rest = version.as_ref();
    let mut previous = "";
    loop {
        rest = rest.trim_start_matches(|sign| is_space(sign) || sign == ')');
        let found;
        if let Some(behind) = rest.strip_prefix('(') {
            // A comment ends at the next parenthesis, if that closes; else this one is skipped.
            let Some(end) = behind.find(['(', ')']) else {
                rest = behind;
                continue;
            };
            if behind.as_bytes()[end] == b'(' {
                rest = behind;
                continue;
            }
            let comment = &behind[..end];
            rest = &behind[end + 1..];
            if comment.is_empty() {
                found = None;
                previous = "";
            } else {
                found = of_comment(comment);
            }
        } else {
            if rest.is_empty() {
                return None;
            }
            let end = rest.find(|sign| is_space(sign) || sign == '(' || sign == ')').unwrap_or(rest.len());
            let product = &rest[..end];
            rest = &rest[end..];
            let name = product.split('/').next().unwrap_or("");
            found = ua_type(&format!("{previous} {name}"))
                .or_else(|| ua_type(product))
                .or_else(|| ua_type(&product.replace('/', "_")))
                .or_else(|| ua_type(name));
            previous = name;
        }
        if found.is_some() {
            return found;
        }
    }
}

fn of_comment(comment: &str) -> Option<u16> {
    let words: Vec<&str> = comment.split(is_space).filter(|word| !word.is_empty()).collect();
    ua_type(&words.join("_"))
        .or_else(|| ua_type(&words.join(" ")))
        .or_else(|| words.iter().find_map(|word| ua_type(word)))
}

#[cfg(test)]
mod tests {
    use super::UA_TYPES;

    #[test]
    fn names_are_sorted() {
        assert!(UA_TYPES.is_sorted_by_key(|(name, _)| name));
    }
}
