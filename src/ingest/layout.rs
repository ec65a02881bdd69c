//! Which column is which: by header names, or by what the caller says.

use super::columns::{self, Named, Role};
use super::names::UNSURE;
use super::{ReadError, ReadOptions, date_column, date_parts, rivals};

/// The columns of a table by their meaning; positions count from 0.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// Header texts, one a column.
    pub names: Vec<String>,
    pub date: usize,
    pub time: Option<usize>,
    pub ticker: Option<usize>,
    /// India's series of a share (`EQ`, `BE`, `BL`).
    pub series: Option<usize>,
    /// Where Baostock writes 0 for a day on which a share was not traded.
    pub trade_status: Option<usize>,
    /// Where OANDA and others write whether a bar's time is over.
    pub is_complete: Option<usize>,
    /// Whether the ticker column is one of names (`Apple`, `삼성전자`), not of codes.
    pub ticker_is_name: bool,
    /// Whether it names tickers only if it tells rows of one date apart.
    pub ticker_is_unsure: bool,
    /// One for each ticker that has columns of its own; a long or a single-ticker file has one.
    pub groups: Vec<Group>,
    /// Dates and times whose parts stand in columns of their own.
    pub joined: Vec<Joined>,
    /// Tickers whose columns stand beside the file's own prices.
    pub left_out: Vec<String>,
    /// Tickers some of whose prices have no column.
    pub incomplete: Vec<String>,
}

/// Columns that are read as one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Joined {
    /// The column that takes the whole.
    pub at: usize,
    /// Its parts in order.
    pub parts: Vec<usize>,
    /// What stands between them.
    pub sign: char,
}

/// The columns of one ticker.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Group {
    /// The ticker that the header names.
    pub ticker: Option<String>,
    pub open: usize,
    pub high: usize,
    pub low: usize,
    pub close: usize,
    /// Candidates, surest first: `(tier, column)`.
    pub volumes: Vec<(u8, usize)>,
    /// How many units one of the volume's numbers is.
    pub volume_scale: f64,
    pub adj_open: Option<usize>,
    pub adj_high: Option<usize>,
    pub adj_low: Option<usize>,
    pub adj_close: Option<usize>,
    pub adj_volume: Option<usize>,
}

/// The layout of a table whose names are known (Parquet).
///
/// # Errors
/// As [`resolve`].
pub(super) fn of_names(names: Vec<String>, sample: &[Vec<String>], options: &ReadOptions) -> Result<Layout, ReadError> {
    match &options.columns {
        Some(columns) if !columns.contains(':') => by_position(columns),
        _ => resolve(names, None, sample, options),
    }
}

/// `date,open,high,low,close,volume`: one name a column, `-` for one that is not read.
///
/// # Errors
/// A word that is no column's name.
pub(super) fn by_position(columns: &str) -> Result<Layout, ReadError> {
    let bad = |message: String| ReadError::BadOption { option: "columns", message };
    let mut found = Vec::new();
    let names: Vec<String> = columns.split(',').map(|name| name.trim().to_owned()).collect();
    for (idx, name) in names.iter().enumerate() {
        if name.is_empty() || name == "-" || name == "_" {
            continue;
        }
        let role = Role::of_name(name).or_else(|| columns::named(name).map(|named| named.role));
        let Some(role) = role else {
            return Err(bad(format!(
                "{name:?} is none of date, time, ticker, open, high, low, close, volume, adj_close, -"
            )));
        };
        found.push((idx, Named { role, tier: 0, ticker: None }));
    }
    assemble(names, found, None)
}

