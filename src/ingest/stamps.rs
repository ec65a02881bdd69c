//! When a row stands, by its date, its time, and the zone that their header tells.

use super::clock::{self, Zone};
use super::dates::{Order, Stamp};
use super::layout::Layout;

/// How the dates and times of a file are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    pub order: Order,
    /// Whether times without signs count seconds.
    pub has_seconds: bool,
    /// The zone of times that show none.
    pub zone: Option<Zone>,
}

impl Clocks {
    /// A row's stamp from its date and, where it has a column of its own, its time.
    pub(super) fn stamp(self, date: &str, time: Option<&str>) -> Option<Stamp> {
        let stamp = self.as_written(date, time)?;
        let zone = self.zone.filter(|_| stamp.offset.is_none());
        let offset = zone.and_then(|zone| Some(zone.offset_at(stamp.day, stamp.second?)));
        Some(Stamp { offset: offset.or(stamp.offset), ..stamp })
    }

    fn as_written(self, date: &str, time: Option<&str>) -> Option<Stamp> {
        let stamp = Stamp::of(date, self.order)?;
        let time = time.map(str::trim).filter(|time| !time.is_empty());
        let Some(time) = time.filter(|_| stamp.second.is_none_or(|second| second == 0)) else { return Some(stamp) };
        let compact = if self.has_seconds { clock::compact_time_with_seconds(time) } else { clock::compact_time(time) };
        if let Some(second) = compact {
            return Some(Stamp { second: Some(second), ..stamp });
        }
        let clock = clock::clock(time)?;
        let offset = clock.zone.map(|zone| zone.offset_at(stamp.day, clock.second.unwrap_or(0)));
        Some(Stamp { second: clock.second, offset: offset.or(stamp.offset), ..stamp })
    }
}

/// The zone that the header of the date or the time tells: `Gmt time`, `Date (UTC+3)`, `time_kst`. Names of zones that
/// change their clocks are left to the caller: some sources follow the seasons under them, others do not.
pub(super) fn zone_of_header(layout: &Layout) -> Option<Zone> {
    const ALL_YEAR: [&str; 6] = ["utc", "gmt", "kst", "jst", "hkt", "sgt"];
    let names = [Some(layout.date), layout.time].into_iter().flatten().map(|at| layout.names[at].as_str());
    names.into_iter().find_map(|name| {
        let within = name.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(within, _)| within);
        let is_sure = |text: &&str| text.contains(['+', '-', '/']);
        // A sign or a digit beside the word says that it is not the whole zone: `UTC+5:30`.
        let is_whole = name.chars().all(|c| c.is_alphabetic() || "_ ()[].".contains(c));
        let mut words = name.split(|c: char| !c.is_alphanumeric()).filter(|_| is_whole);
        let word = words.find(|word| ALL_YEAR.contains(&&*word.to_lowercase()));
        within.filter(is_sure).and_then(Zone::of_name).or_else(|| Zone::of_name(word?))
    })
}
