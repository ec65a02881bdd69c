//! A ticker's bars in order.

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

/// Bars of one ticker at one interval, strictly ascending in time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    interval: Interval,
    bars: Vec<Bar>,
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
            None => Ok(Self { interval, bars }),
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
        let end = bars.end.min(self.bars.len());
        Self { interval: self.interval, bars: self.bars[bars.start.min(end)..end].to_vec() }
    }

    /// The bars up to and including a time: what a forecast made then could see.
    pub fn up_to(&self, cutoff: BarTime) -> Self {
        let n_bars = self.bars.partition_point(|bar| bar.at() <= cutoff);
        Self { interval: self.interval, bars: self.bars[..n_bars].to_vec() }
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
    fn intervals_read_as_they_are_written() {
        for text in ["1m", "5m", "15m", "1h", "4h", "1d", "1w", "1mo"] {
            assert_eq!(text.parse::<Interval>().map(|interval| interval.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "0m", "24h", "2d", "m", "-5m"] {
            assert!(text.parse::<Interval>().is_err(), "{text:?}");
        }
    }
}
