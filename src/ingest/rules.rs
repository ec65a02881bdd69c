//! How the cells of a table are to be read: decided once, by all rows.

use super::bars::{self, Rules};
use super::date_vote::{self, DateReading};
use super::numbers::{self, Evidence, NumberFormat};
use super::sheet::{Note, Source};
use super::stamps::{self, Clocks};
use super::timing::{SAMPLE, Timing};
use super::{PriceBasis, ReadError, ReadOptions, clock, columns, fractions, tickers, units, volumes};

/// Decides dates, numbers, times and tickers.
///
/// # Errors
/// Where the rows leave something open: `ambiguous_date`, `ambiguous_number`, `duplicate_column`.
pub(super) fn decide(source: &mut Source, options: &ReadOptions) -> Result<(Rules, DateReading), ReadError> {
    let date = source.layout.date;
    let is_taiwanese = source
        .layout
        .names
        .iter()
        .any(|name| matches!(columns::key(name).as_str(), "成交股數" | "開盤價" | "收盤價" | "成交筆數"));
    let dates = date_vote::decide(source.sheet.cells(date), options, is_taiwanese)?;
    let reads_tickers = tickers::decide(source);
    let numbers = number_format(source, options)?;
    for idx in 0..source.layout.groups.len() {
        let volumes = volumes::of(&source.sheet, &source.layout.groups[idx], numbers, &source.layout.names)?;
        let header = volumes.first().map(|(_, column)| source.layout.names[*column].as_str());
        let scale = header.map_or(1.0, units::scale);
        if scale > 1.0 {
            let message = format!(
                "the header {:?} states a unit: volumes were multiplied by {scale}",
                header.unwrap_or_default()
            );
            source.notes.push(Note { code: "volume_unit", message });
        }
        let group = &mut source.layout.groups[idx];
        (group.volumes, group.volume_scale) = (volumes, scale);
    }
    let used = source.layout.used();
    let has_others =
        (0..source.layout.names.len()).any(|at| !used.contains(&at) && !source.layout.names[at].is_empty());
    if has_others && source.layout.groups.iter().all(|group| group.volumes.is_empty()) {
        let message = "no column is the volume, so the bars have none; pass columns=volume:NAME if one is";
        source.notes.push(Note { code: "no_volume", message: message.to_owned() });
    }
    let told_zone = source.told_zone.take().filter(|_| options.timezone.is_none());
    let of_answer = || told_zone.as_deref().and_then(clock::Zone::of_name);
    let zone =
        if options.timezone.is_none() { stamps::zone_of_header(&source.layout).or_else(of_answer) } else { None };
    let clocks = Clocks { order: dates.order, has_seconds: has_seconds(source), zone };
    let stamps = stamps(source, clocks, reads_tickers);
    // Midnights in UTC are dates, wherever the exchange is.
    let is_utc = |stamp: &super::dates::Stamp| dates.n_zoned > 0 && stamp.offset == Some(0);
    let are_instants = stamps.iter().all(is_utc) && stamps.iter().any(|stamp| stamp.second > Some(0));
    let told = told_zone.filter(|_| dates.n_zoned == 0 || are_instants);
    if let Some(zone) = told.as_ref().filter(|_| dates.n_naive > 0) {
        let message =
            format!("the times were taken as those of {zone}, as the answer says; pass timezone=UTC if they are UTC");
        source.notes.push(Note { code: "time_zone_told", message });
    }
    let timing = match told.filter(|_| are_instants) {
        Some(zone) => Timing::of(stamps, &ReadOptions { timezone: Some(zone), ..options.clone() })?,
        None => Timing::of(stamps, options)?,
    };
    // Where the header tells the zone, a row that tells its own says more.
    let is_mixed = dates.n_zoned > 0 && dates.n_naive > 0 && zone.is_none();
    let zoned_is_right = is_mixed.then_some(dates.n_zoned > dates.n_naive);
    let only_adjusted =
        source.layout.groups.iter().all(|group| group.adj_close == Some(group.close) || group.adj_close.is_none())
            && source.layout.groups.iter().any(|group| group.adj_close.is_some());
    let price_basis = match options.price_basis {
        Some(PriceBasis::Adjusted) if source.layout.groups.iter().any(|group| group.adj_close.is_none()) => {
            return Err(ReadError::BadOption {
                option: "price_basis",
                message: "the file has no adjusted close".to_owned(),
            });
        }
        Some(basis) => basis,
        None if only_adjusted => PriceBasis::Adjusted,
        None => PriceBasis::Raw,
    };
    refuse_mixed_basis(source, numbers)?;
    let signs_are_directions = signs_are_directions(source);
    if signs_are_directions {
        let message = "most prices have a sign, + or -: it tells the direction of the day, not of the price";
        source.notes.push(Note { code: "signed_prices", message: message.to_owned() });
    }
    let price_divisor = if has_fixed_point(source) { FIXED_POINT } else { 1.0 };
    if price_divisor > 1.0 {
        let message = "the prices are whole numbers of billionths (Databento's fixed point): they were divided";
        source.notes.push(Note { code: "price_unit", message: message.to_owned() });
    }
    let says_true = |column: &usize| source.sheet.cells(*column).any(|(_, text)| text.eq_ignore_ascii_case("true"));
    source.layout.is_complete = source.layout.is_complete.filter(says_true);
    let is_main = |column: &usize| source.sheet.cells(*column).any(|(_, series)| series.trim() == bars::MAIN_SERIES);
    let series = source.layout.series.filter(is_main);
    let rules = Rules {
        clocks,
        numbers,
        timing,
        price_basis,
        zoned_is_right,
        reads_tickers,

        series,
        price_divisor,
        signs_are_directions,
    };
    Ok((rules, dates))
}

