//! Cells to bars: each row becomes a bar, a refusal, or a note.

use std::collections::HashMap;
use std::ops::Range;

use super::dates::Order;
use super::layout::Group;
use super::numbers::{NumberFormat, NumberIssue};
use super::refusals::{Refusals, Skipped};
use super::sheet::Source;
use super::stamps::Clocks;
use super::timing::Timing;
use super::{IngestLimits, PriceBasis, ReadError, Refusal};
use crate::domain::bar::RawBar;
use crate::domain::{Bar, BarTime, Ticker};

/// How the cells of a table are read.
#[derive(Debug)]
pub(super) struct Rules {
    pub clocks: Clocks,
    pub numbers: NumberFormat,
    pub timing: Timing,
    pub price_basis: PriceBasis,
    /// Whether rows with a zone are the many, and those without the few; `None` where all are alike.
    pub zoned_is_right: Option<bool>,
    /// Whether the ticker column names tickers.
    pub reads_tickers: bool,
    /// The column of India's series, where some rows are of the main one.
    pub series: Option<usize>,
    /// By how much prices are to be divided.
    pub price_divisor: f64,
    /// Whether + and - before a price tell the direction of the day.
    pub signs_are_directions: bool,
}

/// A bar and where it stood.
#[derive(Debug)]
pub(super) struct Placed {
    pub bar: Bar,
    /// When its row stands: finer than the bar's own time where several rows make one session.
    pub instant: BarTime,
    pub line: u32,
    /// Whether it is of another series than the exchange's main one: a block deal, an odd lot.
    pub is_aside: bool,
}

/// The bars of one ticker, in the order of the file.
#[derive(Debug)]
pub(super) struct Rows {
    pub ticker: Option<Ticker>,
    pub bars: Vec<Placed>,
    pub refused: usize,
    pub n_up: usize,
    pub n_down: usize,
}

/// What a row says.
enum Row {
    Bar { bar: Bar, instant: BarTime },
    Halted,
    Zero,
    Empty,
    Event,
    Running,
}

/// A cell that makes its row no bar.
struct Fault {
    column: &'static str,
    text: String,
    code: &'static str,
    message: String,
}

/// Of a share's several series at NSE (`BL` are block deals, `N1` bonds) the one whose bars are the share's.
pub(super) const MAIN_SERIES: &str = "EQ";
/// Those that a share is moved to for a time.
const IN_PLACE_OF_MAIN: [&str; 4] = [MAIN_SERIES, "BE", "BZ", ""];

/// What a stretch of rows says.
#[derive(Debug)]
pub(super) struct Part {
    pub tickers: Vec<Rows>,
    pub skipped: Skipped,
    pub refusals: Refusals,
}

