//! Twin of `ingest/_limits.py`, which says what each bound means; the values come from there.

/// All bounds on what is read. Sizes are bytes, times microseconds of capture time.
#[derive(Clone, Debug)]
pub struct Limits {
    pub message: usize,
    pub headers: usize,
    pub header: usize,
    pub packet: usize,
    pub block: usize,
    pub interfaces: usize,
    pub layers: usize,
    pub fragments: usize,
    pub parts: usize,
    pub fragmented: usize,
    pub fragment_wait: i64,
    pub stream: usize,
    pub streams: usize,
    pub streams_held: usize,
    pub stream_wait: i64,
    pub stream_idle: i64,
    pub line: usize,
    pub foreign: usize,
    pub files: usize,
    pub value: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 64 << 10,
            headers: 256,
            header: 8 << 10,
            packet: 256 << 10,
            block: 16 << 20,
            interfaces: 16_384,
            layers: 32,
            fragments: 16 << 20,
            parts: 256,
            fragmented: 4096,
            fragment_wait: 30_000_000,
            stream: 1 << 20,
            streams: 50_000,
            streams_held: 64 << 20,
            stream_wait: 3_000_000,
            stream_idle: 300_000_000,
            line: 8 << 10,
            foreign: 64 << 10,
            files: 100,
            value: 1 << 20,
        }
    }
}
