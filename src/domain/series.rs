//! A ticker's bars in order, and what its market did beside them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Bar, BarTime};

/// How much time a bar covers: `1d` for a session, else whole minutes (`1m`, `5m`, `1h`, `4h`), or
/// `1w`/`1mo` for vendors' weekly and monthly files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Interval {
    /// Part of a session, in minutes.
    Minutes(u32),
    /// One session.
    Day,
    /// One week.
    Week,
    /// One month.
    Month,
}

impl Interval {
    /// Whether a bar is named by its session's date (else by its instant).
    pub fn is_daily_or_longer(self) -> bool {
        !matches!(self, Self::Minutes(_))
    }

    /// How a bar of this interval is named to clients: an ISO date, or RFC 3339 UTC within a day.
    pub fn label(self, at: BarTime) -> String {
        match self {
            Self::Minutes(_) => at.instant().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            _ => at.date().to_string(),
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minutes(minutes) if minutes % 60 == 0 => write!(f, "{}h", minutes / 60),
            Self::Minutes(minutes) => write!(f, "{minutes}m"),
            Self::Day => f.write_str("1d"),
            Self::Week => f.write_str("1w"),
            Self::Month => f.write_str("1mo"),
        }
    }
}

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("interval {text:?} is none of 1m … 59m, 1h … 23h, 1d, 1w, 1mo");
        match text {
            "1d" => return Ok(Self::Day),
            "1w" => return Ok(Self::Week),
            "1mo" => return Ok(Self::Month),
            _ => {}
        }
        let minutes = match (text.strip_suffix('m'), text.strip_suffix('h')) {
            (Some(minutes), _) => minutes.parse::<u32>().ok(),
            (_, Some(hours)) => hours.parse::<u32>().ok().and_then(|hours| hours.checked_mul(60)),
            _ => None,
        };
        minutes.filter(|minutes| (1..1440).contains(minutes)).map(Self::Minutes).ok_or_else(refuse)
    }
}

impl TryFrom<String> for Interval {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Interval> for String {
    fn from(interval: Interval) -> Self {
        interval.to_string()
    }
}

/// What the other tickers of a market did on one of its sessions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MarketSession {
    /// How wild it was for them: mean of ln(variance of the session / what is usual for the ticker).
    pub surprise: f64,
    /// Where they went: mean of the return in the ticker's usual daily volatilities.
    pub scaled_return: f64,
    /// How many they are.
    pub n_tickers: u32,
}

/// Bars of one ticker at one interval, strictly ascending in time; with each of them, where it is known, the session of
/// the ticker's market.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    interval: Interval,
    bars: Vec<Bar>,
    /// One a bar, or none at all where none is known.
    market: Vec<Option<MarketSession>>,
}

/// Bars that are not in order, or two at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bar {bar_idx} does not stand after the one before it")]
pub struct SeriesError {
    /// Position of the first bar out of order.
    pub bar_idx: usize,
}

impl Series {
    /// Takes bars that ascend strictly in time.
    ///
    /// # Errors
    /// When two bars share a time or descend; names the position.
    pub fn new(interval: Interval, bars: Vec<Bar>) -> Result<Self, SeriesError> {
        match bars.windows(2).position(|pair| pair[0].at() >= pair[1].at()) {
            Some(before) => Err(SeriesError { bar_idx: before + 1 }),
            None => Ok(Self { interval, bars, market: Vec::new() }),
        }
    }

    /// How much time a bar covers.
    pub fn interval(&self) -> Interval {
        self.interval
    }

    /// The bars, ascending.
    pub fn bars(&self) -> &[Bar] {
        &self.bars
    }

    /// The same bars, each beside what `session` says of its time.
    pub fn in_market(self, session: impl FnMut(BarTime) -> Option<MarketSession>) -> Self {
        let mut market: Vec<_> = self.bars.iter().map(Bar::at).map(session).collect();
        if market.iter().all(Option::is_none) {
            market.clear();
        }
        Self { market, ..self }
    }

    /// What the market did at bar `bar_idx`; `None` where that is not known.
    pub fn market(&self, bar_idx: usize) -> Option<MarketSession> {
        self.market.get(bar_idx).copied().flatten()
    }

    /// Whether these are the bars of `other`, market and all, and perhaps newer ones.
    pub fn continues(&self, other: &Self) -> bool {
        self.bars.starts_with(&other.bars) && (0..other.len()).all(|idx| self.market(idx) == other.market(idx))
    }

