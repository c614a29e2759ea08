//! Twin of `fields_of` and `details_of` in `builder/_facts.py`: what a fact keeps, borrowed from its packed bytes.
//!
//! Only what the encoder gives is read here: a map of known keys, each once, whose values aren't empty. Anything else
//! is left to the Python, which knows what it means or why it is damaged.

use crate::fact::Fact;

/// A field of `Details`, in the order of its packing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Key {
    From,
    To,
    Source,
    Destination,
    ContentType,
    HasBody,
    Sdp,
    Contact,
    RecordRoute,
    FrontEnd,
    SessionExpires,
    UserAgent,
    Server,
    Priority,
    Replaces,
    ReferredBy,
    Asserted,
    SessionOnBehalf,
    AgentOnBehalf,
    MsCorrelationId,
    SessionId,
    CiscoGuid,
    ConfiguredId,
    Diagnostics,
    DiagnosticsPublic,
    DiagnosticsClient,
    EdgeTrust,
    LogonData,
    LocationData,
    CallInfo,
    Embedded,
    Supported,
    Invitation,
    FileTransfer,
    AuthTarget,
    Machine,
    Pool,
    HistoryInfo,
    Conference,
}

const KEYS: usize = 39;

/// The names under which the fields are packed.
const NAMES: &[u8; KEYS] = b"ftsdcbmCRFxuSprBPoakigKDEGelLIMUvTAnNhO";

const UNKNOWN: u8 = u8::MAX;

const PLACES: [u8; 128] = {
    let mut places = [UNKNOWN; 128];
    let mut at = 0;
    while at < KEYS {
        places[NAMES[at] as usize] = at as u8;
        at += 1;
    }
    places
};

impl Key {
    pub const fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// Texts as they are packed: headers and bytes of each, known to be sound.
#[derive(Clone, Copy, Debug, Default)]
pub struct Texts<'a>(&'a [u8]);

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        text(&mut self.0)
    }
}

#[derive(Clone, Debug)]
pub struct Fields<'a> {
    /// A bit for each field that isn't empty.
    pub present: u64,
    pub sdp: Texts<'a>,
    pub replaces: Texts<'a>,
    pub invitation: Option<[&'a str; 3]>,
    texts: [&'a str; KEYS],
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Self { present: 0, sdp: Texts::default(), replaces: Texts::default(), invitation: None, texts: [""; KEYS] }
    }
}

impl<'a> Fields<'a> {
    /// What each fact keeps; None: one isn't as the encoder packs.
    pub fn of(facts: &[Fact<'a>]) -> Option<Vec<Self>> {
        let mut found = vec![Self::default(); facts.len()];
        facts.iter().zip(&mut found).all(|(fact, fields)| fields.read(fact.details).is_some()).then_some(found)
    }

    fn read(&mut self, packed: &'a [u8]) -> Option<()> {
        const BOOLS: u64 = Key::HasBody.bit() | Key::FrontEnd.bit() | Key::FileTransfer.bit() | Key::Conference.bit();
        const SDP: u64 = Key::Sdp.bit();
        const REPLACES: u64 = Key::Replaces.bit();
        const INVITATION: u64 = Key::Invitation.bit();
        let mut rest = packed;
        let size = match byte(&mut rest)? {
            head @ 0x80..=0x8f => usize::from(head & 0x0f),
            0xde => usize::from(u16::from_be_bytes([byte(&mut rest)?, byte(&mut rest)?])),
            _ => return None,
        };
        for _ in 0..size {
            if byte(&mut rest)? != 0xa1 {
                return None;
            }
            let place = *PLACES.get(usize::from(byte(&mut rest)?))?;
            let bit = 1u64.checked_shl(u32::from(place))?;
            if self.present & bit != 0 {
                return None;
            }
            self.present |= bit;
            match bit {
                SDP => self.sdp = texts(&mut rest)?,
                REPLACES => self.replaces = texts(&mut rest)?,
                INVITATION if byte(&mut rest)? == 0x93 => {
                    self.invitation = Some([text(&mut rest)?, text(&mut rest)?, text(&mut rest)?]);
                }
                INVITATION => return None,
                _ if bit & BOOLS != 0 => {
                    if byte(&mut rest)? != 0xc3 {
                        return None;
                    }
                }
                _ => {
                    let value = text(&mut rest)?;
                    if value.is_empty() {
                        return None;
                    }
                    self.texts[usize::from(place)] = value;
                }
            }
        }
        rest.is_empty().then_some(())
    }

    pub fn has(&self, key: Key) -> bool {
        self.present & key.bit() != 0
    }

    /// A field that is a text; empty where it is absent.
    pub fn text(&self, key: Key) -> &'a str {
        self.texts[key as usize]
    }
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    Some(*first)
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let size = match byte(rest)? {
        head @ 0xa0..=0xbf => usize::from(head & 0x1f),
        0xd9 => usize::from(byte(rest)?),
        0xda => usize::from(u16::from_be_bytes([byte(rest)?, byte(rest)?])),
        _ => return None,
    };
    let (value, behind) = rest.split_at_checked(size)?;
    *rest = behind;
    std::str::from_utf8(value).ok()
}

fn texts<'a>(rest: &mut &'a [u8]) -> Option<Texts<'a>> {
    let size = match byte(rest)? {
        head @ 0x91..=0x9f => usize::from(head & 0x0f),
        0xdc => usize::from(u16::from_be_bytes([byte(rest)?, byte(rest)?])),
        _ => return None,
    };
    let begin = *rest;
    for _ in 0..size {
        text(rest)?;
    }
    Some(Texts(&begin[..begin.len() - rest.len()]))
}
