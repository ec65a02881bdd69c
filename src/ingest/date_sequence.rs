//! Orders of dates told apart by how the rows follow each other.

use super::date_tally::Tally;
use super::date_vote::{ORDERS, Votes};
use super::dates::Order;

impl Votes {
    /// Rows stand in time order in one reading and jump to and fro in the others: five rows or more prove it.
    pub(super) fn by_sequence(&self, candidates: &[usize]) -> Option<Order> {
        let turns = |idx: usize| self.tallies[idx].turns();
        let straight: Vec<usize> = candidates.iter().copied().filter(|idx| turns(*idx) == 0).collect();
        let [only] = straight.as_slice() else { return None };
        let others_jump = candidates.iter().filter(|idx| *idx != only).all(|idx| turns(*idx) >= 2);
        (self.tallies[*only].n_valid >= 5 && others_jump).then_some(ORDERS[*only])
    }

    /// Many rows a day, as of minutes: sessions follow each other within days, not a month apart.
    pub(super) fn by_sessions(&self, candidates: &[usize]) -> Option<Order> {
        let n_changes = |idx: usize| self.tallies[idx].n_up + self.tallies[idx].n_down;
        let has_times = self.n_naive + self.n_zoned >= self.n_open;
        let near = candidates.iter().copied().min_by_key(|idx| self.tallies[*idx].steps)?;
        let is_dense = n_changes(near) > 0 && n_changes(near) * 4 < self.tallies[near].n_valid;
        let others_far = candidates
            .iter()
            .filter(|idx| **idx != near)
            .all(|idx| self.tallies[*idx].steps >= self.tallies[near].steps.saturating_mul(5));
        (has_times && is_dense && others_far).then_some(ORDERS[near])
    }

    /// In one reading the rows are sessions, Monday to Friday a few days apart; in the others weeks lie between them,
    /// and many are of weekends.
    pub(super) fn by_weekdays(&self, candidates: &[usize]) -> Option<Order> {
        let step = |tally: &Tally| tally.steps as f64 / (tally.n_up + tally.n_down).max(1) as f64;
        let are_sessions = |idx: &usize| {
            let tally = &self.tallies[*idx];
            tally.n_valid >= 8 && tally.n_weekend == 0 && tally.n_up.min(tally.n_down) == 0 && step(tally) <= 7.0
        };
        let cannot_be = |idx: &usize| {
            let tally = &self.tallies[*idx];
            tally.n_weekend >= 2 && tally.n_weekend * 10 >= tally.n_valid && step(tally) >= 15.0
        };
        let is_decided =
            |idx: &&usize| are_sessions(idx) && candidates.iter().all(|other| other == *idx || cannot_be(other));
        candidates.iter().find(is_decided).map(|idx| ORDERS[*idx])
    }
}
