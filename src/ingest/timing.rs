//! What a bar covers, and at which instant each row stands.

use super::dates::{self, Order, Stamp};
use super::{ReadError, ReadOptions};
use crate::domain::{BarTime, Interval};

/// How stamps become the times of bars.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timing {
    pub interval: Interval,
    /// Sessions: added to a stamp's day where its midnight is one of a zone east of UTC.
    day_shift: i32,
    /// Within a day: the zone of stamps without one, in seconds east.
    zone: i32,
    /// Whether the zone was assumed.
    pub is_zone_assumed: bool,
    resamples: bool,
}

/// How many stamps are looked at.
pub(super) const SAMPLE: usize = 20_000;
const DAY: i64 = 86_400;
/// Bars closer than this are of one day.
const SHORTEST_DAY: i64 = 20 * 3600;

impl Timing {
    /// Decides by the stamps of one ticker.
    ///
    /// # Errors
    /// `tick_data` where most bars cover less than a minute; a zone that is none.
    pub(super) fn of(mut stamps: Vec<Stamp>, options: &ReadOptions) -> Result<Self, ReadError> {
        let zone = match &options.timezone {
            Some(name) => Some(dates::zone(name).ok_or_else(|| ReadError::BadOption {
                option: "timezone",
                message: format!("{name:?} is no offset such as +09:00 or -05:00"),
            })?),
            None => None,
        };
        let resamples = options.resample.is_some();
        stamps.sort_unstable_by_key(|stamp| instant(stamp, 0));
        let is_timed = stamps.iter().any(|stamp| stamp.second.is_some_and(|second| second > 0));
        let mut gaps: Vec<i64> =
            stamps.windows(2).map(|pair| instant(&pair[1], 0) - instant(&pair[0], 0)).filter(|gap| *gap > 0).collect();
        gaps.sort_unstable();
        let typical = gaps.get(gaps.len() / 2).copied().unwrap_or(DAY);
        if !is_timed || typical >= SHORTEST_DAY {
            let day_shift = if is_timed { midnight_shift(&stamps) } else { 0 };
            let interval = sessions(&gaps);
            return Ok(Self { interval, day_shift, zone: 0, is_zone_assumed: false, resamples: false });
        }
        if typical < 60 {
            return Err(ReadError::unusable(
                "tick_data",
                format!(
                    "the rows stand {typical} seconds apart: ticks and bars below a minute are not read; send minutes or days"
                ),
            ));
        }
        let has_naive = stamps.iter().any(|stamp| stamp.offset.is_none());
        Ok(Self {
            interval: if resamples { Interval::Day } else { Interval::Minutes((typical / 60) as u32) },
            day_shift: 0,
            zone: zone.unwrap_or(0),
            is_zone_assumed: has_naive && zone.is_none() && !resamples,
            resamples,
        })
    }

    /// Where a row stands; with `resample`, its session's date.
    pub(super) fn at(&self, stamp: &Stamp) -> BarTime {
        match self.interval {
            Interval::Minutes(_) => BarTime::from_seconds(instant(stamp, self.zone)),
            _ if self.resamples && self.zone != 0 && stamp.offset == Some(0) => {
                let local = instant(stamp, 0) + i64::from(self.zone);
                BarTime::from_seconds(local.div_euclid(DAY) * DAY)
            }
            _ => BarTime::from_seconds(i64::from(stamp.day + self.day_shift) * DAY),
        }
    }

    /// Whether several rows make one bar.
    pub(super) fn resamples(&self) -> bool {
        self.resamples
    }
}

/// Seconds since 1970; `zone` is that of stamps without one.
pub(super) fn instant(stamp: &Stamp, zone: i32) -> i64 {
    i64::from(stamp.day) * DAY + i64::from(stamp.second.unwrap_or(0)) - i64::from(stamp.offset.unwrap_or(zone))
}