/// The roles of named columns, the caller's choices first.
///
/// # Errors
/// `missing_column`, `duplicate_column`, or a choice of the caller that names no column.
pub(super) fn resolve(
    names: Vec<String>,
    tickers: Option<&[String]>,
    sample: &[Vec<String>],
    options: &ReadOptions,
) -> Result<Layout, ReadError> {
    let mut found = columns::all_named(&names);
    rivals::small_letters_first(&names, &mut found);
    rivals::drop_flags(sample, &mut found);
    rivals::find_capacity(&names, &mut found);
    if let Some(chosen) = &options.columns {
        for choice in chosen.split(',').filter(|choice| !choice.trim().is_empty()) {
            choose(choice, &names, &mut found)?;
        }
    }
    if let Some(tickers) = tickers {
        for (idx, named) in &mut found {
            let ticker = tickers.get(*idx).filter(|ticker| named.role.is_per_ticker() && !ticker.is_empty());
            named.ticker = ticker.cloned();
        }
        // In `Price,Close,High` of yfinance the first name is the index's.
        found.retain(|(idx, named)| *idx > 0 || !named.role.is_per_ticker());
    }
    let incomplete = only_whole_groups_have_tickers(&mut found);
    let joined = date_parts::find(&names, sample, &mut found);
    date_column::decide(&names, sample, &mut found);
    rivals::drop_opens_outside(sample, &mut found);
    if options.columns.is_none() {
        rivals::find_units_of_money(&names, sample, &mut found);
    }
    Ok(Layout { joined, incomplete, ..assemble(names, found, tickers)? })
}

/// `close:Last` takes the column named `Last` for the close; `volume:-` takes none.
fn choose(choice: &str, names: &[String], found: &mut Vec<(usize, Named)>) -> Result<(), ReadError> {
    let bad = |message: String| ReadError::BadOption { option: "columns", message };
    let (role_name, header) = choice.split_once(':').ok_or_else(|| bad(format!("{choice:?} has no ':'")))?;
    let (role_name, header) = (role_name.trim(), header.trim());
    let role = Role::of_name(role_name)
        .ok_or_else(|| bad(format!("{role_name:?} is none of date, time, ticker, open, high, low, close, volume")))?;
    if header == "-" {
        found.retain(|(_, named)| named.role != role);
        return Ok(());
    }
    let at = names
        .iter()
        .position(|name| name.trim() == header)
        .or_else(|| names.iter().position(|name| columns::key(name) == columns::key(header)))
        .ok_or_else(|| bad(format!("the file has no column {header:?}: it has {}", list(names))))?;
    found.retain(|(idx, named)| *idx != at && named.role != role);
    found.push((at, Named { role, tier: 0, ticker: None }));
    Ok(())
}

/// `Volume ETH` beside a plain `open` is a volume, not the column of a ticker ETH: a ticker in headers counts where its four
/// prices are there. Prices of one that lacks some may be the file's own; those of several, or beside a whole one, would
/// make a bar of two tickers: they are left out and told.
fn only_whole_groups_have_tickers(found: &mut Vec<(usize, Named)>) -> Vec<String> {
    const PRICES: [Role; 5] = [Role::Open, Role::High, Role::Low, Role::Close, Role::AdjClose];
    let has = |ticker: &String, role: Role| {
        found.iter().any(|(_, named)| named.role == role && named.ticker.as_ref() == Some(ticker))
    };
    let mut tickers: Vec<String> = found.iter().filter_map(|(_, named)| named.ticker.clone()).collect();
    tickers.sort_unstable();
    tickers.dedup();
    let (whole, partial): (Vec<String>, Vec<String>) = tickers.into_iter().partition(|ticker| {
        PRICES[..3].iter().all(|role| has(ticker, *role)) && PRICES[3..].iter().any(|role| has(ticker, *role))
    });
    let priced: Vec<String> =
        partial.iter().filter(|ticker| PRICES.iter().any(|role| has(ticker, *role))).cloned().collect();
    // `CH_OPENING_PRICE` beside `CH_TRADE_HIGH_PRICE` has a prefix, not two tickers.
    let prefix = |ticker: &String| ticker.split(|c: char| !c.is_alphanumeric()).next().map(str::to_owned);
    let is_one = priced.iter().all(|ticker| prefix(ticker) == prefix(&priced[0])) && whole.is_empty();
    let is_mixed = !priced.is_empty() && !is_one;
    let is_of =
        |named: &Named, tickers: &[String]| named.ticker.as_ref().is_some_and(|ticker| tickers.contains(ticker));
    if is_mixed {
        found.retain(|(_, named)| !is_of(named, &priced));
    }
    for (_, named) in found.iter_mut().filter(|(_, named)| is_of(named, &partial)) {
        named.ticker = None;
    }
    if is_mixed { priced } else { Vec::new() }
}

