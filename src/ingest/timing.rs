//! What a bar covers, and at which instant each row stands.

use super::clock::Zone;
use super::dates::{self, Stamp};
use super::spacing::{self, DAY, SHORTEST_DAY, TELLING, instant};
use super::{ReadError, ReadOptions};
use crate::domain::{BarTime, Interval};

/// How stamps become the times of bars.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timing {
    pub interval: Interval,
    /// Sessions: whether a stamp late in a UTC day is of the next day's session, in a zone east of UTC.
    late_is_next_day: bool,
    /// The zone that the caller names: of stamps without one, and of the sessions of those in UTC.
    zone: Option<Zone>,
    /// What was assumed of the zone.
    pub assumed: Option<&'static str>,
    resamples: bool,
}

/// How many stamps are looked at.
pub(super) const SAMPLE: usize = 20_000;

impl Timing {
    /// Decides by the stamps of one ticker.
    ///
    /// # Errors
    /// `tick_data` where most bars cover less than a minute; a zone that is none.
    pub(super) fn of(mut stamps: Vec<Stamp>, options: &ReadOptions) -> Result<Self, ReadError> {
        let zone = match &options.timezone {
            Some(name) => Some(Zone::of_name(name).ok_or_else(|| ReadError::BadOption {
                option: "timezone",
                message: format!("{name:?} is no offset such as +09:00 and no place such as America/New_York"),
            })?),
            None => None,
        };
        let resamples = options.resample.is_some();
        stamps.sort_unstable_by_key(|stamp| instant(stamp, None));
        let is_timed = stamps.iter().any(|stamp| stamp.second.is_some_and(|second| second > 0));
        let mut gaps: Vec<i64> = stamps
            .windows(2)
            .map(|pair| instant(&pair[1], None) - instant(&pair[0], None))
            .filter(|gap| *gap > 0)
            .collect();
        gaps.sort_unstable();
        let continued = options.continues.filter(|_| gaps.len() < TELLING && !resamples);
        let continued = continued.filter(|interval| spacing::fits(*interval, &gaps, &stamps));
        let typical = match continued {
            Some(Interval::Minutes(minutes)) => i64::from(minutes) * 60,
            _ => spacing::typical_of(&gaps),
        };
        if !is_timed || typical >= SHORTEST_DAY {
            let late = if is_timed && zone.is_none() { Late::of(&stamps) } else { Late::None };
            // A few rows of a ticker that has days are days, however far apart they stand.
            let is_told = options.continues != Some(Interval::Day) || gaps.len() >= TELLING;
            let interval = match continued {
                Some(interval) => interval,
                None if is_told => spacing::sessions(&gaps)?,
                None => Interval::Day,
            };
            let late_is_next_day = matches!(late, Late::NextDay | Late::NextDayAssumed);
            return Ok(Self { interval, late_is_next_day, zone, assumed: late.assumed(), resamples: false });
        }
        if typical < 60 {
            return Err(ReadError::unusable(
                "tick_data",
                format!(
                    "the rows stand {typical} seconds apart: ticks and bars below a minute are not read; send minutes or days"
                ),
            ));
        }
        let is_assumed = stamps.iter().any(|stamp| stamp.offset.is_none()) && zone.is_none() && !resamples;
        Ok(Self {
            interval: if resamples { Interval::Day } else { Interval::Minutes((typical / 60) as u32) },
            late_is_next_day: false,
            zone,
            assumed: is_assumed
                .then_some("the times have no zone and were taken as UTC: pass timezone=Asia/Seoul and the like"),
            resamples,
        })
    }

    /// Where a row stands; for sessions, at their date.
    pub(super) fn at(&self, stamp: &Stamp) -> BarTime {
        match (self.interval, self.zone) {
            (Interval::Minutes(_), zone) => BarTime::from_seconds(instant(stamp, zone)),
            // An instant belongs to the session of the place that the caller names.
            (_, Some(zone)) if stamp.offset == Some(0) => {
                let utc = instant(stamp, None);
                let local = utc + i64::from(zone.offset_of_instant(utc));
                BarTime::from_seconds(local.div_euclid(DAY) * DAY)
            }
            _ => {
                let day = stamp.day + i32::from(self.late_is_next_day && is_late(stamp));
                BarTime::from_seconds(i64::from(day) * DAY)
            }
        }
    }

