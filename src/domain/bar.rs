//! One session's prices and volume, and the only place that knows what a valid bar is.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// When a bar stands: seconds since 1970 UTC. A daily bar stands at midnight UTC of its session's date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BarTime(i64);

impl BarTime {
    /// The first and last year that a price history can lie in: before it there is no exchange,
    /// after it a date is a typing error.
    pub const YEARS: std::ops::RangeInclusive<i32> = 1800..=2100;

    /// The bar of a session's date.
    pub fn from_date(date: NaiveDate) -> Self {
        Self(date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp())
    }

    /// The last second of a date: a cutoff there sees all of the day, also of a series with bars within it.
    pub fn end_of_date(date: NaiveDate) -> Self {
        const DAY_SECONDS: i64 = 86_400;
        Self(Self::from_date(date).0 + DAY_SECONDS - 1)
    }

    /// The bar that begins at an instant; parts of a second are dropped.
    pub fn from_instant(instant: DateTime<Utc>) -> Self {
        Self(instant.timestamp())
    }

    /// As stored: seconds since 1970 UTC.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970 UTC.
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// The instant; the earliest representable one for seconds that no calendar has.
    pub fn instant(self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0, 0).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// The date in UTC; the session's date for a daily bar.
    pub fn date(self) -> NaiveDate {
        self.instant().date_naive()
    }

    /// Whether it lies in [`YEARS`](Self::YEARS), told without a calendar: every bar that is read or loaded is asked.
    fn is_in_history(self) -> bool {
        const fn starts(year: i32) -> i64 {
            let before = year as i64 - 1;
            // 719,162 days lie between the first of January of year 1 and 1970.
            (before * 365 + before / 4 - before / 100 + before / 400 - 719_162) * 86_400
        }
        const SECONDS: std::ops::Range<i64> = starts(*BarTime::YEARS.start())..starts(*BarTime::YEARS.end() + 1);
        SECONDS.contains(&self.0)
    }

    /// Whether its day (in UTC) is a Saturday or Sunday.
    pub fn is_weekend(self) -> bool {
        // 1970 began on a Thursday.
        (self.seconds().div_euclid(86_400) + 3).rem_euclid(7) >= 5
    }
}

/// A valid bar: made by [`Bar::new`] only, so that who holds one need not check it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    at: BarTime,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: Option<f64>,
}

/// What a row claims of one session, before anybody has checked it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RawBar {
    /// When the bar stands.
    pub at: BarTime,
    /// First price of the session.
    pub open: f64,
    /// Highest price of the session.
    pub high: f64,
    /// Lowest price of the session.
    pub low: f64,
    /// Last price of the session.
    pub close: f64,
    /// Units traded; `None` where the source gives none.
    pub volume: Option<f64>,
}

/// The prices that a bar has, by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Price {
    /// First of the session.
    Open,
    /// Highest of the session.
    High,
    /// Lowest of the session.
    Low,
    /// Last of the session.
    Close,
}

impl Price {
    /// The name in lower case, as in a column header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::High => "high",
            Self::Low => "low",
            Self::Close => "close",
        }
    }
}

/// Why a row is not a bar. Each has a stable [`code`](BarError::code) and names the [`column`](BarError::column).
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum BarError {
    /// NaN or infinite.
    #[error("{column} is not a finite number")]
    NotFinite {
        /// The column at fault.
        column: &'static str,
    },
    /// Zero or negative.
    #[error("{} {value} is not a price: prices are above 0", .price.name())]
    NonPositivePrice {
        /// Which price.
        price: Price,
        /// What it is.
        value: f64,
    },
    /// So small or large that it is an error of unit or of typing.
    #[error("{} {value} is outside {:e} to {:e}", .price.name(), Bar::PRICES.start(), Bar::PRICES.end())]
    PriceOutOfRange {
        /// Which price.
        price: Price,
        /// What it is.
        value: f64,
    },
    /// The day's high is below its low.
    #[error("high {high} is below low {low}")]
    HighBelowLow {
        /// The high.
        high: f64,
        /// The low.
        low: f64,
    },
    /// Open or close lies outside of the day's range.
    #[error("{} {value} is outside low {low} to high {high}", .price.name())]
    OutsideRange {
        /// Open or close.
        price: Price,
        /// What it is.
        value: f64,
        /// The low.
        low: f64,
        /// The high.
        high: f64,
    },
    /// Fewer than none were traded.
    #[error("volume {value} is negative")]
    NegativeVolume {
        /// What it is.
        value: f64,
    },
    /// More than any market trades.
    #[error("volume {value} is above {:e}", Bar::MAX_VOLUME)]
    VolumeOutOfRange {
        /// What it is.
        value: f64,
    },
    /// A date that no price history has.
    #[error("the year {year} is outside {} to {}", BarTime::YEARS.start(), BarTime::YEARS.end())]
    TimestampOutOfRange {
        /// The year.
        year: i32,
    },
}

