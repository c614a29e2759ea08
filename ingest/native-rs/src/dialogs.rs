//! Twin of `builder/_dialogs.py`: a generation's attempts, its dialogs and the rows they make. Messages are places in
//! `Generation::messages`, whose order is that of facts.

use std::borrow::Cow;

use crate::fact::{ACK, BYE, CANCEL, INVITE, MESSAGE};
use crate::groups::{Generation, Message, opens};
use crate::rules::Rules;
use crate::state::{State, closing_time};
use crate::table::{Set, Table};

/// A row to be; `Shape` has what the rows of a generation share.
pub struct Session<'a> {
    pub tag: Option<&'a [u8]>,
    pub attempt: Option<u64>,
    pub success: Option<usize>,
    pub final_response: Option<usize>,
    pub inside: Vec<usize>,
}

pub struct Shape<'s, 'a> {
    pub generation: &'s Generation<'a>,
    pub attempts: Vec<u64>,
    pub invites: Vec<usize>,
    pub responses: Vec<usize>,
    pub cancels: Vec<usize>,
    pub mid_dialog: bool,
    pub page_mode: bool,
    pub rows: Vec<Session<'a>>,
    pub strays: u64,
    early: Set<&'a [u8]>,
    homes: Table<&'a [u8], usize>,
}

impl<'s, 'a> Shape<'s, 'a> {
    pub fn new(generation: &'s Generation<'a>) -> Self {
        let messages = &generation.messages;
        let places = |chosen: &dyn Fn(&Message) -> bool| -> Vec<usize> {
            (0..messages.len()).filter(|place| chosen(&messages[*place])).collect()
        };
        let requests = places(&|m| m.method == INVITE && m.status == 0);
        let replies =
            places(&|m| m.method == INVITE && m.status != 0 && m.from_caller && m.from_tag == generation.caller);
        let mut shape = Self {
            generation,
            attempts: Vec::new(),
            invites: Vec::new(),
            responses: Vec::new(),
            cancels: places(&|m| m.method == CANCEL && (m.status != 0 || m.to_tag.is_empty())),
            mid_dialog: false,
            page_mode: false,
            rows: Vec::new(),
            strays: 0,
            early: Set::default(),
            homes: Table::default(),
        };
        shape.find_attempts(&requests, &replies);
        shape.invites = requests
            .iter()
            .copied()
            .filter(|place| {
                let m = &messages[*place];
                m.from_caller
                    && shape.is_attempt(m.cseq)
                    && (m.to_tag.is_empty() || shape.follows_a_failure(m, &replies, |number| shape.is_attempt(number)))
            })
            .collect();
        shape.responses = replies.into_iter().filter(|place| shape.is_attempt(messages[*place].cseq)).collect();
        shape.page_mode = shape.attempts.is_empty()
            && !shape.mid_dialog
            && !generation.initial.is_empty()
            && messages.iter().all(|m| m.method == MESSAGE);
        shape.make_rows();
        shape
    }

    pub fn message(&self, place: usize) -> &'s Message<'a> {
        &self.generation.messages[place]
    }

