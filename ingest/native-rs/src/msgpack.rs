//! MessagePack as msgspec writes it, each value in its shortest form, and a reader that trusts nothing.

/// Packed facts that can't be read: Python's CallDamaged, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged(pub String);

impl Damaged {
    pub fn within(self, what: &str) -> Self {
        Self(format!("{what}: {}", self.0))
    }
}

const DEPTH: u32 = 64;

pub fn array(out: &mut Vec<u8>, many: usize) {
    match many {
        0..16 => out.push(0x90 | many as u8),
        16..0x1_0000 => sized(out, 0xdc, &(many as u16).to_be_bytes()),
        _ => sized(out, 0xdd, &(many as u32).to_be_bytes()),
    }
}

/// The head of a map of that many pairs, in the form for up to 65,535.
pub fn long_map(many: u16) -> [u8; 3] {
    let [high, low] = many.to_be_bytes();
    [0xde, high, low]
}

pub fn int(out: &mut Vec<u8>, value: i64) {
    match value {
        0.. => uint(out, value.unsigned_abs()),
        -32..0 => out.push(value as u8),
        -0x80..-32 => sized(out, 0xd0, &(value as i8).to_be_bytes()),
        -0x8000..-0x80 => sized(out, 0xd1, &(value as i16).to_be_bytes()),
        -0x8000_0000..-0x8000 => sized(out, 0xd2, &(value as i32).to_be_bytes()),
        _ => sized(out, 0xd3, &value.to_be_bytes()),
    }
}

pub fn uint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..0x80 => out.push(value as u8),
        0x80..0x100 => sized(out, 0xcc, &[value as u8]),
        0x100..0x1_0000 => sized(out, 0xcd, &(value as u16).to_be_bytes()),
        0x1_0000..0x1_0000_0000 => sized(out, 0xce, &(value as u32).to_be_bytes()),
        _ => sized(out, 0xcf, &value.to_be_bytes()),
    }
}

pub fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    match value.len() {
        0..0x100 => sized(out, 0xc4, &[value.len() as u8]),
        0x100..0x1_0000 => sized(out, 0xc5, &(value.len() as u16).to_be_bytes()),
        _ => sized(out, 0xc6, &(value.len() as u32).to_be_bytes()),
    }
    out.extend_from_slice(value);
}

pub fn text(out: &mut Vec<u8>, value: &str) {
    match value.len() {
        0..32 => out.push(0xa0 | value.len() as u8),
        32..0x100 => sized(out, 0xd9, &[value.len() as u8]),
        0x100..0x1_0000 => sized(out, 0xda, &(value.len() as u16).to_be_bytes()),
        _ => sized(out, 0xdb, &(value.len() as u32).to_be_bytes()),
    }
    out.extend_from_slice(value.as_bytes());
}

pub fn flag(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xc3 } else { 0xc2 });
}

fn sized(out: &mut Vec<u8>, opcode: u8, size: &[u8]) {
    out.push(opcode);
    out.extend_from_slice(size);
}

