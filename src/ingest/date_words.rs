//! Words within dates: months, eras, and those that say nothing.

use super::columns;

/// Weekdays and ordinal endings say nothing new.
pub(super) fn is_filler(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "tháng",
        "thg",
        "mon",
        "tue",
        "wed",
        "thu",
        "fri",
        "sat",
        "sun",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "tues",
        "thur",
        "thurs",
        "st",
        "nd",
        "rd",
        "th",
        "de",
        "of",
        "서기",
    ];
    WORDS.contains(&word)
}

/// The year before the first of an era.
pub(super) fn era(word: &str) -> Option<i32> {
    match word {
        "r" | "令和" => Some(2018),
        "h" | "平成" => Some(1988),
        "s" | "昭和" => Some(1925),
        "民國" | "民国" => Some(1911),
        _ => None,
    }
}

/// A month by its name or the beginning of it, 1 to 12.
pub(super) fn month(word: &str) -> Option<u32> {
    const STARTS: [&[&str]; 12] = [
        &["jan", "ene", "sty", "gen", "oca", "янв"],
        &["feb", "fev", "lut", "sub", "фев"],
        &["mar", "mrz", "maa", "mac", "мар"],
        &["apr", "abr", "avr", "kwi", "nis", "апр"],
        &["may", "mai", "mag", "maj", "mei", "маи", "мая"],
        &["jun", "juin", "giu", "cze", "haz", "июн"],
        &["jul", "juil", "lug", "lip", "tem", "июл"],
        &["aug", "ago", "aou", "sie", "agu", "ogo", "авг"],
        &["sep", "set", "wrz", "eyl", "сен"],
        &["oct", "out", "okt", "ott", "paz", "eki", "окт"],
        &["nov", "lis", "kas", "ноя"],
        &["dec", "dez", "des", "dis", "dic", "gru", "ara", "дек"],
    ];
    // `mar` also begins `martes`: names of months have no more letters than these.
    let word = &columns::unaccented(word);
    if word.chars().count() < 3 || word.chars().count() > 11 || matches!(word.as_str(), "martes" | "mardi" | "marted") {
        return None;
    }
    STARTS.iter().position(|starts| starts.iter().any(|start| word.starts_with(start))).map(|idx| idx as u32 + 1)
}