impl BarError {
    /// Stable name for clients.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFinite { .. } => "not_finite",
            Self::NonPositivePrice { .. } => "non_positive_price",
            Self::PriceOutOfRange { .. } => "price_out_of_range",
            Self::HighBelowLow { .. } => "high_below_low",
            Self::OutsideRange { price: Price::Open, .. } => "open_outside_range",
            Self::OutsideRange { .. } => "close_outside_range",
            Self::NegativeVolume { .. } => "negative_volume",
            Self::VolumeOutOfRange { .. } => "volume_out_of_range",
            Self::TimestampOutOfRange { .. } => "timestamp_out_of_range",
        }
    }

    /// The column that the refusal points at: `date`, `open`, `high`, `low`, `close` or `volume`.
    pub fn column(&self) -> &'static str {
        match self {
            Self::NotFinite { column } => column,
            Self::NonPositivePrice { price, .. }
            | Self::PriceOutOfRange { price, .. }
            | Self::OutsideRange { price, .. } => price.name(),
            Self::HighBelowLow { .. } => "high",
            Self::NegativeVolume { .. } | Self::VolumeOutOfRange { .. } => "volume",
            Self::TimestampOutOfRange { .. } => "date",
        }
    }
}

impl Bar {
    /// Prices beyond these are errors of unit: no quoted market has them.
    pub const PRICES: std::ops::RangeInclusive<f64> = 1e-9..=1e12;
    /// More than any market trades in a session, in units.
    pub const MAX_VOLUME: f64 = 1e15;

    /// The check of a bar: finite, positive, high ≥ max(open, close), low ≤ min(open, close), volume ≥ 0.
    ///
    /// # Errors
    /// The first rule that `raw` breaks, in the order date, prices, range, volume.
    pub fn new(raw: RawBar) -> Result<Self, BarError> {
        let RawBar { at, open, high, low, close, volume } = raw;
        if !at.is_in_history() {
            return Err(BarError::TimestampOutOfRange { year: chrono::Datelike::year(&at.date()) });
        }
        for (price, value) in [(Price::Open, open), (Price::High, high), (Price::Low, low), (Price::Close, close)] {
            check_price(price, value)?;
        }
        if high < low {
            return Err(BarError::HighBelowLow { high, low });
        }
        for (price, value) in [(Price::Open, open), (Price::Close, close)] {
            if value > high || value < low {
                return Err(BarError::OutsideRange { price, value, low, high });
            }
        }
        if let Some(value) = volume {
            check_volume(value)?;
        }
        // -0.0 and 0.0 are the same volume; one of them is stored, so that equal bars have equal bytes.
        Ok(Self { at, open, high, low, close, volume: volume.map(|v| v + 0.0) })
    }

    /// When it stands.
    pub fn at(&self) -> BarTime {
        self.at
    }

    /// First price of the session.
    pub fn open(&self) -> f64 {
        self.open
    }

    /// Highest price of the session.
    pub fn high(&self) -> f64 {
        self.high
    }

    /// Lowest price of the session.
    pub fn low(&self) -> f64 {
        self.low
    }

    /// Last price of the session.
    pub fn close(&self) -> f64 {
        self.close
    }

    /// Units traded; `None` where the source gives none.
    pub fn volume(&self) -> Option<f64> {
        self.volume
    }
}