/// What Databento's whole numbers are to be divided by.
const FIXED_POINT: f64 = 1e9;

/// Whether a file has Databento's columns and its prices no decimals, as they come unless pretty prices are asked for.
fn has_fixed_point(source: &Source) -> bool {
    const FEW: usize = 100;
    let has = |wanted: &str| source.layout.names.iter().any(|name| columns::key(name) == wanted);
    let is_whole = |(_, text): (u64, &str)| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    has("rtype")
        && has("publisherid")
        && source.layout.groups.iter().all(|group| source.sheet.cells(group.close).take(FEW).all(is_whole))
}

/// Whether times without signs count seconds: `5900` is 00:59:00 where another row has `10000`, else no time at all. Where
/// all short ones are hours and minutes a few long ones are typing errors.
fn has_seconds(source: &Source) -> bool {
    let Some(column) = source.layout.time else { return false };
    let (mut n_long, mut n_short, mut n_no_minutes) = (0_usize, 0_usize, 0_usize);
    for (_, text) in source.sheet.cells(column) {
        let text = text.trim();
        match text.len() {
            _ if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) => {}
            5.. => n_long += 1,
            _ => {
                n_short += 1;
                n_no_minutes += usize::from(clock::compact_time(text).is_none());
            }
        }
    }
    n_long > n_short || (n_long > 0 && n_no_minutes > 0)
}

/// Whether + and - before prices tell whether the day went up or down, as Korean brokers write it.
fn signs_are_directions(source: &Source) -> bool {
    const HEAD: usize = 200;
    let prices = |n_rows: usize| {
        let columns = source.layout.groups.iter().flat_map(|group| [group.open, group.high, group.low, group.close]);
        columns.flat_map(move |column| (0..n_rows).map(move |row| source.sheet.cell(column, row).as_bytes().first()))
    };
    let count = |n_rows: usize, sign: u8| prices(n_rows).filter(|first| *first == Some(&sign)).count();
    let n_head = source.sheet.n_rows().min(HEAD);
    if count(n_head, b'+') == 0 && count(n_head, b'-') == 0 {
        return false;
    }
    let n_rows = source.sheet.n_rows();
    let (n_plus, n_minus) = (count(n_rows, b'+'), count(n_rows, b'-'));
    match (n_plus, n_minus) {
        (1.., 1..) => (n_plus + n_minus) * 2 > prices(n_rows).count(),
        (0, 1..) => is_of_falling_days(source),
        _ => false,
    }
}