fn assemble(names: Vec<String>, found: Vec<(usize, Named)>, tickers: Option<&[String]>) -> Result<Layout, ReadError> {
    let pick = |role: Role, ticker: Option<&String>| pick(&names, &found, role, ticker);
    let mut of: Vec<Option<String>> = Vec::new();
    for (_, named) in found.iter().filter(|(_, named)| named.role.is_per_ticker()) {
        if !of.contains(&named.ticker) {
            of.push(named.ticker.clone());
        }
    }
    // A whole bar without a ticker is the file's own; tickers beside it are there to be compared. Fewer plain columns
    // beside whole tickers are notes.
    let is_plain =
        |roles: &[Role]| found.iter().any(|(_, named)| roles.contains(&named.role) && named.ticker.is_none());
    let has_own = is_plain(&[Role::Open])
        && is_plain(&[Role::High])
        && is_plain(&[Role::Low])
        && is_plain(&[Role::Close, Role::AdjClose]);
    let mut left_out = Vec::new();
    if has_own {
        left_out.extend(of.iter().flatten().cloned());
        of.retain(Option::is_none);
    } else if of.iter().any(Option::is_some) {
        of.retain(Option::is_some);
    }
    if of.is_empty() {
        of.push(None);
    }
    let date = pick(Role::Date, None)?;
    let mut groups = Vec::with_capacity(of.len());
    for ticker in of {
        let ticker = ticker.as_ref();
        let price = |role: Role| pick(role, ticker);
        let adj_close = price(Role::AdjClose)?;
        let close = price(Role::Close)?.or(adj_close);
        let mut prices = [price(Role::Open)?, price(Role::High)?, price(Role::Low)?, close];
        let adjusted = [price(Role::AdjOpen)?, price(Role::AdjHigh)?, price(Role::AdjLow)?, adj_close];
        // Where all are told adjusted only, those are the bar.
        let are_adjusted = prices[..3].iter().all(Option::is_none) && close == adj_close;
        if are_adjusted {
            prices = adjusted;
        }
        let ([Some(open), Some(high), Some(low), Some(close)], true) = (prices, date.is_some()) else {
            return Err(missing(&names, prices, date, tickers));
        };
        let mut volumes: Vec<(u8, usize)> = found
            .iter()
            .filter(|(_, named)| named.role == Role::Volume && named.ticker.as_ref() == ticker)
            .map(|(idx, named)| (named.tier, *idx))
            .collect();
        volumes.extend(price(Role::AdjVolume)?.filter(|_| are_adjusted && volumes.is_empty()).map(|at| (0, at)));
        volumes.sort_unstable();
        groups.push(Group {
            ticker: ticker.cloned(),
            open,
            high,
            low,
            close,
            volumes,
            volume_scale: 1.0,
            adj_open: adjusted[0],
            adj_high: adjusted[1],
            adj_low: adjusted[2],
            adj_close,
            adj_volume: price(Role::AdjVolume)?,
        });
    }
    let time = pick(Role::Time, None)?;
    let ticker = pick(Role::Ticker, None)?;
    let Some(date) = date else { return Err(missing(&names, [None; 4], None, tickers)) };
    let called = |wanted: &str| names.iter().position(|name| columns::key(name) == wanted);
    let (series, trade_status) = (called("series"), called("tradestatus"));
    let is_complete = called("complete").or_else(|| called("iscomplete"));
    let ticker_is_unsure = found.iter().any(|(idx, named)| Some(*idx) == ticker && named.tier >= UNSURE);
    let ticker_is_name = found.iter().any(|(idx, named)| Some(*idx) == ticker && named.tier > 0);
    Ok(Layout {
        date,
        time,
        ticker,
        series,
        trade_status,
        is_complete,
        ticker_is_name,
        ticker_is_unsure,
        groups,
        names,
        joined: Vec::new(),
        left_out,
        incomplete: Vec::new(),
    })
}