fn check_price(price: Price, value: f64) -> Result<(), BarError> {
    if !value.is_finite() {
        return Err(BarError::NotFinite { column: price.name() });
    }
    if value <= 0.0 {
        return Err(BarError::NonPositivePrice { price, value });
    }
    if !Bar::PRICES.contains(&value) {
        return Err(BarError::PriceOutOfRange { price, value });
    }
    Ok(())
}

fn check_volume(value: f64) -> Result<(), BarError> {
    if !value.is_finite() {
        return Err(BarError::NotFinite { column: "volume" });
    }
    if value < 0.0 {
        return Err(BarError::NegativeVolume { value });
    }
    if value > Bar::MAX_VOLUME {
        return Err(BarError::VolumeOutOfRange { value });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(open: f64, high: f64, low: f64, close: f64) -> RawBar {
        RawBar { at: BarTime::from_seconds(0), open, high, low, close, volume: Some(1.0) }
    }

    fn code(raw: RawBar) -> &'static str {
        Bar::new(raw).map_or_else(|refusal| refusal.code(), |_| "ok")
    }

    #[test]
    fn each_rule_has_its_code() {
        assert_eq!(code(raw(10.0, 11.0, 9.0, 10.5)), "ok");
        assert_eq!(code(raw(10.0, 10.0, 10.0, 10.0)), "ok");
        assert_eq!(code(raw(10.0, 9.0, 11.0, 10.0)), "high_below_low");
        assert_eq!(code(raw(10.0, 11.0, 9.0, 11.5)), "close_outside_range");
        assert_eq!(code(raw(8.0, 11.0, 9.0, 10.0)), "open_outside_range");
        assert_eq!(code(raw(0.0, 11.0, 9.0, 10.0)), "non_positive_price");
        assert_eq!(code(raw(f64::NAN, 11.0, 9.0, 10.0)), "not_finite");
        assert_eq!(code(raw(10.0, f64::INFINITY, 9.0, 10.0)), "not_finite");
        assert_eq!(code(raw(1e-300, 11.0, 1e-300, 10.0)), "price_out_of_range");
        assert_eq!(code(RawBar { volume: Some(-1.0), ..raw(10.0, 11.0, 9.0, 10.0) }), "negative_volume");
        assert_eq!(code(RawBar { volume: Some(1e20), ..raw(10.0, 11.0, 9.0, 10.0) }), "volume_out_of_range");
        assert_eq!(code(RawBar { volume: Some(f64::NAN), ..raw(10.0, 11.0, 9.0, 10.0) }), "not_finite");
        assert_eq!(code(RawBar { volume: None, ..raw(10.0, 11.0, 9.0, 10.0) }), "ok");
    }

    #[test]
    fn dates_outside_any_exchange_are_refused_on_both_sides() {
        for (year, month, day, expected) in [
            (1799, 12, 31, "timestamp_out_of_range"),
            (1800, 1, 1, "ok"),
            (2100, 12, 31, "ok"),
            (2101, 1, 1, "timestamp_out_of_range"),
        ] {
            let at = NaiveDate::from_ymd_opt(year, month, day).map(BarTime::from_date).unwrap();
            assert_eq!(code(RawBar { at, ..raw(10.0, 11.0, 9.0, 10.0) }), expected, "{year}");
        }
        assert_eq!(code(RawBar { at: BarTime(i64::MAX), ..raw(10.0, 11.0, 9.0, 10.0) }), "timestamp_out_of_range");
    }

    proptest! {
        #[test]
        fn no_bits_make_an_invalid_bar(o: f64, h: f64, l: f64, c: f64, v: Option<f64>, at in -5_000_000_000_i64..5_000_000_000) {
            let raw = RawBar { at: BarTime::from_seconds(at), open: o, high: h, low: l, close: c, volume: v };
            if let Ok(bar) = Bar::new(raw) {
                prop_assert!(bar.high() >= bar.open().max(bar.close()) && bar.low() <= bar.open().min(bar.close()));
                prop_assert!(bar.low() > 0.0 && bar.high().is_finite());
                prop_assert!(bar.volume().is_none_or(|v| v >= 0.0 && v.is_finite()));
            }
        }
    }
}