/// Whether all prices have a minus, and as numbers below zero the highest would be the lowest.
fn is_of_falling_days(source: &Source) -> bool {
    let value = |column: usize, row: usize| NumberFormat::DOT.price(source.sheet.cell(column, row)).ok();
    source.layout.groups.iter().all(|group| {
        let ends = (0..source.sheet.n_rows()).filter_map(|row| Some((value(group.high, row)?, value(group.low, row)?)));
        let ends: Vec<(f64, f64)> = ends.collect();
        ends.iter().all(|(high, low)| high <= low && *low < 0.0) && ends.iter().any(|(high, low)| high < low)
    })
}

/// An adjusted close beside an open, high and low as traded is no bar: it lies outside its own range.
fn refuse_mixed_basis(source: &Source, numbers: NumberFormat) -> Result<(), ReadError> {
    for group in &source.layout.groups {
        if group.adj_close != Some(group.close) || group.adj_open.is_some() {
            continue;
        }
        let value = |column: usize, row: usize| numbers.price(source.sheet.cell(column, row)).ok();
        let is_outside = |row: usize| {
            let (high, low, close) = (value(group.high, row)?, value(group.low, row)?, value(group.close, row)?);
            Some(high >= low && (close > high * 1.0005 || close < low * 0.9995))
        };
        let rows: Vec<bool> = (0..source.sheet.n_rows()).filter_map(is_outside).collect();
        let n_outside = rows.iter().filter(|is_outside| **is_outside).count();
        if n_outside * 20 > rows.len() {
            let message = format!(
                "the close {:?} is adjusted, but open, high and low are as traded: {n_outside} of {} closes lie outside of \
                 their day's range; send the close as traded too, or all four adjusted",
                source.layout.names[group.close],
                rows.len()
            );
            return Err(ReadError::unusable("mixed_price_basis", message));
        }
    }
    Ok(())
}

/// Stamps of the first ticker, as many as show how far apart bars stand.
fn stamps(source: &Source, clocks: Clocks, reads_tickers: bool) -> Vec<super::dates::Stamp> {
    let (sheet, layout) = (&source.sheet, &source.layout);
    let ticker = layout.ticker.filter(|_| reads_tickers);
    let name = |row: usize| ticker.map_or("", |column| sheet.cell(column, row));
    (0..sheet.n_rows())
        .take_while(|row| *row < SAMPLE)
        .filter(|row| name(*row) == name(0))
        .filter_map(|row| {
            let time = layout.time.map(|column| sheet.cell(column, row));
            clocks.stamp(sheet.cell(layout.date, row), time)
        })
        .collect()
}

/// The decimal sign, by the evidence of all prices, then of volumes.
fn number_format(source: &Source, options: &ReadOptions) -> Result<NumberFormat, ReadError> {
    match options.decimal.as_deref() {
        Some("." | "dot") => return Ok(NumberFormat::DOT),
        Some("," | "comma") => return Ok(NumberFormat::COMMA),
        Some(other) => {
            return Err(ReadError::BadOption { option: "decimal", message: format!("{other:?} is neither . nor ,") });
        }
        None if source.is_typed => return Ok(NumberFormat::DOT),
        None => fractions::refuse(source)?,
    }
    if !source.has_commas {
        return Ok(NumberFormat::DOT);
    }
    let mut tally = Tally::default();
    for group in &source.layout.groups {
        for column in [group.open, group.high, group.low, group.close] {
            source.sheet.cells(column).for_each(|(line, text)| tally.count(line, text));
        }
    }
    if tally.is_open() {
        for (_, column) in source.layout.groups.iter().flat_map(|group| &group.volumes) {
            source.sheet.cells(*column).for_each(|(line, text)| tally.count(line, text));
        }
    }
    // What changes by percent is written as prices are: `"2,568"` beside `"0,15%"`.
    if tally.is_open() {
        (tally.n_dot, tally.n_comma) = source.signs_beside;
    }
    let habit = source.layout.groups.first().map(|group| habit(&source.layout.names[group.high]));
    tally.format(source.commas_are_quoted, habit.unwrap_or(Habit::Either))
}

