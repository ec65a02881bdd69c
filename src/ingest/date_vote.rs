//! The order of dates by the vote of all rows: never guessed where the rows leave it open.

use super::date_doubt::name;
use super::date_pattern::{order_of, pattern};
use super::date_tally::Tally;
use super::date_triple::Triple;
use super::dates::{self, Order, Shape};
use super::{ReadError, ReadOptions};

/// How the dates of a file are read, and what the rows told on the way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DateReading {
    pub order: Order,
    /// As a pattern: `%d/%m/%Y`.
    pub pattern: String,
    /// What decided it.
    pub why: &'static str,
    /// Whether every date shows its own order.
    pub is_told_by_all: bool,
    /// Cells that have a time and a zone, and those that have a time only.
    pub n_zoned: usize,
    pub n_naive: usize,
}

#[derive(Debug, Default)]
pub(super) struct Votes {
    n_cells: usize,
    pub(super) n_shown: usize,
    pub(super) n_open: usize,
    /// Open ones that are dates in each of the orders, for a caller who names it.
    pub(super) n_readable: [usize; 3],
    /// Open ones without a year of four digits, and of these those that would be before Taiwan's exchange.
    n_yearless: usize,
    n_before_exchange: usize,
    /// Cells whose readings are different days.
    n_differ: usize,
    n_serial: usize,
    pub(super) last_serial: f64,
    pub(super) n_zoned: usize,
    pub(super) n_naive: usize,
    /// Cells with a year that only the Buddhist era has.
    n_buddhist: usize,
    /// Cells of a year and a month that is not the month of the cell before.
    n_months: usize,
    /// Cells with the year first whose day could be a month.
    pub(super) n_swappable: usize,
    /// Cells with the year first that are dates only with the day before the month.
    n_day_second: usize,
    /// Open cells read day first where they can be, else month first; and the other way round.
    pub(super) patched: [Tally; 2],
    /// The first open one, and the first that is another day in another order.
    pub(super) sample: Option<(String, u64)>,
    pub(super) differing: Option<(String, u64)>,
    has_three_digit_year: bool,
    pub(super) tallies: [Tally; 3],
}

/// 1962, when Taiwan's exchange opened, in years of the Republic of China.
pub(super) const FIRST_ROC_YEAR: u32 = 51;

pub(super) const ORDERS: [Order; 3] = [Order::Dmy, Order::Mdy, Order::Ymd];

/// Reads all dates of a column and decides their order.
///
/// # Errors
/// `ambiguous_date` with both readings, where rows allow two orders or contradict each other.
pub(super) fn decide<'a>(
    cells: impl Iterator<Item = (u64, &'a str)>,
    options: &ReadOptions,
    is_taiwanese: bool,
) -> Result<DateReading, ReadError> {
    let mut votes = Votes::default();
    let mut first = None;
    let mut month = None;
    for (line, text) in cells {
        votes.n_cells += 1;
        if let Some(day) = dates::iso_day(text) {
            votes.n_shown += 1;
            votes.n_buddhist += usize::from(day >= dates::FIRST_BUDDHIST_DAY);
            votes.n_swappable += usize::from(&text[8..] <= "12");
            first.get_or_insert(text);
            continue;
        }
        if let Some(shape) = dates::shape(text) {
            first.get_or_insert(text);
            votes.count(line, text, shape);
        } else if let Some(day) = dates::month_alone(text) {
            first.get_or_insert(text);
            votes.n_months += usize::from(month.replace(day) != Some(day));
        }
    }
    let (order, why) = match &options.date_format {
        Some(format) => {
            let order = order_of(format)?;
            votes.refuse_contradicted(order, format)?;
            (order, "as the caller says")
        }
        None => votes.order(is_taiwanese)?,
    };
    let is_told_by_all = votes.n_shown == votes.n_cells && ORDERS.contains(&order);
    let why = match is_told_by_all && options.date_format.is_some() {
        true => "every date shows its order, whatever date_format says",
        false => why,
    };
    let sample =
        if votes.n_open > votes.n_shown { votes.sample.as_ref().map(|(text, _)| text.as_str()) } else { first };
    let pattern = sample.map_or_else(|| "%Y-%m-%d".to_owned(), |text| pattern(text, order));
    Ok(DateReading { order, pattern, why, is_told_by_all, n_zoned: votes.n_zoned, n_naive: votes.n_naive })
}

