//! What is said in records: who speaks, how often, and what was changed on the way to the normal form.

use std::collections::BTreeMap;

use mashbill_records::conversation::{Changes, Conversation};

use crate::page::beginning;

/// Roles that are told apart: a broken file may have one for every message.
const ROLES_MAX: usize = 100;

/// Bytes of a role that are kept.
const ROLE_BYTES: usize = 60;

/// Counts of conversations.
#[derive(Debug, Default)]
pub(crate) struct SaidCounts {
    pub(crate) conversations: u64,
    /// Those without a message on which there is a loss where it is on the turns of the assistant.
    pub(crate) nothing_to_learn: u64,
    /// Messages by who speaks.
    pub(crate) roles: BTreeMap<String, u64>,
    /// Conversations by the power of two that the number of their messages is at most.
    pub(crate) turns: BTreeMap<u64, u64>,
    changes: Changes,
}

impl SaidCounts {
    pub(crate) fn count(&mut self, conversation: &Conversation<'_>) {
        let messages = &conversation.messages;
        self.conversations += 1;
        let is_learned = messages.iter().any(|one| one.loss.unwrap_or_else(|| one.role == "assistant"));
        self.nothing_to_learn += u64::from(!is_learned);
        messages.iter().for_each(|message| self.add_role(&message.role, 1));
        *self.turns.entry((messages.len() as u64).next_power_of_two()).or_default() += 1;
        self.changes.add(&conversation.changes);
    }

    /// Takes in what another thread counted.
    pub(crate) fn merge(&mut self, other: Self) {
        self.conversations += other.conversations;
        self.nothing_to_learn += other.nothing_to_learn;
        other.roles.iter().for_each(|(role, &count)| self.add_role(role, count));
        other.turns.iter().for_each(|(&below, count)| *self.turns.entry(below).or_default() += count);
        self.changes.add(&other.changes);
    }

    /// What was changed, by what it is of, and how often.
    pub(crate) fn changed(&self) -> BTreeMap<String, u64> {
        changed(&self.changes)
    }

    fn add_role(&mut self, role: &str, messages: u64) {
        if let Some(count) = self.roles.get_mut(role) {
            *count += messages;
            return;
        }
        let role = if self.roles.len() < ROLES_MAX { beginning(role, ROLE_BYTES) } else { "(others)".into() };
        *self.roles.entry(role).or_default() += messages;
    }
}

/// What was changed, by what it is of, and how often.
pub(crate) fn changed(changes: &Changes) -> BTreeMap<String, u64> {
    let named = changes.named().into_iter().filter(|(_, count)| *count > 0);
    named.map(|(name, count)| (name.to_owned(), count)).collect()
}