/// Reads a stretch of rows.
///
/// # Errors
/// More tickers than the cap.
pub(super) fn read(
    source: &Source,
    rules: &Rules,
    limits: &IngestLimits,
    stretch: Range<usize>,
) -> Result<Part, ReadError> {
    let (sheet, layout) = (&source.sheet, &source.layout);
    let mut all: Vec<Rows> = Vec::new();
    let mut by_name: HashMap<String, usize> = HashMap::new();
    let mut skipped = Skipped::default();
    let mut refusals = Refusals::new(limits.max_refusals_reported);
    let mut last: Option<(&str, usize)> = None;
    for row in stretch {
        let line = sheet.line(row);
        let date = sheet.cell(layout.date, row);
        let time = layout.time.map(|column| sheet.cell(column, row));
        let stamp = rules.clocks.stamp(date, time);
        let is_aside = rules.series.is_some_and(|column| !IN_PLACE_OF_MAIN.contains(&sheet.cell(column, row).trim()));
        for group in &layout.groups {
            let name = match (&group.ticker, layout.ticker) {
                (Some(name), _) => name.as_str(),
                (None, Some(column)) if rules.reads_tickers => match sheet.cell(column, row) {
                    "" => {
                        refusals.push(|| bad_ticker(line, ""));
                        continue;
                    }
                    name => name,
                },
                _ => "",
            };
            let at = match last {
                Some((known, at)) if known == name => at,
                _ => {
                    let Some(at) = place(name, &mut all, &mut by_name) else {
                        refusals.push(|| bad_ticker(line, name));
                        continue;
                    };
                    last = Some((name, at));
                    at
                }
            };
            if all.len() > limits.max_tickers {
                let max = limits.max_tickers;
                return Err(ReadError::OverLimit { code: "too_many_tickers", what: "tickers", max });
            }
            let rows = &mut all[at];
            match read_row(source, rules, group, row, stamp) {
                Ok(Row::Bar { bar, instant }) => rows.push(Placed { bar, instant, line, is_aside }),
                Ok(Row::Halted) => skipped.halted.add(line),
                Ok(Row::Zero) => skipped.zero.add(line),
                Ok(Row::Empty) if layout.groups.len() > 1 => {}
                Ok(Row::Empty) => skipped.empty.add(line),
                Ok(Row::Event) => skipped.events.add(line),
                Ok(Row::Running) => skipped.running.add(line),
                Err(fault) => {
                    rows.refused += 1;
                    let ticker = rows.ticker.clone();
                    refusals.push(|| Refusal {
                        line: u64::from(line),
                        column: Some(fault.column),
                        text: fault.text.chars().take(100).collect(),
                        code: fault.code,
                        message: fault.message,
                        ticker,
                    });
                }
            }
        }
    }
    Ok(Part { tickers: all, skipped, refusals })
}

impl Rows {
    fn push(&mut self, next: Placed) {
        self.count_step(&next);
        self.bars.push(next);
    }

    fn count_step(&mut self, next: &Placed) {
        if let Some(before) = self.bars.last() {
            self.n_up += usize::from(before.instant < next.instant);
            self.n_down += usize::from(before.instant > next.instant);
        }
    }

    /// Takes up the same ticker's rows of later lines.
    pub(super) fn append(&mut self, later: Self) {
        if let Some(first) = later.bars.first() {
            self.count_step(first);
        }
        self.n_up += later.n_up;
        self.n_down += later.n_down;
        self.refused += later.refused;
        self.bars.extend(later.bars);
    }
}

/// The rows of a ticker's name; `None` for a name that is none.
fn place(name: &str, all: &mut Vec<Rows>, by_name: &mut HashMap<String, usize>) -> Option<usize> {
    if let Some(at) = by_name.get(name) {
        return Some(*at);
    }
    let ticker = match name {
        "" => None,
        name => Some(ticker_of(name)?),
    };
    let same = ticker.as_ref().and_then(|ticker| all.iter().position(|rows| rows.ticker.as_ref() == Some(ticker)));
    let at = same.unwrap_or_else(|| {
        all.push(Rows { ticker, bars: Vec::new(), refused: 0, n_up: 0, n_down: 0 });
        all.len() - 1
    });
    by_name.insert(name.to_owned(), at);
    Some(at)
}

/// A ticker as vendors write it: `'000001`, `ETH/USDT`, `NASDAQ:AAPL`.
pub(super) fn ticker_of(name: &str) -> Option<Ticker> {
    let name = name.trim().trim_start_matches(['\'', '=', '"', '#']).trim_end_matches('"');
    let name = name.rsplit_once(':').map_or(name, |(_, name)| name);
    name.replace('/', "-").parse().ok()
}

fn bad_ticker(line: u32, name: &str) -> Refusal {
    Refusal {
        line: u64::from(line),
        column: Some("ticker"),
        text: name.chars().take(100).collect(),
        code: "bad_ticker",
        message: match name.parse::<Ticker>() {
            Err(_) if name.is_empty() => "the ticker is missing, which other rows have".to_owned(),
            Err(error) => error.to_string(),
            Ok(_) => format!("{name:?} is not a ticker"),
        },
        ticker: None,
    }
}