    /// What the market did, as a number below 2^53 (a float holds it) to tell it from another one; 0 where nothing is known.
    pub fn market_digest(&self) -> i64 {
        if self.market.is_empty() {
            return 0;
        }
        let mut hasher = blake3::Hasher::new();
        for (bar, session) in self.bars.iter().zip(&self.market) {
            let Some(MarketSession { surprise, scaled_return, .. }) = session else { continue };
            hasher.update(&bar.at().seconds().to_le_bytes());
            hasher.update(&surprise.to_le_bytes());
            hasher.update(&scaled_return.to_le_bytes());
        }
        let [first, ..] = *hasher.finalize().as_bytes().as_chunks::<8>().0 else { return 0 };
        (i64::from_le_bytes(first) >> 11) & ((1 << 53) - 1)
    }

    /// Every number of bars and market in order, to tell one series from another.
    pub fn numbers(&self) -> impl Iterator<Item = f64> + '_ {
        let of_bar = |(idx, bar): (usize, &Bar)| {
            let prices = [bar.open(), bar.high(), bar.low(), bar.close(), bar.volume().unwrap_or(-1.0)];
            let market = self.market(idx).map(|session| [session.surprise, session.scaled_return]);
            // Seconds are whole numbers far below 2^53.
            std::iter::once(bar.at().seconds() as f64).chain(prices).chain(market.into_iter().flatten())
        };
        self.bars.iter().enumerate().flat_map(of_bar)
    }

    /// How many bars.
    pub fn len(&self) -> usize {
        self.bars.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bars.is_empty()
    }

    /// The newest bar.
    pub fn last(&self) -> Option<&Bar> {
        self.bars.last()
    }

    /// The bars at some positions; those past the end are left out.
    pub fn slice(&self, bars: std::ops::Range<usize>) -> Self {
        let cut = |len: usize| bars.start.min(len)..bars.end.min(len);
        Self {
            interval: self.interval,
            bars: self.bars[cut(self.bars.len())].to_vec(),
            market: self.market[cut(self.market.len())].to_vec(),
        }
    }

    /// The bars up to and including a time: what a forecast made then could see.
    pub fn up_to(&self, cutoff: BarTime) -> Self {
        self.slice(0..self.bars.partition_point(|bar| bar.at() <= cutoff))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::bar::RawBar;

    fn bar(day: i64) -> Bar {
        let at = BarTime::from_seconds(day * 86_400);
        Bar::new(RawBar { at, open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: None }).expect("a flat bar is valid")
    }

    #[test]
    fn bars_out_of_order_are_named_by_position() {
        assert!(Series::new(Interval::Day, vec![bar(1), bar(2)]).is_ok());
        assert_eq!(Series::new(Interval::Day, vec![bar(1), bar(3), bar(2)]), Err(SeriesError { bar_idx: 2 }));
        assert_eq!(Series::new(Interval::Day, vec![bar(1), bar(1)]), Err(SeriesError { bar_idx: 1 }));
    }

    #[test]
    fn the_cutoff_is_the_last_bar_seen() {
        let series = Series::new(Interval::Day, vec![bar(1), bar(2), bar(4)]).expect("ascending");
        assert_eq!(series.up_to(bar(3).at()).len(), 2);
        assert_eq!(series.up_to(bar(4).at()).len(), 3);
        assert!(series.up_to(bar(0).at()).is_empty());
        assert_eq!((series.slice(1..3).bars(), series.slice(2..9).len()), (&series.bars()[1..], 1));
        assert!(series.slice(7..9).is_empty());
    }

    #[test]
    fn what_the_market_did_stays_with_its_bar() {
        let beside = |day: i64| MarketSession { surprise: day as f64, scaled_return: 0.0, n_tickers: 3 };
        let bars = || Series::new(Interval::Day, vec![bar(1), bar(2), bar(4)]).expect("ascending");
        let series = bars().in_market(|at| (at != bar(2).at()).then(|| beside(at.seconds() / 86_400)));
        assert_eq!([0, 1, 2, 3].map(|idx| series.market(idx)), [Some(beside(1)), None, Some(beside(4)), None]);
        assert_eq!(series.slice(1..9).market(1), Some(beside(4)));
        assert_eq!(series.up_to(bar(3).at()), series.slice(0..2));
        assert!(series.slice(5..9).is_empty() && bars().slice(1..3).market(0).is_none());
        assert!(series.continues(&series.slice(0..2)) && bars().continues(&bars()));
        assert_eq!(series.clone().in_market(|_| None), bars());
        assert!(bars().market_digest() == 0 && series.market_digest() > 0);
        assert_ne!(series.market_digest(), series.slice(0..2).market_digest());
        assert!(!bars().continues(&series) && !series.continues(&bars()), "another market");
    }

    #[test]
    fn intervals_read_as_they_are_written() {
        for text in ["1m", "5m", "15m", "1h", "4h", "1d", "1w", "1mo"] {
            assert_eq!(text.parse::<Interval>().map(|interval| interval.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "0m", "24h", "2d", "m", "-5m"] {
            assert!(text.parse::<Interval>().is_err(), "{text:?}");
        }
    }
}
