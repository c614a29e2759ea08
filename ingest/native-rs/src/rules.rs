//! Twin of `builder/_rules.py`, which says what each rule means, with its networks and patterns parsed.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use crate::ignore::Pattern;

/// Networks in which an address may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    pub mask: IpAddr,
}

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        match (address, self.mask, self.address) {
            (IpAddr::V4(one), IpAddr::V4(mask), IpAddr::V4(own)) => one & mask == own,
            (IpAddr::V6(one), IpAddr::V6(mask), IpAddr::V6(own)) => one & mask == own,
            _ => false,
        }
    }
}

#[derive(Debug, Default)]
pub struct Ignore {
    pub user_agents: Vec<Pattern>,
    pub addresses: Vec<Network>,
    /// In lower case.
    pub users: HashSet<String>,
}

#[derive(Debug)]
pub struct Rules {
    pub t1: i64,
    pub maximum_age: i64,
    pub hosts: HashMap<String, (String, Option<String>)>,
    pub networks: Vec<Network>,
    pub ignore: Ignore,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            t1: 500_000,
            maximum_age: 86_400_000_000,
            hosts: HashMap::new(),
            networks: Vec::new(),
            ignore: Ignore::default(),
        }
    }
}

impl Rules {
    /// 64·T1, in a type in which no time overflows.
    pub fn timeout(&self) -> i128 {
        64 * i128::from(self.t1)
    }
}
