//! Words within dates: months, eras, and those that say nothing.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::columns;

/// Weekdays and ordinal endings say nothing new.
pub(super) fn is_filler(word: &str) -> bool {
    const WORDS: &str = "tháng thg st nd rd th de of 서기 \
        mon tue wed thu fri sat sun tues thur thurs monday tuesday wednesday thursday friday saturday sunday \
        mo di mi do fr sa so montag dienstag mittwoch donnerstag freitag samstag sonntag \
        lun mer jeu ven sam dim lundi mardi mercredi jeudi vendredi samedi dimanche \
        mie mié jue vie sab sáb dom lunes martes miércoles jueves viernes sábado domingo \
        gio lunedì martedì mercoledì giovedì venerdì sabato domenica";
    static FILLERS: LazyLock<HashSet<&str>> = LazyLock::new(|| WORDS.split(' ').collect());
    FILLERS.contains(word)
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

/// A month by its name or the beginning of it, 1 to 12. A file has a name a row: the words are looked up, not compared.
pub(super) fn month(word: &str) -> Option<u32> {
    const STARTS: [&str; 12] = [
        "jan ene sty gen oca янв яну ian led tammi jaa sau січ ιαν",
        "feb fev lut sub фев uno helmi vee vas лют φεβ",
        "mar mrz maa mac мар bre kov бер μαρ",
        "apr abr avr kwi nis апр dub huhti bal кві απρ",
        "may mai mag maj mei маи мая kve touko geg тра μαι",
        "jun juin giu cze haz июн юни iun cerven cervn kesa juun bir чер ιουν lipanj lipnj",
        "jul juil lug lip tem июл юли iul cervenc cervenec heina juul lie лип ιουλ srpanj srpnj",
        "aug ago aou sie agu ogo авг srp elo rugp сер αυγ",
        "sep set wrz eyl сен zar syys sze rugs вер σεπ",
        "oct out okt ott paz eki окт rij loka spa жов οκτ",
        "nov lis kas ноя ное noi marras lap лис νοε",
        "dec dez des dis dic gru ara дек pro joulu det гру δεκ",
    ];
    static MONTHS: LazyLock<HashMap<&str, u32>> = LazyLock::new(|| {
        let numbered = STARTS.into_iter().zip(1..);
        numbered.flat_map(|(starts, number)| starts.split(' ').map(move |start| (start, number))).collect()
    });
    let word = &columns::unaccented(word);
    if word.chars().count() < 3 || word.chars().count() > 11 || is_filler(word) || word.starts_with("marted") {
        return None;
    }
    // The longest that fits counts: `marraskuuta` is November, `červenec` July.
    let ends = word.char_indices().map(|(at, letter)| at + letter.len_utf8());
    ends.rev().find_map(|end| MONTHS.get(&word[..end]).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_that_begin_alike_are_told_apart() {
        for (word, number) in [
            ("červen", 6),
            ("června", 6),
            ("červenec", 7),
            ("července", 7),
            ("srpen", 8),
            ("srpna", 8),
            ("lipnja", 6),
            ("srpanj", 7),
            ("srpnja", 7),
            ("lipca", 7),
            ("juillet", 7),
            ("marraskuuta", 11),
        ] {
            assert_eq!(month(word), Some(number), "{word}");
        }
    }
}