impl Votes {
    fn count(&mut self, line: u64, text: &str, shape: Shape) {
        match shape {
            Shape::Compact(stamp) => {
                self.n_shown += 1;
                self.n_zoned += usize::from(stamp.offset.is_some());
                self.n_naive += usize::from(stamp.second.is_some() && stamp.offset.is_none());
            }
            Shape::Epoch(_) => {
                self.n_shown += 1;
                self.n_zoned += 1;
            }
            Shape::Serial(days) => {
                self.n_serial += 1;
                self.last_serial = self.last_serial.max(days);
            }
            Shape::Triple(triple, clock) => {
                match (clock.second, clock.zone) {
                    (_, Some(_)) => self.n_zoned += 1,
                    (Some(_), None) => self.n_naive += 1,
                    (None, None) => {}
                }
                self.count_triple(line, text, &triple);
            }
        }
    }

    fn count_triple(&mut self, line: u64, text: &str, triple: &Triple) {
        self.has_three_digit_year |= triple.digits[0] == 3;
        self.n_buddhist += usize::from(triple.is_buddhist());
        let shown = triple.shown_year();
        self.n_day_second += usize::from(shown == Some(0) && triple.has_day_second());
        self.n_swappable += usize::from(shown == Some(0) && triple.named_month().is_none() && triple.parts[2] <= 12);
        if shown == Some(0) || (triple.named_month().is_some() && shown.is_some()) {
            self.n_shown += 1;
            return;
        }
        self.n_open += 1;
        self.n_yearless += usize::from(shown.is_none());
        self.n_before_exchange += usize::from(shown.is_none() && triple.parts[0] < FIRST_ROC_YEAR);
        let mut days = ORDERS.map(|order| triple.day(order));
        self.n_readable.iter_mut().zip(days).for_each(|(n, day)| *n += usize::from(day.is_some()));
        match triple.named_month() {
            // `02-Jan-24` has its day first wherever that can be; no vendor writes the other.
            Some(_) if days[0].is_some() => days = [days[0], None, None],
            Some(_) => days[1] = None,
            // A year that shows at the end leaves two orders; Ymd would only repeat one of them.
            None if shown.is_some() => days[2] = None,
            None => {}
        }
        if triple.named_month().is_none() {
            self.patched[0].step(days[0].or(days[1]));
            self.patched[1].step(days[1].or(days[0]));
        }
        let n_valid = days.iter().flatten().count();
        let mut readings = days.iter().flatten();
        let one = readings.next();
        let differs = readings.any(|day| Some(day) != one);
        self.sample.get_or_insert_with(|| (text.to_owned(), line));
        if differs {
            self.differing.get_or_insert_with(|| (text.to_owned(), line));
        }
        self.n_differ += usize::from(differs);
        for (tally, day) in self.tallies.iter_mut().zip(days) {
            let Some(day) = day else { continue };
            tally.n_valid += 1;
            tally.n_weekend += usize::from(dates::is_weekend(day));
            if n_valid == 1 {
                tally.n_exclusive += 1;
                if tally.n_exclusive == 1 {
                    tally.exclusive_line = line;
                }
            }
            tally.step(Some(day));
        }
    }

