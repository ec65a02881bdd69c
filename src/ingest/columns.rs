//! Headers by name: what `시가`, `<OPEN>`, `1. open` and `AAPL.Open` have in common.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;

use super::names::{CURRENCIES, NAMES, OTHER_SPANS, OTHERS, QUALIFIERS};
use crate::domain::Ticker;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Role {
    Date,
    Time,
    Open,
    High,
    Low,
    Close,
    Volume,
    Ticker,
    AdjOpen,
    AdjHigh,
    AdjLow,
    AdjClose,
    AdjVolume,
}

impl Role {
    /// The name in answers and in `columns=`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Time => "time",
            Self::Open => "open",
            Self::High => "high",
            Self::Low => "low",
            Self::Close => "close",
            Self::Volume => "volume",
            Self::Ticker => "ticker",
            Self::AdjOpen => "adj_open",
            Self::AdjHigh => "adj_high",
            Self::AdjLow => "adj_low",
            Self::AdjClose => "adj_close",
            Self::AdjVolume => "adj_volume",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        ALL.iter().copied().find(|role| role.name() == name)
    }

    /// Whether several columns of a wide file can have it, one a ticker.
    pub(super) fn is_per_ticker(self) -> bool {
        !matches!(self, Self::Date | Self::Time | Self::Ticker)
    }
}

const ALL: &[Role] = &[
    Role::Date,
    Role::Time,
    Role::Open,
    Role::High,
    Role::Low,
    Role::Close,
    Role::Volume,
    Role::Ticker,
    Role::AdjOpen,
    Role::AdjHigh,
    Role::AdjLow,
    Role::AdjClose,
    Role::AdjVolume,
];

/// A header read by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub role: Role,
    /// Lower is surer; of two candidates for a role the surer one is taken, equally sure ones are refused.
    pub tier: u8,
    /// The ticker in a header such as `AAPL.Open`.
    pub ticker: Option<String>,
}

/// A header as compared: lower case, Latin letters without accents, no signs, no spaces, nothing in brackets,
/// no leading `1.`.
pub(super) fn key(header: &str) -> String {
    let header = header.trim().trim_matches(['\u{feff}', '"', '\'', '<', '>', '*', ' ', '\t']);
    // `1. open`, `5) volume`; not `52wh`.
    let digits = header.bytes().take_while(u8::is_ascii_digit).count();
    let header = match header[digits..].strip_prefix(['.', ')']) {
        Some(rest) if digits > 0 => rest,
        _ => header,
    };
    let mut depth = 0_u32;
    let mut bare = String::with_capacity(header.len());
    for c in header.chars() {
        match c {
            '(' | '[' | '（' => depth += 1,
            ')' | ']' | '）' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            c => bare.push(c),
        }
    }
    folded(&bare).filter(|c| c.is_alphanumeric() || is_mark(*c)).collect()
}

/// Thai vowels are marks, not letters; without them words would run together.
fn is_mark(c: char) -> bool {
    ('\u{e31}'..='\u{e4e}').contains(&c)
}

/// Lower case, narrow, without accents; letters that only look like accented ones become plain ones too.
fn folded(text: &str) -> impl Iterator<Item = char> {
    const ACCENTS: std::ops::RangeInclusive<char> = '\u{300}'..='\u{36f}';
    let plain = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        'ł' | 'Ł' => 'l',
        'ø' | 'Ø' => 'o',
        'đ' | 'Đ' => 'd',
        'ı' => 'i',
        other => other,
    };
    // Syllables of Korean come apart and are put together again; `Schluß` is written `Schluss` as well.
    let spelled = |c: char| if c == 'ß' { ['s', 's'].into_iter().take(2) } else { [c, c].into_iter().take(1) };
    text.nfd().filter(|c| !ACCENTS.contains(c)).nfc().map(plain).flat_map(char::to_lowercase).flat_map(spelled)
}

/// Bytes of a header at most; vendors' longest has about 120.
const MAX_HEADER: usize = 200;

/// Bytes of a name beside a ticker at most.
const LONGEST_BESIDE_TICKER: usize = 40;

/// What a header names, if anything that is read.
pub(super) fn named(header: &str) -> Option<Named> {
    if header.len() > MAX_HEADER || !header.chars().any(char::is_alphabetic) {
        return None;
    }
    let whole = key(header);
    match KNOWN.get(&whole) {
        Some(known) => known
            .filter(|(role, _)| !matches!(role, Role::Volume | Role::AdjVolume) || !is_in_money(header))
            .map(|(role, tier)| Named { role, tier, ticker: None }),
        None => qualified(header).or_else(|| in_two_scripts(header)).or_else(|| of_ticker(header)),
    }
}

/// What the headers of a table name. Where all begin alike (`prices.open` of a query, `ohlc_close`), that says nothing.
pub(super) fn all_named(headers: &[String]) -> Vec<(usize, Named)> {
    let n_common = common_prefix(headers);
    let named = |header: &String| self::named(header.get(n_common..).unwrap_or_default());
    headers.iter().enumerate().filter_map(|(at, header)| Some((at, named(header)?))).collect()
}

