//! Twin of `builder/_row.py`, which says what each field means. Texts borrow from the facts where they stand there as
//! they are stored.

use std::borrow::Cow;

use crate::media::Media;
use crate::users::User;

/// Two dialog tags without direction: the lesser one (as bytes) first.
pub type TagPair<'a> = (&'a [u8], &'a [u8]);

#[derive(Debug, PartialEq, Eq)]
pub struct Reference {
    pub call_id: Vec<u8>,
    pub tags: (Vec<u8>, Vec<u8>),
}

/// All but the Call-ID, which is the call's.
#[derive(Debug)]
pub struct SessionDetails<'a> {
    pub caller_tag: &'a [u8],
    pub callee_tag: &'a [u8],
    pub external_id: Vec<u8>,
    pub pairs: Vec<TagPair<'a>>,
    pub reference: Option<Reference>,
    pub correlation_id: Option<String>,
    pub user1: Option<User>,
    pub user2: Option<User>,
    pub user1_endpoint_id: Option<String>,
    pub user2_endpoint_id: Option<String>,
    pub target_user: Option<User>,
    /// `session_started_by` is user1.
    pub started_by_user1: bool,
    pub on_behalf_of: Option<User>,
    pub referred_by: Option<User>,
    pub server: Option<String>,
    pub pool: Option<String>,
    pub content_type: Option<String>,
    /// The version of the client; its type is what `agents::client_type` says of that.
    pub user1_client: Option<Cow<'a, str>>,
    pub user2_client: Option<Cow<'a, str>>,
    pub user1_edge_server: Option<String>,
    pub user2_edge_server: Option<String>,
    pub is_user1_internal: Option<bool>,
    pub is_user2_internal: Option<bool>,
    pub invite_time: i64,
    pub response_time: Option<i64>,
    pub response_code: Option<u16>,
    pub diagnostic_id: Option<i64>,
    pub call_priority: u8,
    pub user1_message_count: i64,
    pub user2_message_count: i64,
    pub session_end_time: Option<i64>,
    pub media: Media,
    pub user1_flag: u8,
    pub user2_flag: u8,
    pub call_flag: u8,
    pub last_modified_time: i64,
}