    fn order(&self, is_taiwanese: bool) -> Result<(Order, &'static str), ReadError> {
        if self.n_serial > self.n_shown + self.n_open {
            self.refuse_early_serials()?;
            return Ok((Order::Excel, "most cells are day numbers of a spreadsheet"));
        }
        // Days of which only the month is told would follow each other within it.
        if self.n_months * 10 >= self.n_cells * 9 && self.n_months > 0 {
            return Ok((Order::Month, "years and months without days"));
        }
        // One in a hundred and fewer are typing errors, refused by their rows.
        if self.n_day_second > 1 && self.n_day_second * 100 > self.n_cells {
            let message = format!(
                "{} dates have the year first and the day before the month: no source writes so, a spreadsheet swapped \
                 them; export the file again, or pass date_format=%Y-%m-%d to have these rows refused",
                self.n_day_second
            );
            return Err(ReadError::unusable("ambiguous_date", message));
        }
        if self.has_three_digit_year || (is_taiwanese && self.n_yearless > 0 && self.n_before_exchange == 0) {
            return Ok((Order::Roc, "years of three digits, or headers of Taiwan"));
        }
        if self.n_buddhist * 2 > self.n_cells {
            return Ok((Order::Buddhist, "years that only the Buddhist era has"));
        }
        let most = self.tallies.iter().map(|tally| tally.n_valid).max().unwrap_or(0);
        if most == 0 {
            return Ok((Order::Ymd, "every date shows its year"));
        }
        let best: Vec<usize> = (0..3).filter(|idx| self.tallies[*idx].n_valid == most).collect();
        // Rows that only another order can read: one is a typing error, more are a second format.
        let rival = (0..3).find(|idx| !best.contains(idx) && self.tallies[*idx].n_exclusive > 1);
        if let (Some(rival), [winner]) = (rival, best.as_slice()) {
            let (a, b) = (&self.tallies[*winner], &self.tallies[rival]);
            return Err(ReadError::unusable(
                "ambiguous_date",
                format!(
                    "the file mixes two kinds of dates: line {} can only be {}, line {} only {}; export it in one \
                     format",
                    a.exclusive_line,
                    name(ORDERS[*winner]),
                    b.exclusive_line,
                    name(ORDERS[rival])
                ),
            )
            .on_line(b.exclusive_line));
        }
        let order = match best.as_slice() {
            [only] => (ORDERS[*only], "some rows can be read in this order only"),
            [first, ..] if self.n_differ == 0 => (ORDERS[*first], "all orders give the same days"),
            several => self
                .by_sequence(several)
                .map(|order| (order, "in this order the rows stand in time order"))
                .or_else(|| Some((self.by_sessions(several)?, "in this order days follow each other")))
                .or_else(|| Some((self.by_weekdays(several)?, "in this order no date is a weekend's")))
                .ok_or_else(|| self.ambiguous(several))?,
        };
        self.refuse_swapped(order.0)?;
        self.refuse_roc_or_not(order.0).map(|_| order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(cells: &[&str]) -> String {
        let cells = cells.iter().enumerate().map(|(idx, text)| (idx as u64 + 2, *text));
        match decide(cells, &ReadOptions::default(), false) {
            Ok(reading) => reading.pattern,
            Err(error) => format!("{}: {error}", error.code()),
        }
    }

    #[test]
    fn one_row_can_decide_the_order_of_all() {
        assert_eq!(decided(&["03/04/2024", "13/04/2024"]), "%d/%m/%Y");
        assert_eq!(decided(&["03/04/2024", "04/13/2024"]), "%m/%d/%Y");
        assert_eq!(decided(&["28.03.2024", "01.02.2024"]), "%d.%m.%Y");
        assert_eq!(decided(&["01/03/17", "01/31/17"]), "%m/%d/%y");
        assert_eq!(decided(&["2024- 01- 02"]), "%Y- %m- %d");
        assert_eq!(decided(&["20240102"]), "%Y%m%d");
        assert_eq!(decided(&["Oct 17, 2019"]), "%b %d, %Y");
        assert_eq!(decided(&["17-Oct-2019"]), "%d-%b-%Y");
        assert_eq!(decided(&["2024-12-12T11:25:00-06:00"]), "%Y-%m-%dT%H:%M:%S%z");
        assert_eq!(decided(&["1704153600"]), "epoch");
        assert_eq!(decided(&["45293"]), "excel");
        assert_eq!(decided(&["113/01/02"]), "roc");
    }

    #[test]
    fn the_sequence_of_rows_can_decide_too() {
        let rows = ["08/01/2024", "10/01/2024", "12/01/2024", "02/02/2024", "06/02/2024", "09/02/2024", "01/03/2024"];
        assert_eq!(decided(&rows), "%d/%m/%Y");
    }

    #[test]
    fn sessions_stand_on_weekdays() {
        let rows = [
            "02/01/2024",
            "03/01/2024",
            "04/01/2024",
            "05/01/2024",
            "08/01/2024",
            "09/01/2024",
            "10/01/2024",
            "11/01/2024",
            "12/01/2024",
        ];
        assert_eq!(decided(&rows), "%d/%m/%Y");
        assert_eq!(decided(&["28/03/2567", "29/03/2567", "01/04/2567"]), "buddhist");
        // Days of a market that never closes have weekends in either reading.
        let told = decided(&[
            "06/01/2024",
            "07/01/2024",
            "08/01/2024",
            "09/01/2024",
            "10/01/2024",
            "11/01/2024",
            "12/01/2024",
        ]);
        assert!(told.starts_with("ambiguous_date"), "{told}");
    }

    #[test]
    fn what_no_row_decides_is_refused_with_both_readings() {
        let told = decided(&["03/04/2024", "04/04/2024", "05/04/2024"]);
        assert!(told.starts_with("ambiguous_date: "), "{told}");
        assert!(told.contains("2024-04-03 (date_format=%d/%m/%Y)") && told.contains("2024-03-04"), "{told}");
        let told = decided(&["92/06/30", "92/07/01"]);
        assert!(told.contains("1992-06-30") && told.contains("2003-06-30 (date_format=roc)"), "{told}");
    }

    #[test]
    fn two_formats_in_one_file_are_refused_and_one_typing_error_is_not() {
        let told = decided(&["13/04/2024", "14/04/2024", "15/04/2024", "04/16/2024", "04/17/2024"]);
        assert!(told.starts_with("ambiguous_date: the file mixes"), "{told}");
        assert_eq!(decided(&["13/04/2024", "14/04/2024", "15/04/2024", "04/16/2024"]), "%d/%m/%Y");
    }

    #[test]
    fn days_that_a_spreadsheet_swapped_are_refused() {
        // Day first, opened where the month goes first: the second to the twelfth of January were turned.
        let slashes =
            ["01/02/2024", "01/03/2024", "01/04/2024", "01/05/2024", "15/01/2024", "16/01/2024", "17/01/2024"];
        let told = decided(&slashes);
        assert!(told.starts_with("ambiguous_date: dates up to the twelfth"), "{told}");
        let halves = ["2024-02-01", "2024-03-01", "2024-04-01", "15/01/2024", "16/01/2024", "17/01/2024"];
        assert!(decided(&halves).starts_with("ambiguous_date: dates up to the twelfth"), "{}", decided(&halves));
        let told = decided(&["2024-05-01", "2024-16-01", "2024-17-01"]);
        assert!(told.starts_with("ambiguous_date: 2 dates have the year first"), "{told}");
        let honest = ["2024-01-11", "2024-01-12", "2024-01-15", "01/16/2024", "01/17/2024", "01/18/2024"];
        assert_eq!(decided(&honest), "%Y-%m-%d");
        let sorted_as_text = ["1/3/2024", "1/4/2024", "1/16/2024", "1/17/2024", "1/18/2024", "1/2/2024"];
        assert_eq!(decided(&sorted_as_text), "%m/%d/%Y");
    }

    #[test]
    fn the_caller_decides_before_any_row() {
        let cells = [(2, "03/04/2024")];
        for (format, order) in
            [("%d/%m/%Y", Order::Dmy), ("%m/%d/%Y", Order::Mdy), ("DD.MM.YYYY", Order::Dmy), ("roc", Order::Roc)]
        {
            let options = ReadOptions { date_format: Some(format.to_owned()), ..ReadOptions::default() };
            assert_eq!(decide(cells.into_iter(), &options, false).map(|reading| reading.order), Ok(order), "{format}");
        }
        let told = |format: &str, cells: &[&str]| {
            let options = ReadOptions { date_format: Some(format.to_owned()), ..ReadOptions::default() };
            let cells = cells.iter().enumerate().map(|(idx, text)| (idx as u64 + 2, *text));
            decide(cells, &options, false).map(|reading| reading.why).map_err(|error| error.to_string())
        };
        // Of dates month first, a twelfth or earlier would be read as another day, in silence.
        let message = told("%d/%m/%Y", &["01/11/2024", "01/12/2024", "01/15/2024"]).unwrap_err();
        assert!(message.contains("reads 2 of 3 dates") && message.contains("line 4 only so"), "{message}");
        assert_eq!(told("%d/%m/%Y", &["01/11/2024", "13/11/2024", "01/15/2024"]), Ok("as the caller says"));
        assert_eq!(told("%y-%b-%d", &["24-Jan-11", "24-Jan-12"]), Ok("as the caller says"));
        let unused = "every date shows its order, whatever date_format says";
        assert_eq!(told("%d/%m/%Y", &["2024-01-11", "2024-01-12"]), Ok(unused));
        assert!(told("%Y", &["03/04/2024"]).is_err_and(|error| error.starts_with("date_format: ")));
    }
}