/// How many bytes all headers have in common, to a sign; none where that is a ticker, which vendors write in capitals.
fn common_prefix(headers: &[String]) -> usize {
    let prefix_of = |header: &String| header.rfind(['.', '_']).map(|at| header[..=at].to_owned());
    let Some(shortest) = headers.iter().filter_map(prefix_of).min_by_key(String::len) else { return 0 };
    let is_common = headers.len() >= 4 && headers.iter().all(|header| header.starts_with(&shortest));
    // Prices of one side, of another day or put right are no bars without a word.
    let says_something = |word: &String| {
        ["bid", "ask", "adj"].contains(&word.as_str()) || OTHER_SPANS.split(' ').any(|span| span == word)
    };
    let says_nothing = shortest.chars().any(char::is_lowercase) && !words(&shortest).iter().any(says_something);
    if is_common && says_nothing { shortest.len() } else { 0 }
}

/// Every known name; `None` for those that are no role's.
static KNOWN: LazyLock<HashMap<String, Option<(Role, u8)>>> = LazyLock::new(|| {
    let roles =
        NAMES.iter().flat_map(|(role, tier, names)| names.split_whitespace().map(|name| (name, Some((*role, *tier)))));
    OTHERS.split_whitespace().map(|name| (name, None)).chain(roles).map(|(name, known)| (key(name), known)).collect()
});

/// Whether a header is known to name nothing that is read.
pub(super) fn is_of_no_role(header: &str) -> bool {
    KNOWN.get(&key(header)) == Some(&None)
}

fn by_key(key: &str) -> Option<(Role, u8)> {
    KNOWN.get(key).copied().flatten()
}

static MONEY: LazyLock<HashSet<&str>> = LazyLock::new(|| CURRENCIES.split_whitespace().collect());

/// `Hacim (TL)`, `Volume_(Currency)`: what was traded as money.
fn is_in_money(header: &str) -> bool {
    let within = header.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(within, _)| within);
    words(within).iter().any(|word| MONEY.contains(word.as_str()))
        || within.contains(['$', '€', '£', '¥', '₩', '₹', '원', '円', '元'])
}

/// `Trade Open`, `PX_LAST`, `close_usd`: a known name among words that say nothing of it. Volumes in a currency are
/// no such: their worth is another number.
fn qualified(header: &str) -> Option<Named> {
    static SAY_NOTHING: LazyLock<HashSet<&str>> = LazyLock::new(|| QUALIFIERS.split_whitespace().collect());
    if is_ticker_s(header) {
        return None;
    }
    let words: Vec<String> = words(header);
    let says_nothing = |word: &str| SAY_NOTHING.contains(word) || MONEY.contains(word);
    let rest: String = words.iter().map(String::as_str).filter(|word| !says_nothing(word)).collect();
    // `mid.o` beside `bid.o` and `ask.o`; one letter tells nothing beside other words.
    let is_told = rest.len() > 1 || words.iter().any(|word| word == "mid");
    let (role, tier) = by_key(&rest).filter(|_| is_told && rest.len() < words.concat().len())?;
    let is_volume = matches!(role, Role::Volume | Role::AdjVolume);
    let is_worth = is_volume && words.iter().any(|word| word == "price" || MONEY.contains(word.as_str()));
    (role.is_per_ticker() && !is_worth).then_some(Named { role, tier: tier + 2, ticker: None })
}

/// `AR_Open`, `EGP.Close`: of what is a ticker as well as a word, the ticker stands first, in capitals that the rest lacks.
fn is_ticker_s(header: &str) -> bool {
    const ALSO_TICKERS: [&str; 6] = ["AR", "MID", "EGP", "SAR", "PHP", "TRY"];
    let (first, rest) = header.split_once(['_', '.', ' ']).unwrap_or_default();
    ALSO_TICKERS.contains(&first) && rest.contains(char::is_lowercase)
}

/// `开盘价 Open`, `التاريخ Date`: a name in two scripts, where both mean the same.
fn in_two_scripts(header: &str) -> Option<Named> {
    let part = |is_ascii: bool| key(&header.chars().filter(|c| c.is_ascii() == is_ascii).collect::<String>());
    let (one, other) = (by_key(&part(false))?, by_key(&part(true))?);
    (one.0 == other.0).then_some(Named { role: one.0, tier: one.1.max(other.1), ticker: None })
}

/// A word in lower case without accents.
pub(super) fn unaccented(word: &str) -> String {
    folded(word).collect()
}

