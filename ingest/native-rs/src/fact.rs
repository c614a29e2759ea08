//! Twin of the first half of `builder/_facts.py`, which says what each field means. Facts are read in place: they borrow
//! their call's bytes.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::details::Details;
use crate::msgpack::{self, Damaged, Reader};
use crate::text::{lower, partition, strip};

pub const INVITE: u8 = 0;
pub const ACK: u8 = 1;
pub const PRACK: u8 = 2;
pub const UPDATE: u8 = 3;
pub const INFO: u8 = 4;
pub const MESSAGE: u8 = 5;
pub const CANCEL: u8 = 6;
pub const BYE: u8 = 7;
/// Methods that are facts, in the order of facts.
pub const METHODS: [&str; 8] = ["INVITE", "ACK", "PRACK", "UPDATE", "INFO", "MESSAGE", "CANCEL", "BYE"];

pub const TAG_SIZE: usize = 128;
/// Bytes of a packed fact beside its details and tags, at the most.
pub(crate) const FRAME: usize = 48;

/// One sighting. The order of the fields is the order of facts; `details` are packed `Details`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fact<'a> {
    pub time: i64,
    pub cseq: u64,
    pub method: u8,
    pub status: u16,
    pub from_tag: &'a [u8],
    pub to_tag: &'a [u8],
    pub vias: u32,
    pub details: &'a [u8],
}

impl<'a> Fact<'a> {
    pub fn write(&self, out: &mut Vec<u8>) {
        msgpack::array(out, 8);
        msgpack::int(out, self.time);
        msgpack::uint(out, self.cseq);
        msgpack::uint(out, self.method.into());
        msgpack::uint(out, self.status.into());
        msgpack::bytes(out, self.from_tag);
        msgpack::bytes(out, self.to_tag);
        msgpack::uint(out, self.vias.into());
        msgpack::bytes(out, self.details);
    }

    /// Bytes that it takes packed, at the most.
    pub fn size(&self) -> usize {
        self.details.len() + self.from_tag.len() + self.to_tag.len() + FRAME
    }

    pub fn read(reader: &mut Reader<'a>) -> Result<Self, Damaged> {
        reader.array_of(8)?;
        Ok(Self {
            time: reader.int()?,
            cseq: reader.uint(i64::MAX)?,
            method: reader.uint(7)? as u8,
            status: reader.uint(699)? as u16,
            from_tag: reader.bytes()?,
            to_tag: reader.bytes()?,
            vias: reader.uint(u32::MAX.into())? as u32,
            details: reader.bytes()?,
        })
    }

    pub fn details(&self) -> Result<Details<'a>, Damaged> {
        let mut details = Details::default();
        self.details_into(&mut details)?;
        Ok(details)
    }

    /// Read its details into some that are empty.
    pub fn details_into(&self, details: &mut Details<'a>) -> Result<(), Damaged> {
        details.read(self.details).map_err(|error| error.within("stored details don't decode"))
    }
}

/// Whether a MESSAGE of that Content-Type is one that somebody wrote (`messages.not_im`).
pub fn countable(content_type: &str) -> bool {
    let kind = lower(strip(partition(content_type, ';').0));
    !matches!(
        kind.as_ref(),
        "application/im-iscomposing+xml" | "message/imdn+xml" | "application/ms-imdn+xml" | "text/x-msmsgsinvite"
    )
}

/// A tag as facts and rows hold it: one longer than 128 bytes is 63 of them, `~` and its SHA-256 in hex.
pub fn short_tag(tag: &[u8]) -> Cow<'_, [u8]> {
    if tag.len() <= TAG_SIZE {
        return Cow::Borrowed(tag);
    }
    let mut made = tag[..63].to_vec();
    made.push(b'~');
    made.extend_from_slice(hex(&Sha256::digest(tag)).as_bytes());
    Cow::Owned(made)
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
