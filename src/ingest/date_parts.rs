//! Dates and times whose parts stand in columns of their own: Year, Month and Day; Hour and Minute.

use super::columns::{self, Named, Role};
use super::dates;
use super::layout::Joined;

const YEARS: [&str; 9] = ["year", "yyyy", "yr", "jahr", "annee", "ano", "anno", "연도", "年"];
const MONTHS: [&str; 10] = ["month", "mm", "mon", "monat", "mois", "mes", "mese", "월", "月", "monthofyear"];
const DAYS: [&str; 9] = ["day", "dd", "tag", "jour", "dia", "giorno", "일", "日", "dayofmonth"];
const HOURS: [&str; 4] = ["hour", "hh", "hours", "시"];
const MINUTES: [&str; 4] = ["minute", "min", "minutes", "분"];
const SECONDS: [&str; 3] = ["second", "seconds", "초"];

/// Columns that are to be read as one; the first of them that names a date or a time takes the whole.
pub(super) fn find(names: &[String], sample: &[Vec<String>], found: &mut Vec<(usize, Named)>) -> Vec<Joined> {
    let keys: Vec<String> = names.iter().map(|name| columns::key(name)).collect();
    // Of the rows that have the cell at all: the sample may end with a source's notes.
    let numbers = |at: &usize, most: f64| {
        let cells: Vec<&str> = sample
            .iter()
            .filter_map(|row| row.get(*at))
            .map(|cell| cell.trim())
            .filter(|cell| !cell.is_empty())
            .collect();
        let is_within = |cell: &&&str| cell.parse::<f64>().is_ok_and(|n| (0.0..=most).contains(&n) && n.fract() == 0.0);
        cells.len() * 2 > sample.len() && cells.iter().filter(is_within).count() * 10 >= cells.len() * 9
    };
    let column = |words: &[&str], most: f64| {
        let at = keys.iter().position(|key| words.contains(&key.as_str()))?;
        numbers(&at, most).then_some(at)
    };
    let mut joined = Vec::new();
    let holds_dates = |at: usize| {
        sample.iter().filter(|row| row.get(at).is_some_and(|cell| dates::looks_like_date(cell))).count() * 2
            > sample.len()
    };
    let has_date = found.iter().any(|(at, named)| named.role == Role::Date && holds_dates(*at));
    let month = column(&MONTHS, 12.0).or_else(|| {
        let at = keys.iter().position(|key| MONTHS.contains(&key.as_str()))?;
        let is_name = |row: &&Vec<String>| row.get(at).is_some_and(|cell| cell.chars().all(char::is_alphabetic));
        (sample.iter().filter(is_name).count() * 10 >= sample.len() * 9).then_some(at)
    });
    if let (Some(year), Some(month), Some(day), false) = (column(&YEARS, 2_700.0), month, column(&DAYS, 31.0), has_date)
    {
        found.retain(|(at, named)| named.role != Role::Date && ![year, month, day].contains(at));
        found.push((day, Named { role: Role::Date, tier: 0, ticker: None }));
        joined.push(Joined { at: day, parts: vec![year, month, day], sign: '-' });
    }
    // `Min` is the lowest price as well: a minute only where another column is that price.
    let is_only = |at: usize| {
        let named = found.iter().find(|(known, named)| *known == at && named.role.is_per_ticker());
        named.is_some_and(|(_, of)| !found.iter().any(|(other, named)| *other != at && named.role == of.role))
    };
    let minute = column(&MINUTES, 59.0).filter(|at| !is_only(*at));
    if let (Some(hour), Some(minute)) = (column(&HOURS, 24.0), minute) {
        let parts: Vec<usize> = [Some(hour), Some(minute), column(&SECONDS, 60.0)].into_iter().flatten().collect();
        found.retain(|(at, named)| named.role != Role::Time && !parts.contains(at));
        found.push((hour, Named { role: Role::Time, tier: 0, ticker: None }));
        joined.push(Joined { at: hour, parts, sign: ':' });
    }
    joined
}
