//! Twin of `Details` and its decoders in `builder/_facts.py`, which says what each field means. Texts borrow from the
//! packed bytes.

use crate::msgpack::{Damaged, Reader};

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

/// Texts as they are packed, read and checked once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Texts<'a> {
    many: usize,
    packed: &'a [u8],
}

impl<'a> Texts<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Damaged> {
        let many = reader.array()?;
        let packed = reader.rest();
        for _ in 0..many {
            reader.text()?;
        }
        Ok(Self { many, packed: &packed[..packed.len() - reader.rest().len()] })
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut reader = Reader::new(self.packed);
        (0..self.many).map_while(move |_| reader.text().ok())
    }
}

#[derive(Clone, Debug)]
pub struct Details<'a> {
    /// A bit for each field that isn't empty.
    pub present: u64,
    pub sdp: Texts<'a>,
    pub replaces: Texts<'a>,
    pub invitation: Option<[&'a str; 3]>,
    texts: [&'a str; KEYS],
}

impl Default for Details<'_> {
    fn default() -> Self {
        Self { present: 0, sdp: Texts::default(), replaces: Texts::default(), invitation: None, texts: [""; KEYS] }
    }
}

impl<'a> Details<'a> {
    /// Read them into details that are empty.
    pub fn read(&mut self, packed: &'a [u8]) -> Result<(), Damaged> {
        const FLAGS: u64 = Key::HasBody.bit() | Key::FrontEnd.bit() | Key::FileTransfer.bit() | Key::Conference.bit();
        const SDP: u64 = Key::Sdp.bit();
        const REPLACES: u64 = Key::Replaces.bit();
        const INVITATION: u64 = Key::Invitation.bit();
        let mut reader = Reader::new(packed);
        for _ in 0..reader.map()? {
            let place = match reader.text_bytes()? {
                [name] => PLACES.get(usize::from(*name)).copied().unwrap_or(UNKNOWN),
                _ => UNKNOWN,
            };
            if place == UNKNOWN {
                reader.skip()?; // a newer version's
                continue;
            }
            let bit = 1 << place;
            let present = match bit {
                SDP => {
                    self.sdp = Texts::read(&mut reader)?;
                    self.sdp.many != 0
                }
                REPLACES => {
                    self.replaces = Texts::read(&mut reader)?;
                    self.replaces.many != 0
                }
                INVITATION => {
                    self.invitation = invitation(&mut reader)?;
                    self.invitation.is_some()
                }
                _ if bit & FLAGS != 0 => reader.flag()?,
                _ => {
                    let value = reader.text()?;
                    self.texts[usize::from(place)] = value;
                    !value.is_empty()
                }
            };
            // Of a field that is there twice the last one counts.
            self.present = if present { self.present | bit } else { self.present & !bit };
        }
        reader.end()
    }

    pub fn has(&self, key: Key) -> bool {
        self.present & key.bit() != 0
    }

    /// A field that is a text; empty where it is absent.
    pub fn text(&self, key: Key) -> &'a str {
        self.texts[key as usize]
    }
}

fn invitation<'a>(reader: &mut Reader<'a>) -> Result<Option<[&'a str; 3]>, Damaged> {
    if reader.nil() {
        return Ok(None);
    }
    reader.array_of(3)?;
    Ok(Some([reader.text()?, reader.text()?, reader.text()?]))
}