    /// By what rows are put in order: where several make one session their own instants, else where their bars stand.
    pub(super) fn instant(&self, stamp: &Stamp) -> BarTime {
        if self.resamples { BarTime::from_seconds(instant(stamp, self.zone)) } else { self.at(stamp) }
    }

    /// Whether several rows make one bar.
    pub(super) fn resamples(&self) -> bool {
        self.resamples
    }
}

/// Whose session stamps late in a day are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Late {
    /// There are none.
    None,
    SameDay,
    NextDay,
    /// The next day's, if the clocks are not those of a market that trades on Sundays.
    NextDayAssumed,
    /// The stamps do not tell.
    Open,
}

impl Late {
    /// 15:00 UTC is the next day's midnight in Seoul, and 20:00 UTC the same day's close in New York. The weekdays of the
    /// late stamps tell: sessions from Sunday to Thursday are one day too early. Early stamps beside them are of the
    /// other half of a year (10:00 in Sydney is 23:00 or 00:00 UTC, midnight in London 23:00 or 00:00).
    fn of(stamps: &[Stamp]) -> Self {
        const FEW: usize = 5;
        let late: Vec<&Stamp> = stamps.iter().filter(|stamp| is_late(stamp)).collect();
        let n_weekend = |shift: i32| late.iter().filter(|stamp| dates::is_weekend(stamp.day + shift)).count();
        let is_clear = |right: usize, wrong: usize| late.len() >= FEW && right == 0 && wrong * 10 >= late.len();
        match (n_weekend(0), n_weekend(1)) {
            _ if late.is_empty() => Self::None,
            // The last second of a day is that day's, also where weeks begin on Sundays (Riyadh, Tel Aviv).
            _ if late.iter().all(|stamp| stamp.second >= Some(86_399)) => Self::SameDay,
            (same, next) if is_clear(next, same) => Self::of_sundays(&late),
            (same, next) if is_clear(same, next) => Self::SameDay,
            // Clocks without a zone are those of the exchange.
            _ if late.iter().all(|stamp| stamp.offset.is_none()) => Self::SameDay,
            _ => Self::Open,
        }
    }

    /// Sunday to Thursday: sessions that begin at midnight or open east of Greenwich stand a day too early; the closes of
    /// markets that trade on Sundays (Riyadh, Tel Aviv, Cairo) and the last minutes of their days do not.
    fn of_sundays(late: &[&Stamp]) -> Self {
        let seconds = || late.iter().filter_map(|stamp| stamp.second);
        let stands_at = |hour: u32| seconds().any(|second| second / 3600 == hour);
        let may_begin_a_day = |second: u32| match second / 3600 {
            ..16 => second.is_multiple_of(3600),
            _ => second / 60 % 60 != 59,
        };
        // 11:00 and 12:00 by turns are midnights in Auckland, 12:00 alone is a close in Riyadh too; 14:00 and 15:00 are
        // 17:00 in Tel Aviv, each alone is a midnight in Sydney or Seoul.
        let is_noon = seconds().all(|second| second < 13 * 3600) && !(stands_at(11) && stands_at(12));
        if !seconds().all(may_begin_a_day) {
            Self::SameDay
        } else if is_noon || (stands_at(14) && stands_at(15)) {
            Self::Open
        } else if late.iter().all(|stamp| stamp.offset.is_none()) {
            Self::NextDayAssumed
        } else {
            Self::NextDay
        }
    }