/// A header's words in lower case, parted by signs and by capitals within (`openPrice`).
fn words(header: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in header.chars() {
        if !c.is_alphanumeric() || (after_lower && c.is_uppercase()) {
            words.push(String::new());
        }
        after_lower = c.is_lowercase();
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(folded(c.encode_utf8(&mut [0; 4])));
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `AAPL.Open`, `Open_AAPL`, `('Close', '005930.KS')`: a ticker in capitals beside a known name.
fn of_ticker(header: &str) -> Option<Named> {
    let bare = header.trim().trim_matches(['(', ')', '<', '>', '"', '\'']);
    let splits = bare.char_indices().filter(|(_, c)| matches!(c, '.' | '_' | ' ' | ':' | '|' | ',' | '-' | '/'));
    for (at, sign) in splits {
        let (left, right) = (&bare[..at], &bare[at + sign.len_utf8()..]);
        for (name, rest) in [(left, right), (right, left)] {
            let rest = rest.trim_matches([' ', '\'', '"']);
            let names_something = rest.len() >= 4 || rest.chars().any(|c| c.is_ascii_uppercase());
            // A ticker first: that is cheap, and a header has a hundred places where one could end.
            let is_ticker = names_something && !rest.chars().any(char::is_lowercase) && rest.parse::<Ticker>().is_ok();
            if !is_ticker || name.len() > LONGEST_BESIDE_TICKER {
                continue;
            }
            let name = key(name);
            let found = by_key(&name).filter(|(role, _)| role.is_per_ticker() && name.len() > 1);
            let is_other_span = || words(rest).iter().any(|word| OTHER_SPANS.split(' ').any(|other| other == word));
            if let Some((role, tier)) = found.filter(|_| !is_other_span()) {
                return Some(Named { role, tier: tier + 4, ticker: Some(rest.to_owned()) });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(header: &str) -> Option<&'static str> {
        named(header).map(|named| named.role.name())
    }

    #[test]
    fn names_of_many_vendors_mean_the_same() {
        for (header, expected) in [
            ("Open", "open"),
            (" <OPEN> ", "open"),
            ("1. open", "open"),
            ("시가", "open"),
            ("시가(원)", "open"),
            ("始値", "open"),
            ("Eröffnung", "open"),
            ("Close/Last", "close"),
            ("종가", "close"),
            ("Último", "close"),
            ("Adj. Close", "adj_close"),
            ("Adj Close**", "adj_close"),
            ("調整後終値*", "adj_close"),
            ("Vol.", "volume"),
            ("TOTAL_TRADED_QUANTITY", "volume"),
            ("売買高（株）", "volume"),
            ("TRADEDATE", "date"),
            ("Ｄａｔｅ", "date"),
            ("종목코드", "ticker"),
            ("Hight", "high"),
            ("Prezzo Apertura", "open"),
            ("Kurs maksymalny", "high"),
            ("Preț inchidere", "close"),
            ("اولین قیمت", "open"),
            ("开盘价 Open", "open"),
            ("mid.o", "open"),
        ] {
            assert_eq!(role(header), Some(expected), "{header}");
        }
        for header in [
            "昨收 Close",
            "收盘价 Prev Close",
            "ask.o",
            "Hacim (TL)",
            "prev_close",
            "Open Interest",
            "OPEN_INT",
            "52wh",
            "거래대금",
            "Change %",
            "",
            "Plot",
            "open 5",
        ] {
            assert_eq!(role(header), None, "{header}");
        }
    }

    #[test]
    fn a_ticker_may_stand_in_the_header() {
        for (header, expected, ticker) in [
            ("AAPL.Open", "open", "AAPL"),
            ("Close_MSFT", "close", "MSFT"),
            ("005930.KS High", "high", "005930.KS"),
            ("('Adj Close', 'BRK-B')", "adj_close", "BRK-B"),
        ] {
            let found = named(header).expect(header);
            assert_eq!((found.role.name(), found.ticker.as_deref()), (expected, Some(ticker)), "{header}");
        }
    }

    #[test]
    fn text_that_runs_on_names_nothing() {
        assert_eq!(role("Close price adjusted for splits"), None);
        assert_eq!(named(&"A.B.C.D.E close ".repeat(1000)), None);
        assert_eq!(role("CH_52WEEK_HIGH_PRICE"), None);
        assert_eq!(role("CH_TRADE_HIGH_PRICE"), Some("high"));
    }

    #[test]
    fn words_that_say_nothing_are_left_out_and_money_is_no_volume() {
        for (header, expected) in [
            ("Trade Open", Some("open")),
            ("PX_LAST", Some("close")),
            ("close_usd", Some("close")),
            ("High USD", Some("high")),
            ("opn_px", Some("open")),
            ("dayVolume", Some("volume")),
            ("volume_usd", None),
            ("day", Some("date")),
            ("share price change", None),
        ] {
            assert_eq!(role(header), expected, "{header}");
        }
        assert_eq!(named("PX_OPEN").and_then(|named| named.ticker), None);
        assert_eq!(named("Volume ETH").and_then(|named| named.ticker).as_deref(), Some("ETH"));
    }

    #[test]
    fn no_name_stands_twice() {
        let mut seen = std::collections::HashMap::new();
        for (role, _, names) in NAMES {
            for name in names.split_whitespace() {
                let before = seen.insert(key(name), Some(*role));
                assert!(before.is_none(), "{name} is both {before:?} and {role:?}");
            }
        }
        for name in OTHERS.split_whitespace() {
            assert!(seen.insert(key(name), None).is_none(), "{name} stands twice");
        }
    }
}
