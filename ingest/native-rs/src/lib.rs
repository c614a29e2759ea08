//! The native kernel of sipcdr: what must touch every byte, and the fold of messages into calls and rows.
//!
//! The Python in `ingest/` and `builder/` is the readable definition of all that happens here: each module names the one
//! that it is the twin of, and differential tests hold the two equal. Everything but `python` is plain Rust that knows
//! nothing of Python, so that it can be fuzzed alone.

pub mod agents;
pub mod body;
pub mod call;
pub mod columns;
pub mod counts;
pub mod details;
pub mod dialogs;
pub mod dissect;
pub mod fact;
pub mod fast;
pub mod fragments;
pub mod framing;
pub mod groups;
pub mod hep;
pub mod ignore;
pub mod ip;
pub mod labels;
pub mod layers;
pub mod limits;
pub mod links;
pub mod logs;
pub mod media;
pub mod message;
pub mod msgpack;
pub mod ordered;
pub mod pack;
pub mod packet;
pub mod parties;
pub mod pcap;
pub mod pcapng;
pub mod row;
pub mod rules;
pub mod scan;
pub mod sctp;
pub mod sessions;
pub mod state;
pub mod streams;
pub mod syntax;
pub mod table;
pub mod tags;
pub mod tally;
pub mod tcp;
pub mod text;
pub mod tunnels;
pub mod users;
pub mod websocket;
pub mod window;
pub mod wireless;

#[cfg(feature = "python")]
mod python;
