//! Twin of the first half of `builder/_facts.py`, which says what each field means. Facts are read in place: they borrow
//! their call's bytes.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

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
        Details::read(self.details).map_err(|error| error.within("stored details don't decode"))
    }
}

/// The texts of a packed array, read and checked once.
#[derive(Clone, Copy, Default)]
pub struct Texts<'a> {
    many: usize,
    packed: &'a [u8],
}

impl<'a> Texts<'a> {
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut reader = Reader::new(self.packed);
        (0..self.many).map_while(move |_| reader.text().ok())
    }

    pub fn len(&self) -> usize {
        self.many
    }

    pub fn is_empty(&self) -> bool {
        self.many == 0
    }
}

impl std::fmt::Debug for Texts<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for Texts<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.many == other.many && self.iter().eq(other.iter())
    }
}

impl Eq for Texts<'_> {}

/// A field of `Details` as it is packed.
trait Field<'a>: Sized {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Damaged>;
    fn is_empty(&self) -> bool;
}

impl<'a> Field<'a> for &'a str {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Damaged> {
        reader.text()
    }

    fn is_empty(&self) -> bool {
        str::is_empty(self)
    }
}

impl<'a> Field<'a> for bool {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Damaged> {
        reader.flag()
    }

    fn is_empty(&self) -> bool {
        !self
    }
}

impl<'a> Field<'a> for Texts<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Damaged> {
        let many = reader.array()?;
        let packed = reader.rest();
        for _ in 0..many {
            reader.text()?;
        }
        Ok(Self { many, packed: &packed[..packed.len() - reader.rest().len()] })
    }

    fn is_empty(&self) -> bool {
        self.many == 0
    }
}

impl<'a> Field<'a> for Option<[&'a str; 3]> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Damaged> {
        if reader.nil() {
            return Ok(None);
        }
        reader.array_of(3)?;
        Ok(Some([reader.text()?, reader.text()?, reader.text()?]))
    }

    fn is_empty(&self) -> bool {
        self.is_none()
    }
}

macro_rules! details {
    ($($name:ident: $key:literal $kind:ty,)*) => {
        /// What a fact keeps of its message, in this fixed order; a field that is absent is empty.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Details<'a> {
            $(pub $name: $kind,)*
        }

        impl<'a> Details<'a> {
            fn read(packed: &'a [u8]) -> Result<Self, Damaged> {
                let mut details = Self::default();
                let mut reader = Reader::new(packed);
                for _ in 0..reader.map()? {
                    match reader.text_bytes()? {
                        $($key => details.$name = Field::read(&mut reader)?,)*
                        _ => reader.skip()?,
                    }
                }
                reader.end()?;
                Ok(details)
            }

            /// Take from a later sighting what is empty here.
            pub fn complete(&mut self, later: &Self) {
                $(if Field::is_empty(&self.$name) {
                    self.$name = later.$name;
                })*
            }
        }
    };
}

details! {
    from_: b"f" &'a str,
    to: b"t" &'a str,
    source: b"s" &'a str,
    destination: b"d" &'a str,
    content_type: b"c" &'a str,
    has_body: b"b" bool,
    sdp: b"m" Texts<'a>,
    contact: b"C" &'a str,
    record_route: b"R" &'a str,
    front_end: b"F" bool,
    session_expires: b"x" &'a str,
    user_agent: b"u" &'a str,
    server: b"S" &'a str,
    priority: b"p" &'a str,
    replaces: b"r" Texts<'a>,
    referred_by: b"B" &'a str,
    asserted: b"P" &'a str,
    session_on_behalf: b"o" &'a str,
    agent_on_behalf: b"a" &'a str,
    ms_correlation_id: b"k" &'a str,
    session_id: b"i" &'a str,
    cisco_guid: b"g" &'a str,
    configured_id: b"K" &'a str,
    diagnostics: b"D" &'a str,
    diagnostics_public: b"E" &'a str,
    diagnostics_client: b"G" &'a str,
    edge_trust: b"e" &'a str,
    logon_data: b"l" &'a str,
    location_data: b"L" &'a str,
    call_info: b"I" &'a str,
    embedded: b"M" &'a str,
    supported: b"U" &'a str,
    invitation: b"v" Option<[&'a str; 3]>,
    file_transfer: b"T" bool,
    auth_target: b"A" &'a str,
    machine: b"n" &'a str,
    pool: b"N" &'a str,
    history_info: b"h" &'a str,
    conference: b"O" bool,
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
