//! Units that a header states (`売買高(千株)` counts thousands) or a number (`31.84M`).

/// How many units one of a column's numbers is. Lots stay lots: how many shares one is differs by market.
pub(super) fn scale(header: &str) -> f64 {
    const SCALES: [(f64, &[&str]); 6] = [
        (1e2, &["'00", "hundreds"]),
        (
            1e3,
            &[
                "千",
                "仟",
                // A lot of Taiwan's exchanges.
                "成交張數",
                "천주",
                "พัน",
                "тыс",
                "thousand",
                "thousands",
                "000s",
                "000's",
                "'000",
                "000",
                "x1000",
                "k",
                "tsd",
            ],
        ),
        (1e6, &["百万", "百萬", "백만", "ล้าน", "млн", "million", "millions", "mn", "mm", "mio", "mln", "m"]),
        (1e4, &["万股", "萬股", "万", "萬", "만주"]),
        (1e8, &["亿", "億", "억"]),
        (1e5, &["lakh", "lakhs", "lacs"]),
    ];
    let lower = header.to_lowercase();
    let within =
        lower.split_once(['(', '[', '（']).map(|(_, rest)| rest.split([')', ']', '）']).next().unwrap_or(rest));
    let words: Vec<&str> = within.unwrap_or_default().split([' ', ',', '.', '/']).collect();
    let states = |unit: &&str| match unit.is_ascii() {
        true => words.contains(unit),
        false => within.unwrap_or(&lower).contains(*unit),
    };
    // The longest goes first: 百万 before 万.
    let stated = SCALES.iter().flat_map(|(scale, units)| units.iter().map(move |unit| (unit, *scale)));
    stated.filter(|(unit, _)| states(unit)).max_by_key(|(unit, _)| unit.chars().count()).map_or(1.0, |(_, scale)| scale)
}

/// A number without the unit behind it, and how many that is.
pub(super) fn of_number(text: &str) -> (&str, f64) {
    const SCALES: [(&str, f64); 33] = [
        ("mil", 1e3),
        ("mio", 1e6),
        ("mrd", 1e9),
        ("bn", 1e9),
        ("백만", 1e6),
        ("k", 1e3),
        ("m", 1e6),
        ("b", 1e9),
        ("t", 1e12),
        ("천", 1e3),
        ("만", 1e4),
        ("억", 1e8),
        ("조", 1e12),
        ("百万", 1e6),
        ("万", 1e4),
        ("萬", 1e4),
        ("亿", 1e8),
        ("億", 1e8),
        ("주", 1.0),
        ("株", 1.0),
        ("股", 1.0),
        ("l", 1e5),
        ("lac", 1e5),
        ("lakh", 1e5),
        ("cr", 1e7),
        ("crore", 1e7),
        ("тыс", 1e3),
        ("млн", 1e6),
        ("млрд", 1e9),
        ("tys", 1e3),
        ("mln", 1e6),
        ("mld", 1e9),
        ("tsd", 1e3),
    ];
    // `1,2 Mrd.`
    let text = text.strip_suffix('.').filter(|text| text.ends_with(char::is_alphabetic)).unwrap_or(text);
    let is_unit = |c: char| c.is_alphabetic() && !c.is_numeric();
    let unit_at = text.trim_end().char_indices().rev().take_while(|(_, c)| is_unit(*c)).last().map(|(at, _)| at);
    let Some(at) = unit_at else { return (text, 1.0) };
    let unit = text[at..].trim().to_lowercase();
    match SCALES.iter().find(|(name, _)| *name == unit) {
        Some((_, scale)) => (text[..at].trim_end(), *scale),
        None => (text, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_in_a_header_is_a_factor() {
        for (header, expected) in [
            ("Volume", 1.0),
            ("売買高（株）", 1.0),
            ("売買高(千株)", 1e3),
            ("成交仟股", 1e3),
            ("成交張數", 1e3),
            ("出来高(百万株)", 1e6),
            ("成交量(手)", 1.0),
            ("成交量(万股)", 1e4),
            ("Volume (in thousands)", 1e3),
            ("Volume (thousand)", 1e3),
            ("Vol. [M]", 1e6),
            ("거래량(천주)", 1e3),
            ("Umsatz (Stück)", 1.0),
            ("ปริมาณ (พันหุ้น)", 1e3),
            ("Vol ('00)", 1e2),
            ("Volume (BTC)", 1.0),
        ] {
            assert_eq!(scale(header).to_bits(), f64::to_bits(expected), "{header}");
        }
    }
}