    fn assumed(self) -> Option<&'static str> {
        match self {
            Self::None | Self::SameDay | Self::NextDay => None,
            Self::NextDayAssumed => Some(
                "times late in the day from Sunday to Thursday were taken as the next day's sessions: where the market trades \
                 on Sundays pass timezone=+00:00",
            ),
            Self::Open => Some(
                "times late in a UTC day were taken as that day's session, though east of Greenwich they are the next one's: \
                 pass timezone=Asia/Seoul and the like",
            ),
        }
    }
}

/// In UTC from 11:00 on; by a clock of unknown zone only when no exchange is open any more.
fn is_late(stamp: &Stamp) -> bool {
    let from = match stamp.offset {
        Some(0) => 11 * 3600,
        None => 21 * 3600,
        Some(_) => return false,
    };
    stamp.second.is_some_and(|second| second >= from)
}

#[cfg(test)]
mod tests {
    use super::super::dates::Order;
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
    fn a_zone_that_changes_its_clocks_is_followed_through_the_year() {
        // 10:00 in Sydney: 00:00 UTC in June, 23:00 UTC of the day before in December.
        let days = |first: i32, time: &str| -> Vec<String> {
            (0..5).map(|day| format!("{}T{time}:00Z", dates::date_of(first + day))).collect()
        };
        let texts = [days(19_877, "00:00"), days(20_065, "23:00")].concat();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let timing = Timing::of(stamps(&texts), &ReadOptions::default()).expect("days");
        let dates: Vec<String> = stamps(&texts).iter().map(|stamp| timing.interval.label(timing.at(stamp))).collect();
        assert_eq!(
            [&dates[0], &dates[4], &dates[5], &dates[9]],
            ["2024-06-03", "2024-06-07", "2024-12-09", "2024-12-13"]
        );
    }

    #[test]
    fn local_times_become_instants_by_the_place_s_clocks() {
        let options = ReadOptions { timezone: Some("America/New_York".to_owned()), ..ReadOptions::default() };
        let at = |text: &str| {
            let texts = [text, "2024-01-02 09:31", "2024-01-02 09:32", "2024-01-02 09:33"];
            let timing = Timing::of(stamps(&texts), &options).expect("minutes");
            timing.interval.label(timing.at(&stamps(&texts)[0]))
        };
        assert_eq!(at("2024-01-02 09:30"), "2024-01-02T14:30:00Z");
        assert_eq!(at("2024-07-02 09:30"), "2024-07-02T13:30:00Z");
        // 01:30 stands twice on 3 November: the first. 02:30 is skipped on 10 March: by the clock as it was before.
        assert_eq!(at("2024-11-03 01:30"), "2024-11-03T05:30:00Z");
        assert_eq!(at("2024-03-10 02:30"), "2024-03-10T07:30:00Z");
        let nowhere = ReadOptions { timezone: Some("Moon/Crater".to_owned()), ..ReadOptions::default() };
        assert_eq!(Timing::of(Vec::new(), &nowhere).map_err(|error| error.code()), Err("bad_option"));
    }

    #[test]
    fn bars_within_a_day_are_instants() {
        let texts = ["2024-04-17 09:00:00+09:00", "2024-04-17 10:00:00+09:00", "2024-04-17 11:00:00+09:00"];
        assert_eq!(first(&texts), "1h 2024-04-17T00:00:00Z");
        let with_auction =
            ["2024-01-05 09:00", "2024-01-05 15:17", "2024-01-05 15:18", "2024-01-05 15:19", "2024-01-05 15:30"];
        assert_eq!(first(&with_auction), "1m 2024-01-05T09:00:00Z");
        assert_eq!(first(&["2024-01-02 09:30:00", "2024-01-02 09:30:05", "2024-01-02 09:30:09"]), "tick_data");
    }