/// How the people who write such a header part thousands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    /// By commas: Korea, Japan, China.
    Comma,
    /// By commas as a rule: English.
    English,
    /// By dots or by commas.
    Either,
}

/// Told by the name of the highest price, which differs most between languages.
fn habit(name: &str) -> Habit {
    let key = columns::key(name);
    let is_east_asian = |c: char| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '가'..='힣');
    if key.contains(is_east_asian) {
        Habit::Comma
    } else if key.contains("high") || matches!(key.as_str(), "h" | "hi") {
        Habit::English
    } else {
        Habit::Either
    }
}

#[derive(Default)]
struct Tally {
    n_dot: usize,
    n_comma: usize,
    by_comma: Option<(u64, String)>,
    by_dot: Option<(u64, String)>,
    n_whole_below_thousand: usize,
}

impl Tally {
    fn count(&mut self, line: u64, text: &str) {
        match numbers::evidence(text) {
            Evidence::Dot => self.n_dot += 1,
            Evidence::Comma => self.n_comma += 1,
            Evidence::EitherByDot => {
                self.by_dot.get_or_insert_with(|| (line, text.to_owned()));
            }
            Evidence::EitherByComma => {
                self.by_comma.get_or_insert_with(|| (line, text.to_owned()));
            }
            Evidence::None => {
                let is_whole = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
                self.n_whole_below_thousand += usize::from(is_whole && text != "0");
            }
        }
    }

    fn is_open(&self) -> bool {
        self.n_dot == 0 && self.n_comma == 0
    }

    fn format(&self, commas_are_quoted: bool, habit: Habit) -> Result<NumberFormat, ReadError> {
        if !self.is_open() {
            let (few, many) = (self.n_dot.min(self.n_comma), self.n_dot.max(self.n_comma));
            if few * 20 > many {
                return Err(ReadError::unusable(
                    "ambiguous_number",
                    format!(
                        "{} prices have a dot for decimals and {} a comma: pass decimal=. or decimal=,",
                        self.n_dot, self.n_comma
                    ),
                ));
            }
            return Ok(if self.n_dot > self.n_comma { NumberFormat::DOT } else { NumberFormat::COMMA });
        }
        let (line, text) = match (&self.by_comma, &self.by_dot, habit) {
            (None, None, _) | (_, _, Habit::Comma) | (None, Some(_), Habit::English) => return Ok(NumberFormat::DOT),
            // Whole numbers below 1,000 say that a comma groups thousands; so does an English header where fields are
            // parted by commas.
            (Some(_), _, _) if self.n_whole_below_thousand > 0 => return Ok(NumberFormat::DOT),
            (Some(_), _, Habit::English) if commas_are_quoted => return Ok(NumberFormat::DOT),
            (Some(open), _, _) | (None, Some(open), _) => open,
        };
        let whole = text.replace([',', '.'], "");
        let parted = text.replace(',', ".");
        let (by_dot, by_comma) = if text.contains(',') { (&whole, &parted) } else { (&parted, &whole) };
        Err(ReadError::unusable(
            "ambiguous_number",
            format!("{text:?} is {by_dot} (decimal=.) or {by_comma} (decimal=,): no row decides it, pass decimal"),
        )
        .on_line(*line))
    }
}
