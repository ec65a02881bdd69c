//! Which column is the volume, by what stands in them.

use super::ReadError;
use super::layout::Group;
use super::names::ONLY_BESIDE_WORTH;
use super::numbers::NumberFormat;
use super::sheet::Sheet;

/// The column of the volume: of two equally sure ones that which is units, where the other is their worth;
/// and none that is all zero while another counts (MetaTrader's VOL beside TICKVOL). An amount is it where the surer
/// column is its worth.
pub(super) fn of(
    sheet: &Sheet,
    group: &Group,
    numbers: NumberFormat,
    names: &[String],
) -> Result<Vec<(u8, usize)>, ReadError> {
    let (amounts, mut candidates): (Vec<_>, Vec<_>) =
        group.volumes.iter().copied().partition(|(tier, _)| *tier >= ONLY_BESIDE_WORTH);
    if let ([amount, ..], [(_, volume)]) = (amounts.as_slice(), candidates.as_slice())
        && is_worth(sheet, group, numbers, amount.1, *volume)
    {
        return Ok(vec![*amount]);
    }
    // Interactive Brokers' word for a volume that there is not.
    let is_none = |column: usize| {
        let mut cells = sheet.cells(column).filter(|(_, text)| !text.is_empty()).peekable();
        cells.peek().is_some() && cells.all(|(_, text)| numbers.volume(text) == Ok(-1.0))
    };
    candidates.retain(|(_, column)| !is_none(*column));
    let is_zero =
        |column: usize| sheet.cells(column).all(|(_, text)| numbers.volume(text).is_ok_and(|value| value == 0.0));
    if candidates.len() > 1 && candidates.iter().any(|(_, column)| !is_zero(*column)) {
        candidates.retain(|(_, column)| !is_zero(*column));
    }
    let (Some((tier, first)), Some((next_tier, second))) = (candidates.first().copied(), candidates.get(1).copied())
    else {
        return Ok(candidates);
    };
    if tier != next_tier {
        let is_money = is_worth(sheet, group, numbers, second, first);
        return Ok(vec![if is_money { (next_tier, second) } else { (tier, first) }]);
    }
    for (units, worth) in [(first, second), (second, first)] {
        if is_worth(sheet, group, numbers, units, worth) {
            return Ok(vec![(tier, units)]);
        }
    }
    Err(ReadError::Unusable {
        code: "duplicate_column",
        message: format!(
            "both {:?} and {:?} could be the volume: pass columns=volume:{} or the other",
            names[first], names[second], names[first]
        ),
        line: None,
        column: Some(names[second].clone()),
    })
}

/// Whether `worth / units` lies within the bar's prices on nearly all rows.
fn is_worth(sheet: &Sheet, group: &Group, numbers: NumberFormat, units: usize, worth: usize) -> bool {
    let (mut n_rows, mut n_within) = (0_usize, 0_usize);
    for row in 0..sheet.n_rows() {
        let value = |column: usize| numbers.volume(sheet.cell(column, row)).ok();
        let (Some(units), Some(worth)) = (value(units).filter(|units| *units > 0.0), value(worth)) else { continue };
        let (Some(high), Some(low)) = (value(group.high), value(group.low)) else { continue };
        n_rows += 1;
        n_within += usize::from((low * 0.98..=high * 1.02).contains(&(worth / units)));
    }
    n_rows > 0 && n_within * 10 >= n_rows * 9
}