    pub fn each<'m>(&self, places: &'m [usize]) -> impl DoubleEndedIterator<Item = &'s Message<'a>> + use<'m, 's, 'a> {
        let messages = &self.generation.messages;
        places.iter().map(|place| &messages[*place])
    }

    fn is_attempt(&self, number: u64) -> bool {
        self.attempts.binary_search(&number).is_ok()
    }

    /// Step 12: the row of an in-dialog message whose other tag is this one; None: it is a stray.
    pub fn home(&self, other: &'a [u8]) -> Option<usize> {
        let home = self.homes.get(&other).copied();
        if home.is_none() && self.rows.len() == 1 && (self.homes.is_empty() || !self.early.contains(&other)) {
            return Some(0);
        }
        home
    }

    /// INVITE responses of attempts that are the row's: of its own attempt not those of another dialog.
    pub fn responses_of(&self, session: &Session) -> Cow<'_, [usize]> {
        match session.tag {
            None => Cow::Borrowed(&self.responses),
            Some(tag) => self
                .responses
                .iter()
                .copied()
                .filter(|place| {
                    let m = self.message(*place);
                    Some(m.cseq) != session.attempt || m.to_tag == tag || m.to_tag.is_empty()
                })
                .collect(),
        }
    }

    /// All messages of the row, in the order of facts. responses: those of `responses_of`.
    pub fn messages_of(&self, session: &Session, responses: &[usize]) -> Vec<usize> {
        let all = self.generation.messages.len();
        if session.tag.is_none() {
            return (0..all).collect();
        }
        let mut own = vec![false; all];
        for places in [&session.inside, responses, &self.invites, &self.cancels] {
            for place in places {
                own[*place] = true;
            }
        }
        (0..all).filter(|place| own[*place]).collect()
    }

    /// BYE requests, or where none was seen the responses to one.
    pub fn byes(&self, session: &Session) -> Vec<usize> {
        let byes = |requests: bool| -> Vec<usize> {
            let chosen = |m: &Message| m.method == BYE && (!requests || m.status == 0);
            session.inside.iter().copied().filter(|place| chosen(self.message(*place))).collect()
        };
        let requests = byes(true);
        if requests.is_empty() { byes(false) } else { requests }
    }

    /// The state of section M of scenarios.md, read off the set.
    pub fn state(&self, session: &Session, responses: &[usize]) -> State {
        if self.page_mode {
            return State::PageMode;
        }
        let mut byes = self.each(&session.inside).filter(|m| m.method == BYE).peekable();
        if byes.peek().is_some() {
            return if byes.any(|m| m.status >= 200) { State::Morgue } else { State::Mortal };
        }
        if self.attempts.is_empty() {
            return State::Established;
        }
        let own = |m: &Message| Some(m.cseq) == session.attempt;
        if session.success.is_some() {
            let acked = self.each(&session.inside).any(|m| m.method == ACK && own(m));
            return if acked { State::Established } else { State::Moratorium };
        }
        if session.final_response.is_some() {
            return State::Failed;
        }
        if self.each(&self.cancels).any(own) {
            return State::Cancelled;
        }
        if self.each(responses).any(own) { State::Early } else { State::Preparative }
    }

    /// Steps 8 and 9.
    fn find_attempts(&mut self, requests: &[usize], replies: &[usize]) {
        let mut begun: Vec<u64> =
            self.each(requests).filter(|m| m.from_caller && m.to_tag.is_empty()).map(|m| m.cseq).collect();
        begun.extend(self.each(&self.cancels).filter(|m| m.status == 0).map(|m| m.cseq));
        let retried = |m: &&Message| m.from_caller && !m.to_tag.is_empty();
        let tagged = sorted(self.each(requests).filter(retried).map(|m| m.cseq).collect());
        // (iv): an INVITE response stands in for a request that was not captured.
        let standing_in =
            sorted(self.each(replies).map(|m| m.cseq).filter(|number| tagged.binary_search(number).is_err()).collect());
        begun = sorted(begun);
        if !replies.is_empty() && !tagged.is_empty() {
            let mut again: Vec<&Message> =
                self.each(requests).filter(retried).filter(|m| begun.binary_search(&m.cseq).is_err()).collect();
            again.sort_by_key(|m| m.cseq);
            for request in again {
                let known = |number| begun.binary_search(&number).is_ok() || standing_in.binary_search(&number).is_ok();
                if self.follows_a_failure(request, replies, known)
                    && let Err(at) = begun.binary_search(&request.cseq)
                {
                    begun.insert(at, request.cseq);
                }
            }
        }
        self.mid_dialog = begun.is_empty() && self.starts_inside(requests);
        if !self.mid_dialog {
            begun.extend(standing_in);
        }
        self.attempts = sorted(begun);
    }

    /// Steps 11 to 14.
    fn make_rows(&mut self) {
        let messages = &self.generation.messages;
        let mut dialogs: Table<&'a [u8], usize> = Table::default();
        for &place in &self.responses {
            let response = &messages[place];
            if (200..300).contains(&response.status) {
                dialogs.entry(response.to_tag, || place);
            } else if response.status > 100 && !response.to_tag.is_empty() {
                self.early.add(response.to_tag);
            }
        }
        if dialogs.is_empty() && !messages.iter().any(|m| opens(m.method)) {
            return;
        }
        let mut shared = vec![false; messages.len()];
        for places in [&self.invites, &self.responses, &self.cancels] {
            for place in places {
                shared[*place] = true;
            }
        }
        let inside = (0..messages.len()).filter(|place| !shared[*place]);
        if dialogs.is_empty() {
            let attempt = self.attempts.last().copied();
            self.rows.push(Session {
                tag: None,
                attempt,
                success: None,
                final_response: attempt.and_then(|number| self.chosen_final(&self.responses, number)),
                inside: inside.collect(),
            });
            return;
        }
        for (tag, success) in dialogs.iter() {
            self.homes.entry(tag, || self.rows.len());
            self.rows.push(Session {
                tag: Some(tag),
                attempt: Some(messages[*success].cseq),
                success: Some(*success),
                final_response: Some(*success),
                inside: Vec::new(),
            });
        }
        for place in inside {
            match self.home(messages[place].other) {
                Some(home) => self.rows[home].inside.push(place),
                None => self.strays += u64::from(messages[place].method != ACK),
            }
        }
    }

    /// Step 8 (ii): a failure of a lower attempt bears the request's To tag, and no earlier 2xx does.
    fn follows_a_failure(&self, request: &Message, replies: &[usize], is_attempt: impl Fn(u64) -> bool) -> bool {
        let mut failed = false;
        for reply in self.each(replies).filter(|reply| reply.to_tag == request.to_tag) {
            if (200..300).contains(&reply.status) && reply.time <= request.time {
                return false;
            }
            failed |= reply.status >= 300 && reply.cseq < request.cseq && is_attempt(reply.cseq);
        }
        failed
    }

    /// Step 9: the earliest INVITE message is a re-INVITE, or the response to one that was seen.
    fn starts_inside(&self, requests: &[usize]) -> bool {
        match self.generation.messages.iter().find(|m| m.method == INVITE) {
            None => false,
            Some(m) if m.status == 0 => !m.to_tag.is_empty(),
            Some(m) => self
                .each(requests)
                .any(|request| !request.to_tag.is_empty() && request.cseq == m.cseq && request.from_tag == m.from_tag),
        }
    }

    /// The final response of an attempt: any 2xx; else what the caller got (RFC 3261 section 16.7 step 6).
    pub fn chosen_final(&self, responses: &[usize], attempt: u64) -> Option<usize> {
        responses
            .iter()
            .copied()
            .filter(|place| {
                let m = self.message(*place);
                m.cseq == attempt && m.status >= 200
            })
            .min_by_key(|place| rank(self.message(*place)))
    }
}

fn sorted(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// What the chosen one of final responses has the least of.
fn rank(response: &Message) -> (bool, u32, u16, bool) {
    let status = response.status;
    if status < 300 {
        return (false, 0, 0, false);
    }
    let class = if status >= 600 { 0 } else { status / 100 };
    (true, response.vias, class, !matches!(status, 401 | 407 | 415 | 420 | 484))
}

/// Step 7: whether all sessions of a generation were over before a time; page mode never is.
pub fn over(generation: &Generation, time: i64, rules: &Rules) -> bool {
    let shape = Shape::new(generation);
    if shape.page_mode || shape.rows.is_empty() {
        return false;
    }
    shape.rows.iter().all(|session| match shape.byes(session).first() {
        Some(bye) => shape.message(*bye).time < time,
        None => closing_time(&shape, session, rules) < i128::from(time),
    })
}
