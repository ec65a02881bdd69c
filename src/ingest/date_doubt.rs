//! Dates that could be read in two ways: what is refused, and what it says.

use super::ReadError;
use super::date_pattern::pattern;
use super::date_vote::{FIRST_ROC_YEAR, ORDERS, Votes};
use super::dates::{self, Order, Shape, Stamp};

impl Votes {
    /// A caller's order that leaves rows unread which another reads, all of them: what it does read would be other days.
    pub(super) fn refuse_contradicted(&self, order: Order, format: &str) -> Result<(), ReadError> {
        let Some(named) = ORDERS.iter().position(|known| *known == order) else { return Ok(()) };
        let right = (0..3).max_by_key(|idx| self.tallies[*idx].n_exclusive);
        let reads_all = |idx: usize| self.n_readable[idx] * 100 >= self.n_open * 99;
        let Some(right) = right.filter(|idx| self.tallies[*idx].n_exclusive > 0 && reads_all(*idx)) else {
            return Ok(());
        };
        let (n_read, at) = (self.n_readable[named], self.tallies[right].exclusive_line);
        if reads_all(named) {
            return Ok(());
        }
        let right = name(ORDERS[right]);
        let message = format!(
            "date_format={format} reads {n_read} of {} dates, and all of them can be read {right}: line {at} only so; \
             leave date_format out",
            self.n_open
        );
        Err(ReadError::unusable("ambiguous_date", message).on_line(at))
    }

    /// A spreadsheet that reads `02/01/2024` by the other order swaps day and month of all dates up to the twelfth and
    /// leaves the others as they are. It shows where the rows go one way as soon as the early days are swapped back, or
    /// where only early days have the year first.
    pub(super) fn refuse_swapped(&self, order: Order) -> Result<(), ReadError> {
        const FEW: usize = 3;
        let (at, patched) = match order {
            Order::Mdy => (1, &self.patched[0]),
            Order::Dmy => (0, &self.patched[1]),
            _ => return Ok(()),
        };
        let tally = &self.tallies[at];
        let is_mended = tally.n_exclusive >= FEW && tally.turns() > 0 && patched.turns() == 0;
        let is_halved = tally.n_exclusive == self.n_open
            && self.n_open >= FEW
            && self.n_shown >= FEW
            && self.n_swappable == self.n_shown;
        if !is_mended && !is_halved {
            return Ok(());
        }
        let (_, line) = self.sample.clone().unwrap_or_default();
        let message = "dates up to the twelfth of a month are written in another order than later ones: a spreadsheet \
                       swapped their day and month; export the file again and do not save it in the spreadsheet";
        Err(ReadError::unusable("ambiguous_date", message).on_line(line))
    }

    /// Day numbers of a spreadsheet that all lie before 1970 are likelier something else.
    pub(super) fn refuse_early_serials(&self) -> Result<(), ReadError> {
        const DAYS_BEFORE_1970: f64 = 25_569.0;
        let last = self.last_serial;
        if last >= DAYS_BEFORE_1970 {
            return Ok(());
        }
        let day = |days: f64| dates::date_of(days as i32);
        let message = match (1800.0..2200.0).contains(&last) {
            true => format!(
                "the dates are years only, or lost their day and month at a comma: {last}; write them as 2024-01-02"
            ),
            false => format!(
                "{last} is {} as a spreadsheet's day number (date_format=excel) or {} as days since 1970: no row decides it, \
                 pass date_format=excel or write the dates as 2024-01-02",
                day(last - DAYS_BEFORE_1970),
                day(last)
            ),
        };
        Err(ReadError::unusable("ambiguous_date", message))
    }

    pub(super) fn ambiguous(&self, candidates: &[usize]) -> ReadError {
        let (text, line) = self.differing.clone().or_else(|| self.sample.clone()).unwrap_or_default();
        let readings: Vec<String> = candidates
            .iter()
            .filter_map(|idx| {
                let day = Stamp::of(&text, ORDERS[*idx])?.day;
                Some(format!("{} (date_format={})", dates::date_of(day), pattern(&text, ORDERS[*idx])))
            })
            .collect();
        ReadError::Unusable {
            code: "ambiguous_date",
            message: format!("{text:?} is {}: no row decides it, pass date_format", readings.join(" or ")),
            line: Some(line),
            column: Some("date".to_owned()),
        }
    }

    /// `92/06/30` is of 1992 or of the Republic of China's year 92.
    pub(super) fn refuse_roc_or_not(&self, order: Order) -> Result<Order, ReadError> {
        let (text, line) = self.sample.clone().unwrap_or_default();
        let year = match (order, dates::shape(&text)) {
            (Order::Ymd, Some(Shape::Triple(triple, _))) if triple.shown_year().is_none() => triple.parts[0],
            _ => return Ok(order),
        };
        if year < FIRST_ROC_YEAR {
            return Ok(order);
        }
        let reading = |order: Order| Stamp::of(&text, order).map(|stamp| dates::date_of(stamp.day).to_string());
        let (ours, roc) = (reading(Order::Ymd).unwrap_or_default(), reading(Order::Roc).unwrap_or_default());
        Err(ReadError::Unusable {
            code: "ambiguous_date",
            message: format!(
                "{text:?} is {ours} (date_format=%y/%m/%d) or, in years of the Republic of China, {roc} \
                 (date_format=roc): no row decides it, pass date_format"
            ),
            line: Some(line),
            column: Some("date".to_owned()),
        })
    }
}

/// An order as the caller may pass it.
pub(super) fn name(order: Order) -> &'static str {
    match order {
        Order::Dmy => "day first (%d/%m/%Y)",
        Order::Mdy => "month first (%m/%d/%Y)",
        Order::Ymd => "year first (%y/%m/%d)",
        Order::Roc => "a year of the Republic of China",
        Order::Buddhist => "a year of the Buddhist era",
        Order::Excel => "a spreadsheet's day number",
        Order::Month => "a year and a month",
    }
}