/// 15:00 UTC is the next day's midnight in Seoul, and 20:00 UTC the same day's close in New York. The
/// weekdays tell: sessions from Sunday to Thursday are one day too early.
fn midnight_shift(stamps: &[Stamp]) -> i32 {
    let is_late = |stamp: &Stamp| stamp.offset == Some(0) && stamp.second.is_some_and(|second| second >= 11 * 3600);
    if stamps.len() < 5 || !stamps.iter().all(is_late) {
        return 0;
    }
    let n_weekend = |shift: i32| stamps.iter().filter(|stamp| dates::is_weekend(stamp.day + shift)).count();
    i32::from(n_weekend(1) == 0 && n_weekend(0) * 10 >= stamps.len())
}

/// Weeks and months where nearly all gaps are such; a few sparse rows are sessions.
fn sessions(gaps: &[i64]) -> Interval {
    let most = |range: std::ops::RangeInclusive<i64>| {
        let n_within = gaps.iter().filter(|gap| range.contains(&((**gap + DAY / 2) / DAY))).count();
        gaps.len() >= 8 && n_within * 10 >= gaps.len() * 8
    };
    if most(5..=9) {
        Interval::Week
    } else if most(26..=36) {
        Interval::Month
    } else {
        Interval::Day
    }
}

/// A row's stamp from its date and, where it has a column of its own, its time.
pub(super) fn stamp(date: &str, time: Option<&str>, order: Order) -> Option<Stamp> {
    let stamp = Stamp::of(date, order)?;
    let time = time.map(str::trim).filter(|time| !time.is_empty());
    let Some(time) = time.filter(|_| stamp.second.is_none_or(|second| second == 0)) else { return Some(stamp) };
    if let Some(second) = dates::compact_time(time) {
        return Some(Stamp { second: Some(second), ..stamp });
    }
    let clock = dates::clock(time)?;
    Some(Stamp { second: clock.second, offset: clock.offset.or(stamp.offset), ..stamp })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamps(texts: &[&str]) -> Vec<Stamp> {
        texts.iter().map(|text| Stamp::of(text, Order::Ymd).expect("a date")).collect()
    }

    fn first(texts: &[&str]) -> String {
        let options = ReadOptions::default();
        match Timing::of(stamps(texts), &options) {
            Ok(timing) => format!("{} {}", timing.interval, timing.interval.label(timing.at(&stamps(texts)[0]))),
            Err(error) => error.code().to_owned(),
        }
    }

    #[test]
    fn a_session_has_the_date_of_its_exchange() {
        assert_eq!(first(&["2024-01-02", "2024-01-03"]), "1d 2024-01-02");
        assert_eq!(first(&["2022-06-06 00:00:00+01:00", "2022-06-07 00:00:00+01:00"]), "1d 2022-06-06");
        // Midnight in Seoul, Monday to Friday, as UTC.
        let seoul: Vec<String> = [7, 8, 9, 10, 11].iter().map(|day| format!("2024-01-{day:02}T15:00:00Z")).collect();
        let seoul: Vec<&str> = seoul.iter().map(String::as_str).collect();
        assert_eq!(first(&seoul), "1d 2024-01-08");
        // The close in New York, Monday to Friday, as UTC.
        let york: Vec<String> = [8, 9, 10, 11, 12].iter().map(|day| format!("2024-01-{day:02}T21:00:00Z")).collect();
        let york: Vec<&str> = york.iter().map(String::as_str).collect();
        assert_eq!(first(&york), "1d 2024-01-08");
    }

    #[test]
    fn bars_within_a_day_are_instants() {
        let texts = ["2024-04-17 09:00:00+09:00", "2024-04-17 10:00:00+09:00", "2024-04-17 11:00:00+09:00"];
        assert_eq!(first(&texts), "1h 2024-04-17T00:00:00Z");
        assert_eq!(first(&["2024-01-02 09:30:00", "2024-01-02 09:30:05", "2024-01-02 09:30:09"]), "tick_data");
    }

    #[test]
    fn weeks_and_months_need_many_rows() {
        let weeks: Vec<String> = (0..12).map(|week| dates::date_of(19_723 + 7 * week).to_string()).collect();
        let weeks: Vec<&str> = weeks.iter().map(String::as_str).collect();
        assert_eq!(first(&weeks), "1w 2024-01-01");
        assert_eq!(first(&weeks[..4]), "1d 2024-01-01");
    }
}
