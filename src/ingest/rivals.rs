//! Which of several columns is meant, by what stands in them.

use super::columns::{self, Named, Role};
use super::numbers::{self, Evidence, NumberFormat};

/// Feeds write a bar's begin and volume as `t` and `v`, its end and what buyers took of it as `T` and `V`, beside prices in
/// small letters.
pub(super) fn small_letters_first(names: &[String], found: &mut Vec<(usize, Named)>) {
    if !["o", "h", "l", "c"].iter().all(|price| names.iter().any(|name| name == price)) {
        return;
    }
    let has_small = |name: &str| names.iter().any(|other| other != name && *other == name.to_ascii_lowercase());
    found.retain(|(at, _)| names[*at].len() > 1 || !has_small(&names[*at]));
}

/// twstock calls the shares traded `capacity`, beside `turnover` and `transaction`.
pub(super) fn find_capacity(names: &[String], found: &mut Vec<(usize, Named)>) {
    let called = |wanted: &str| names.iter().position(|name| columns::key(name) == wanted);
    if let (Some(at), Some(_), Some(_)) = (called("capacity"), called("turnover"), called("transaction")) {
        found.push((at, Named { role: Role::Volume, tier: 2, ticker: None }));
    }
}

/// A column of yes and no holds no price, whatever its name (`last` of Tehran's answers says whether a row is the newest).
pub(super) fn drop_flags(sample: &[Vec<String>], found: &mut Vec<(usize, Named)>) {
    let is_flag = |at: usize| {
        let mut cells = sample.iter().filter_map(|row| row.get(at)).filter(|cell| !cell.is_empty()).peekable();
        cells.peek().is_some() && cells.all(|cell| matches!(cell.to_ascii_lowercase().as_str(), "true" | "false"))
    };
    found.retain(|(at, _)| !is_flag(*at));
}

/// Of two columns called open one may be the close before (Tehran's `<OPEN>` beside `<FIRST>`): it lies outside of its bar on
/// many days, and the other on none.
pub(super) fn drop_opens_outside(sample: &[Vec<String>], found: &mut Vec<(usize, Named)>) {
    let of = |role: Role| {
        found.iter().filter(move |(_, named)| named.role == role && named.ticker.is_none()).map(|(at, _)| *at)
    };
    let (opens, (Some(high), Some(low))) =
        (of(Role::Open).collect::<Vec<_>>(), (of(Role::High).next(), of(Role::Low).next()))
    else {
        return;
    };
    let value = |row: &[String], at: usize| NumberFormat::DOT.price(row.get(at)?).ok();
    let is_outside =
        |row: &Vec<String>, at: usize| Some(!(value(row, low)?..=value(row, high)?).contains(&value(row, at)?));
    let n_outside = |at: usize| sample.iter().filter(|row| is_outside(row, at) == Some(true)).count();
    if opens.len() < 2 || !opens.iter().any(|at| n_outside(*at) == 0) {
        return;
    }
    let wrong: Vec<usize> = opens.into_iter().filter(|at| n_outside(*at) * 20 > sample.len()).collect();
    found.retain(|(at, named)| named.role != Role::Open || !wrong.contains(at));
}

/// A column called volume may be money (`Hacim` beside `Adet`): then the units, whatever they are called, are what it is
/// to be divided by for prices of the bar.
pub(super) fn find_units_of_money(names: &[String], sample: &[Vec<String>], found: &mut Vec<(usize, Named)>) {
    const FEW: usize = 5;
    let only = |role: Role| {
        let mut of = found.iter().filter(|(_, named)| named.role == role);
        of.next().filter(|_| of.next().is_none())
    };
    let (Some((volume, named)), Some((high, _)), Some((low, _))) =
        (only(Role::Volume), only(Role::High), only(Role::Low))
    else {
        return;
    };
    let has_commas = |row: &Vec<String>| row.get(*high).is_some_and(|cell| numbers::evidence(cell) == Evidence::Comma);
    let numbers = if sample.iter().any(has_commas) { NumberFormat::COMMA } else { NumberFormat::DOT };
    let value = |row: &[String], at: usize| numbers.volume(row.get(at)?).ok().filter(|value| *value > 0.0);
    // A turnover is what was paid, also where it is paid in the coin whose dollars the volume counts.
    let is_worth = |name: &str| columns::is_of_no_role(name) || columns::key(name).contains("turnover");
    let is_free = |at: &usize| !found.iter().any(|(taken, _)| taken == at) && !is_worth(&names[*at]);
    let are_units = |at: &usize| {
        let within = |row: &Vec<String>| {
            let (low, high) = (value(row, *low)?, value(row, *high)?);
            let price = value(row, *volume)? / value(row, *at)?;
            // At prices about 1 money and units are alike.
            Some(((low > 1.1 || high < 0.9) && (low * 0.98..=high * 1.02).contains(&price), price))
        };
        let rows: Vec<(bool, f64)> = sample.iter().filter_map(within).collect();
        let moves = rows.iter().any(|(_, price)| (price / rows[0].1 - 1.0).abs() > 1e-3);
        rows.len() >= FEW
            && rows.len() * 2 > sample.len()
            && moves
            && rows.iter().filter(|(is_within, _)| *is_within).count() * 10 >= rows.len() * 9
    };
    if let Some(at) = (0..names.len()).filter(is_free).find(are_units) {
        found.push((at, Named { ticker: None, ..named.clone() }));
    }
}