/// The surest column of a role.
fn pick(
    names: &[String],
    found: &[(usize, Named)],
    role: Role,
    ticker: Option<&String>,
) -> Result<Option<usize>, ReadError> {
    let mut candidates: Vec<(u8, usize)> = found
        .iter()
        .filter(|(_, named)| named.role == role && (!role.is_per_ticker() || named.ticker.as_ref() == ticker))
        .map(|(idx, named)| (named.tier, *idx))
        .collect();
    candidates.sort_unstable();
    match candidates.as_slice() {
        [(first_tier, first), (second_tier, second), ..] if first_tier == second_tier && role != Role::Ticker => {
            Err(ReadError::Unusable {
                code: "duplicate_column",
                message: match names[*first] == names[*second] {
                    true => format!("two columns are called {:?} and differ: rename one", names[*first]),
                    false => format!(
                        "both {:?} and {:?} could be the {name}: pass columns={name}:{} or rename one",
                        names[*first],
                        names[*second],
                        names[*first],
                        name = role.name()
                    ),
                },
                line: None,
                column: Some(names[*second].clone()),
            })
        }
        [(_, first), ..] => Ok(Some(*first)),
        [] => Ok(None),
    }
}

fn missing(names: &[String], prices: [Option<usize>; 4], date: Option<usize>, tickers: Option<&[String]>) -> ReadError {
    let roles = [Role::Open, Role::High, Role::Low, Role::Close];
    let absent: Vec<&str> =
        roles.iter().zip(prices).filter(|(_, at)| at.is_none()).map(|(role, _)| role.name()).collect();
    let has = list(names);
    let has_word = |words: &[&str]| names.iter().any(|name| words.contains(&columns::key(name).as_str()));
    if has_word(&["bid", "ask", "bidprice", "askprice"]) && prices[..3].iter().all(Option::is_none) {
        let message =
            format!("the file has quotes or ticks, not bars: it has {has}; send bars with open, high, low, close");
        return ReadError::unusable("tick_data", message);
    }
    let is_side = |name: &String| {
        let key = columns::key(name);
        ["bid", "ask"].iter().any(|side| key.starts_with(side) || key.ends_with(side)) && key.len() > 3
    };
    let sides: Vec<String> = names.iter().filter(|name| is_side(name)).cloned().collect();
    if date.is_some() && absent.len() == 4 && sides.len() >= 4 {
        let bids: Vec<String> = roles
            .iter()
            .filter_map(|role| {
                let is_bid_of = |name: &&String| {
                    let key = columns::key(name);
                    key.contains("bid")
                        && columns::named(&key.replace("bid", "")).is_some_and(|named| named.role == *role)
                };
                Some(format!("{}:{}", role.name(), sides.iter().find(is_bid_of)?))
            })
            .collect();
        let message = format!(
            "the file has bars of bids and asks ({}): choose one side, as in columns={}",
            list(&sides),
            bids.join(",")
        );
        return ReadError::missing("open", message);
    }
    match (date, absent.as_slice()) {
        (None, _) => ReadError::missing(
            "date",
            format!("no column is a date: the file has {has}; name one date, or pass columns=date:NAME"),
        ),
        (_, ["open", "high", "low"]) => ReadError::missing(
            "open",
            format!(
                "the file has closes only ({has}): a bar needs open, high and low too, because the forecast's \
                 volatility is measured from them"
            ),
        ),
        _ if tickers.is_none() && absent.len() == 4 => ReadError::missing(
            "open",
            format!(
                "no column is a price: the file has {has}; a bar needs open, high, low and close: rename them, or pass \
                 columns=open:NAME,high:NAME,low:NAME,close:NAME (a column a ticker holds closes only)"
            ),
        ),
        (_, absent) => ReadError::missing(
            absent.first().copied().unwrap_or("close"),
            format!(
                "no column is {}: the file has {has}; rename one, or pass columns={}",
                absent.join(", "),
                absent.iter().map(|name| format!("{name}:HEADER")).collect::<Vec<_>>().join(",")
            ),
        ),
    }
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut shown: Vec<String> =
        names.iter().take(SHOWN).map(|name| format!("{:?}", name.chars().take(40).collect::<String>())).collect();
    if names.len() > SHOWN {
        shown.push(format!("and {} more", names.len() - SHOWN));
    }
    shown.join(", ")
}
