//! Reports what an answer contains and cannot be read.
//!
//! In: a member in a form that has no clear meaning. Out: one notice for each member, however often it comes. Pure.
//! A notice names the member and its type, never its content.

use std::collections::VecDeque;

use plugin_api::{ChatEvent, Notice};

use crate::answer::json::Kind;

/// Most members that are reported in one answer.
const MAX_NOTICES: usize = 16;

/// The members that could not be read.
#[derive(Default)]
pub struct Odd {
    noted: Vec<String>,
    n_noted: usize,
    ready: Vec<Notice>,
}

impl Odd {
    /// Notes a member that could not be read; an absent one is nothing to note.
    ///
    /// - In: the member's path, such as `usage.cost`.
    pub fn note(&mut self, member: &str, found: impl Into<Kind>) {
        let found = found.into();
        if found == Kind::Nothing {
            return;
        }
        self.n_noted += 1;
        self.tell(member, || {
            format!(
                "cannot read `{member}` of the answer, found {}; it is ignored",
                found.name()
            )
        });
    }

    /// Notes anything else that the caller should know about a member.
    pub fn tell(&mut self, member: &str, message: impl FnOnce() -> String) {
        if self.noted.len() < MAX_NOTICES && !self.noted.iter().any(|noted| noted == member) {
            self.noted.push(member.to_owned());
            self.ready.push(Notice::new("odd_answer", message()));
        }
    }

    /// How often something could not be read.
    pub fn n_noted(&self) -> usize {
        self.n_noted
    }

    /// Moves the notices that were not reported yet.
    pub fn report(&mut self, events: &mut VecDeque<ChatEvent>) {
        events.extend(self.ready.drain(..).map(ChatEvent::Notice));
    }
}