/// Reads values off the front of packed bytes.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(packed: &'a [u8]) -> Self {
        Self { rest: packed }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    fn take(&mut self, many: usize) -> Result<&'a [u8], Damaged> {
        match self.rest.split_at_checked(many) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(Damaged("Input data was truncated".into())),
        }
    }

    #[inline]
    fn opcode(&mut self) -> Result<u8, Damaged> {
        Ok(self.take(1)?[0])
    }

    #[inline]
    fn number(&mut self, width: usize) -> Result<u64, Damaged> {
        Ok(self.take(width)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    #[inline]
    fn size(&mut self, width: usize) -> Result<usize, Damaged> {
        usize::try_from(self.number(width)?).map_err(|_| Damaged("Input data was truncated".into()))
    }

    /// The number of an array's items.
    pub fn array(&mut self) -> Result<usize, Damaged> {
        match self.opcode()? {
            opcode @ 0x90..=0x9f => Ok(usize::from(opcode & 0x0f)),
            0xdc => self.size(2),
            0xdd => self.size(4),
            opcode => Err(expected("array", opcode)),
        }
    }

    /// An array of so many items.
    pub fn array_of(&mut self, many: usize) -> Result<(), Damaged> {
        match self.array()? {
            found if found == many => Ok(()),
            found => Err(Damaged(format!("Expected `array` of length {many}, got {found}"))),
        }
    }

    /// The number of a map's pairs.
    pub fn map(&mut self) -> Result<usize, Damaged> {
        match self.opcode()? {
            opcode @ 0x80..=0x8f => Ok(usize::from(opcode & 0x0f)),
            0xde => self.size(2),
            0xdf => self.size(4),
            opcode => Err(expected("object", opcode)),
        }
    }

    #[inline]
    pub fn int(&mut self) -> Result<i64, Damaged> {
        let opcode = self.opcode()?;
        let number = match opcode {
            0x00..=0x7f => return Ok(i64::from(opcode)),
            0xe0..=0xff => return Ok(i64::from(opcode as i8)),
            0xcc => self.number(1)?,
            0xcd => self.number(2)?,
            0xce => self.number(4)?,
            0xcf => self.number(8)?,
            0xd0 => return Ok(i64::from(self.number(1)? as i8)),
            0xd1 => return Ok(i64::from(self.number(2)? as i16)),
            0xd2 => return Ok(i64::from(self.number(4)? as i32)),
            0xd3 => return Ok(self.number(8)? as i64),
            opcode => return Err(expected("int", opcode)),
        };
        i64::try_from(number).map_err(|_| Damaged(format!("Expected `int` <= {}", i64::MAX)))
    }

    /// A number from 0 to `greatest`.
    #[inline]
    pub fn uint(&mut self, greatest: i64) -> Result<u64, Damaged> {
        let number = self.int()?;
        if number > greatest {
            return Err(Damaged(format!("Expected `int` <= {greatest}")));
        }
        u64::try_from(number).map_err(|_| Damaged("Expected `int` >= 0".into()))
    }

    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], Damaged> {
        let size = match self.opcode()? {
            0xc4 => self.size(1)?,
            0xc5 => self.size(2)?,
            0xc6 => self.size(4)?,
            opcode => return Err(expected("bytes", opcode)),
        };
        self.take(size)
    }

    pub fn text(&mut self) -> Result<&'a str, Damaged> {
        std::str::from_utf8(self.text_bytes()?).map_err(|error| Damaged(error.to_string()))
    }

    #[inline]
    pub fn text_bytes(&mut self) -> Result<&'a [u8], Damaged> {
        let size = match self.opcode()? {
            opcode @ 0xa0..=0xbf => usize::from(opcode & 0x1f),
            0xd9 => self.size(1)?,
            0xda => self.size(2)?,
            0xdb => self.size(4)?,
            opcode => return Err(expected("str", opcode)),
        };
        self.take(size)
    }

    pub fn flag(&mut self) -> Result<bool, Damaged> {
        match self.opcode()? {
            0xc2 => Ok(false),
            0xc3 => Ok(true),
            opcode => Err(expected("bool", opcode)),
        }
    }

    /// Take a nil, if that is next.
    pub fn nil(&mut self) -> bool {
        let found = self.rest.first() == Some(&0xc0);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    /// Pass any value.
    pub fn skip(&mut self) -> Result<(), Damaged> {
        self.skip_within(DEPTH)
    }

    fn skip_within(&mut self, depth: u32) -> Result<(), Damaged> {
        if depth == 0 {
            return Err(Damaged("maximum recursion depth exceeded".into()));
        }
        let opcode = self.opcode()?;
        let size = match opcode {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => 0,
            0xa0..=0xbf => usize::from(opcode & 0x1f),
            0xc4 | 0xd9 => self.size(1)?,
            0xc5 | 0xda => self.size(2)?,
            0xc6 | 0xdb => self.size(4)?,
            0xcc | 0xd0 => 1,
            0xcd | 0xd1 => 2,
            0xca | 0xce | 0xd2 => 4,
            0xcb | 0xcf | 0xd3 => 8,
            0xd4 => 2,
            0xd5 => 3,
            0xd6 => 5,
            0xd7 => 9,
            0xd8 => 17,
            0xc7 => self.size(1)?.saturating_add(1),
            0xc8 => self.size(2)?.saturating_add(1),
            0xc9 => self.size(4)?.saturating_add(1),
            0x80..=0x9f | 0xdc..=0xdf => {
                let values = match opcode {
                    0x80..=0x8f => 2 * usize::from(opcode & 0x0f),
                    0x90..=0x9f => usize::from(opcode & 0x0f),
                    0xdc => self.size(2)?,
                    0xdd => self.size(4)?,
                    0xde => 2 * self.size(2)?,
                    _ => self.size(4)?.saturating_mul(2),
                };
                for _ in 0..values {
                    self.skip_within(depth - 1)?;
                }
                0
            }
            0xc1 => return Err(Damaged("MessagePack data is malformed: invalid opcode '\\xc1'".into())),
        };
        self.take(size).map(|_| ())
    }

    pub fn end(&self) -> Result<(), Damaged> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Damaged("MessagePack data is malformed: trailing characters".into()))
    }
}

fn expected(wanted: &str, opcode: u8) -> Damaged {
    let found = match opcode {
        0x00..=0x7f | 0xe0..=0xff | 0xcc..=0xcf | 0xd0..=0xd3 => "int",
        0x80..=0x8f | 0xde | 0xdf => "object",
        0x90..=0x9f | 0xdc | 0xdd => "array",
        0xa0..=0xbf | 0xd9..=0xdb => "str",
        0xc0 => "null",
        0xc2 | 0xc3 => "bool",
        0xc4..=0xc6 => "bytes",
        0xca | 0xcb => "float",
        0xc7..=0xc9 | 0xd4..=0xd8 => "ext",
        0xc1 => return Damaged("MessagePack data is malformed: invalid opcode '\\xc1'".into()),
    };
    Damaged(format!("Expected `{wanted}`, got `{found}`"))
}