fn read_row(
    source: &Source,
    rules: &Rules,
    group: &Group,
    row: usize,
    stamp: Option<super::dates::Stamp>,
) -> Result<Row, Fault> {
    let sheet = &source.sheet;
    let cell = |column: usize| sheet.cell(column, row);
    let price = |column: usize| {
        let value = rules.numbers.price(cell(column)).map(|price| price / rules.price_divisor);
        if rules.signs_are_directions { value.map(f64::abs) } else { value }
    };
    let prices = [group.open, group.high, group.low, group.close].map(price);
    let was_not_traded = |column: usize| {
        let volume = group.volumes.first().map(|(_, column)| rules.numbers.volume(cell(*column)));
        cell(column) == "0" && matches!(volume, Some(Err(NumberIssue::Missing) | Ok(0.0)))
    };
    if source.layout.trade_status.is_some_and(was_not_traded) {
        return Ok(Row::Halted);
    }
    if source.layout.is_complete.is_some_and(|column| cell(column).eq_ignore_ascii_case("false")) {
        return Ok(Row::Running);
    }
    // Four times NaN is a minute without a trade; one beside prices is an error of the file.
    let is_none = |price: &Result<f64, NumberIssue>| {
        matches!(price, Err(NumberIssue::Missing))
            || (*price == Err(NumberIssue::NotFinite) && is_nan(cell(group.open)))
    };
    if prices.iter().all(is_none) {
        return Ok(Row::Empty);
    }
    if prices[0] == Err(NumberIssue::NotANumber) && is_event(cell(group.open)) {
        return Ok(Row::Event);
    }
    let Some(stamp) = stamp else { return Err(bad_date(source, rules, row)) };
    if let Some(zoned) = rules.zoned_is_right {
        let is_wrong = if zoned { stamp.offset.is_none() && stamp.second.is_some() } else { stamp.offset.is_some() };
        if is_wrong {
            let text = cell(source.layout.date).to_owned();
            let message = format!("{text:?} {} a time zone, unlike most rows", if zoned { "lacks" } else { "has" });
            return Err(Fault { column: "date", text, code: "mixed_timezone", message });
        }
    }
    if let [Ok(open), Ok(high), Ok(low), Ok(close)] = prices
        && open == 0.0
        && high == 0.0
        && low == 0.0
        && close >= 0.0
    {
        return Ok(if close > 0.0 { Row::Halted } else { Row::Zero });
    }
    let names = ["open", "high", "low", "close"];
    let columns = [group.open, group.high, group.low, group.close];
    let mut values = [0.0; 4];
    for (idx, price) in prices.into_iter().enumerate() {
        values[idx] = price.map_err(|issue| bad_number(names[idx], cell(columns[idx]), issue))?;
    }
    let mut volume = match group.volumes.first() {
        Some((_, column)) => match rules.numbers.volume(cell(*column)) {
            Ok(value) => Some(value * group.volume_scale),
            Err(NumberIssue::Missing) => None,
            Err(issue) => return Err(bad_number("volume", cell(*column), issue)),
        },
        None => None,
    };
    if rules.price_basis == PriceBasis::Adjusted {
        values = adjusted(source, rules, group, row, values, &mut volume)?;
    }
    let [open, high, low, close] = without_noise(values);
    let (at, instant) = (rules.timing.at(&stamp), rules.timing.instant(&stamp));
    let bar = Bar::new(RawBar { at, open, high, low, close, volume });
    bar.map(|bar| Row::Bar { bar, instant }).map_err(|error| {
        let column = error.column();
        let at = match column {
            "date" => source.layout.date,
            "volume" => group.volumes.first().map_or(source.layout.date, |(_, column)| *column),
            name => names.iter().position(|known| *known == name).map_or(group.close, |idx| columns[idx]),
        };
        Fault { column, text: cell(at).trim().to_owned(), code: error.code(), message: error.to_string() }
    })
}