    #[test]
    fn a_few_bars_are_of_the_series_that_they_continue_where_they_can_be() {
        let as_part_of = |interval: Interval, texts: &[&str]| {
            let options = ReadOptions { continues: Some(interval), ..ReadOptions::default() };
            Timing::of(stamps(texts), &options).map(|timing| timing.interval)
        };
        assert_eq!(as_part_of(Interval::Week, &["2024-01-01"]), Ok(Interval::Week));
        assert_eq!(as_part_of(Interval::Month, &["2024-01-01", "2024-02-01"]), Ok(Interval::Month));
        assert_eq!(as_part_of(Interval::Week, &["2024-01-01", "2024-01-02"]), Ok(Interval::Day));
        assert_eq!(as_part_of(Interval::Week, &["2024-01-01", "2024-01-05"]), Ok(Interval::Day), "of one week");
        assert_eq!(as_part_of(Interval::Week, &["2024-01-07", "2024-01-08"]), Ok(Interval::Day), "days of a weekend");
        assert_eq!(as_part_of(Interval::Week, &["2025-10-10", "2025-10-13"]), Ok(Interval::Week), "after Chuseok");
        assert_eq!(
            as_part_of(Interval::Week, &["2024-01-01", "2024-02-01", "2024-03-01"]),
            Ok(Interval::Day),
            "months"
        );
        let at = |times: &[&str], minutes: u32| {
            let texts: Vec<String> = times.iter().map(|time| format!("2024-01-{time}:00Z")).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            as_part_of(Interval::Minutes(minutes), &texts)
        };
        let hour = Ok(Interval::Minutes(60));
        assert_eq!(at(&["02T09:00", "02T10:00", "02T12:00"], 60), hour);
        assert_eq!(at(&["02T09:00", "02T11:00", "02T14:00"], 60), hour, "only hours have these gaps");
        assert_eq!(at(&["02T20:30", "03T14:30"], 60), hour, "a night between");
        assert_eq!(at(&["05T20:30", "08T14:30"], 60), hour, "a weekend between");
        assert_eq!(at(&["05T20:30", "08T19:30"], 60), Ok(Interval::Day), "the clocks are changed over a weekend");
        // Bars of more time than those of the series.
        assert_eq!(at(&["02T09:00", "02T12:00"], 60), Ok(Interval::Minutes(180)));
        assert_eq!(at(&["02T09:00", "02T09:15", "02T09:30", "02T10:00"], 1), Ok(Interval::Minutes(15)));
        assert_eq!(at(&["02T00:00", "03T00:00", "04T00:00"], 60), Ok(Interval::Day));
        assert_eq!(at(&["02T14:30", "03T14:30", "04T13:30"], 60), Ok(Interval::Day), "the clocks are changed");
        assert_eq!(as_part_of(Interval::Minutes(60), &["2024-01-02"]), Ok(Interval::Day));
    }

    #[test]
    fn weeks_and_months_are_told_by_many_rows_or_by_a_few_that_are_all_alike() {
        let every = |days: i32, count: i32| -> String {
            let dates: Vec<String> = (0..count).map(|idx| dates::date_of(19_723 + days * idx).to_string()).collect();
            first(&dates.iter().map(String::as_str).collect::<Vec<_>>())
        };
        assert_eq!(every(7, 12), "1w 2024-01-01");
        assert_eq!(every(7, 4), "1w 2024-01-01");
        assert_eq!(every(7, 3), "1d 2024-01-01");
        assert_eq!(first(&["2024-01-31", "2024-02-29", "2024-03-28", "2024-04-30"]), "1mo 2024-01-31");
        assert_eq!(first(&["2024-01-01", "2024-01-08", "2024-01-15", "2024-01-25"]), "1d 2024-01-01");
        assert_eq!(first(&["2024-03-29", "2024-06-28", "2024-09-30", "2024-12-31"]), "interval_unsupported");
        assert_eq!(every(365, 4), "interval_unsupported");
        assert_eq!(every(60, 4), "1d 2024-01-01");
        let options = ReadOptions { continues: Some(Interval::Day), ..ReadOptions::default() };
        let corrected = stamps(&["2024-01-01", "2024-01-08", "2024-01-15", "2024-01-22"]);
        assert_eq!(Timing::of(corrected, &options).map(|timing| timing.interval), Ok(Interval::Day));
    }
}
