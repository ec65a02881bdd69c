//! Day, month and year as three numbers whose order is not decided yet.

use super::dates::{BUDDHIST_ERA, Order, day_of, is_buddhist};

/// The parts of a date before their order is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Triple {
    /// The numbers in the order of the text; a month's name is its number.
    pub(super) parts: [u32; 3],
    /// How many digits each had; 0 for a month's name.
    pub(super) digits: [u8; 3],
    /// Added to the year by a written era (令和 2018).
    pub(super) era: i32,
}

impl Triple {
    pub(super) fn is_run_together(&self, text: &str) -> bool {
        self.digits == [2, 2, 2] && text.trim().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    }

    /// Whether the year that shows is one of the Buddhist era.
    pub(super) fn is_buddhist(&self) -> bool {
        self.shown_year().is_some_and(|at| self.era == 0 && is_buddhist(self.parts[at] as i32))
    }

    /// Whether the text is a date only with its second part as the day: `2024-16-01`.
    pub(super) fn has_day_second(&self) -> bool {
        let [year, second, third] = self.parts;
        self.era == 0
            && day_of(year as i32, second, third).is_none()
            && day_of(year as i32, third, second).is_some()
            && self.named_month().is_none()
    }

    /// Which part is the year when it shows by itself: four digits, or a written era.
    pub(super) fn shown_year(&self) -> Option<usize> {
        self.digits.iter().position(|digits| *digits == 4).or((self.era != 0).then_some(0))
    }

    /// Which part is the month when it is written as a name.
    pub(super) fn named_month(&self) -> Option<usize> {
        self.digits.iter().position(|digits| *digits == 0)
    }

    /// The day in an order; what the text shows by itself goes before the order.
    pub(super) fn day(&self, order: Order) -> Option<i32> {
        let (y, m, d) = self.places(order)?;
        let [year, month, day] = [self.parts[y], self.parts[m], self.parts[d]];
        let year = match (self.digits[y], order) {
            _ if self.era != 0 => year as i32 + self.era,
            (4, Order::Buddhist) => year as i32 - BUDDHIST_ERA,
            (4, _) => year as i32,
            (1..=3, Order::Roc) => year as i32 + 1911,
            // POSIX: 69 to 99 are of the last century.
            (2, _) if year >= 69 => year as i32 + 1900,
            (2, _) => year as i32 + 2000,
            _ => return None,
        };
        day_of(year, month, day)
    }

    /// The positions of year, month and day.
    pub(super) fn places(&self, order: Order) -> Option<(usize, usize, usize)> {
        Some(match (self.named_month(), self.shown_year()) {
            (Some(m), Some(y)) => (y, m, (0..3).find(|at| *at != m && *at != y)?),
            (Some(0), None) => (2, 0, 1),
            (Some(1), None) if order == Order::Ymd => (0, 1, 2),
            (Some(1), None) => (2, 1, 0),
            (Some(_), None) => return None,
            (None, Some(0)) => (0, 1, 2),
            (None, Some(2)) if order == Order::Mdy => (2, 0, 1),
            (None, Some(2)) if matches!(order, Order::Dmy | Order::Buddhist) => (2, 1, 0),
            (None, Some(_)) => return None,
            (None, None) => match order {
                Order::Ymd | Order::Roc => (0, 1, 2),
                Order::Dmy | Order::Buddhist => (2, 1, 0),
                Order::Mdy => (2, 0, 1),
                Order::Excel | Order::Month => return None,
            },
        })
    }
}