/// Prices that were multiplied by an adjustment differ in last places: a close of 15.412372589111328 is no higher than a
/// highest price of 15.412372589111326.
fn without_noise([open, high, low, close]: [f64; 4]) -> [f64; 4] {
    const NOISE: f64 = 1e-9;
    let (top, bottom) = (open.max(close), open.min(close));
    let high = if top > high && top - high <= top * NOISE { top } else { high };
    let low = if bottom < low && low - bottom <= low * NOISE { bottom } else { low };
    [open, high, low, close]
}

fn is_nan(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("nan")
}

/// `0.25 Dividend`, `4:1 Stock Split`: tables of web pages tell such things between the sessions.
pub(super) fn is_event(text: &str) -> bool {
    let lower = text.trim().to_lowercase();
    ["dividend", "dividends", "split", "splits", "capital gain", "capital gains", "배당", "분할"]
        .iter()
        .any(|ending| lower.ends_with(ending))
}

/// The whole bar on the scale of the adjusted close: by the adjusted columns where they are, else by the ratio.
fn adjusted(
    source: &Source,
    rules: &Rules,
    group: &Group,
    row: usize,
    raw: [f64; 4],
    volume: &mut Option<f64>,
) -> Result<[f64; 4], Fault> {
    let Some(column) = group.adj_close.filter(|column| *column != group.close) else { return Ok(raw) };
    let value = |name: &'static str, column: usize| {
        let text = source.sheet.cell(column, row);
        rules.numbers.price(text).map_err(|issue| bad_number(name, text, issue))
    };
    let close = value("adj_close", column)?;
    if let Some(column) = group.adj_volume {
        *volume = rules.numbers.volume(source.sheet.cell(column, row)).ok().or(*volume);
    }
    if let (Some(open), Some(high), Some(low)) = (group.adj_open, group.adj_high, group.adj_low) {
        return Ok([value("adj_open", open)?, value("adj_high", high)?, value("adj_low", low)?, close]);
    }
    let ratio = close / raw[3];
    let [open, high, low, _] = raw.map(|price| price * ratio);
    // The close is kept to the digit; rounding must not push it out of its own range.
    Ok([open.clamp(low.min(close), high.max(close)), high.max(close), low.min(close), close])
        .map(|bar| if raw[3] > raw[1] || raw[3] < raw[2] { [open, high, low, close] } else { bar })
}

fn bad_number(column: &'static str, text: &str, issue: NumberIssue) -> Fault {
    let text: String = text.trim().chars().take(100).collect();
    let message = match issue {
        NumberIssue::Missing if text.is_empty() => format!("{column} is empty"),
        NumberIssue::Missing => format!("{column} {text:?} is no value"),
        NumberIssue::NotFinite => format!("{column} {text:?} is not a finite number"),
        NumberIssue::NotANumber => format!("{column} {text:?} is not a number"),
    };
    Fault { column, text, code: issue.code(), message }
}

fn bad_date(source: &Source, rules: &Rules, row: usize) -> Fault {
    let text = source.sheet.cell(source.layout.date, row).trim().to_owned();
    let shown: String = text.chars().take(60).collect();
    if text.len() > 2 && text.bytes().all(|byte| byte == b'#') {
        let message = "the date was saved as ########: widen the column in the spreadsheet and save again".to_owned();
        return Fault { column: "date", text, code: "not_a_timestamp", message };
    }
    let how = match rules.clocks.order {
        Order::Ymd => "",
        Order::Dmy => " with the day first, as the other rows have it",
        Order::Mdy => " with the month first, as the other rows have it",
        Order::Roc => " of the Republic of China, as the other rows have it",
        Order::Buddhist => " of the Buddhist era, as the other rows have it",
        Order::Excel => " counted in days, as the other rows have it",
        Order::Month => " of a year and a month, as the other rows have it",
    };
    Fault { column: "date", text, code: "not_a_timestamp", message: format!("{shown:?} is not a date{how}") }
}
