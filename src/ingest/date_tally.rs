//! How one reading of the dates that are open fares.

/// How a reading of the open dates fares.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub(super) n_valid: usize,
    /// Rows valid in this reading and in no other, and the first of them.
    pub(super) n_exclusive: usize,
    pub(super) exclusive_line: u64,
    last_day: Option<i32>,
    pub(super) n_up: usize,
    pub(super) n_down: usize,
    /// Sum of the steps between neighbours, in days.
    pub(super) steps: u64,
    /// Saturdays and Sundays.
    pub(super) n_weekend: usize,
}

impl Tally {
    /// Counts the next row.
    pub(super) fn step(&mut self, day: Option<i32>) {
        let Some(day) = day else { return };
        if let Some(last) = self.last_day {
            self.n_up += usize::from(day > last);
            self.n_down += usize::from(day < last);
            self.steps += u64::from(day.abs_diff(last));
        }
        self.last_day = Some(day);
    }

    /// How often the rows turn back; 0 where they all go one way.
    pub(super) fn turns(&self) -> usize {
        self.n_up.min(self.n_down)
    }
}
