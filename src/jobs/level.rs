//! Bars on another level than those stored: another currency, another unit, another company, or a split.

use crate::app::App;
use crate::domain::{BarTime, Series};
use crate::ingest::Warning;
use crate::store::{StoreError, TickerRecord};

/// Sessions of both that are compared, at most: a level shows in a few.
const COMPARED: u64 = 2_000;
/// Half of the closes of the same sessions differ by more than this factor.
const MAX_SAME_SESSION: f64 = 1.5;
/// The smallest step of a split in use.
const MIN_SPLIT: f64 = 1.2;
/// Neighboring sessions differ by more than this factor: no share moves so in a night.
const MAX_NEIGHBOR: f64 = 3.0;

/// A warning where what was sent does not continue what is stored.
///
/// # Errors
/// When the database fails.
pub(super) async fn level_break(
    app: &App,
    record: &TickerRecord,
    series: &Series,
) -> Result<Option<Warning>, StoreError> {
    let (Some(first), Some(last)) = (series.bars().first(), series.last()) else { return Ok(None) };
    let stored = app.store.bars(record.id, first.at(), last.at(), COMPARED).await?;
    let mut ratios: Vec<f64> = stored
        .iter()
        .filter_map(|bar| {
            let at = series.bars().binary_search_by_key(&bar.at(), |sent| sent.at()).ok()?;
            Some(series.bars()[at].close() / bar.close())
        })
        .collect();
    if let Some((count, ratio)) = rescaled(&ratios) {
        return Ok(Some(undone(record, series, count, ratio)));
    }
    ratios.sort_by(f64::total_cmp);
    let (ratio, most) = match ratios.get(ratios.len() / 2) {
        Some(median) => (*median, MAX_SAME_SESSION),
        None => {
            let before = BarTime::from_seconds(first.at().seconds() - 1);
            match app.store.newest_bars(record.id, before, 1).await?.pop() {
                Some(bar) => (first.close() / bar.close(), MAX_NEIGHBOR),
                None => return Ok(None),
            }
        }
    };
    Ok((ratio > most || ratio < 1.0 / most).then(|| warning(record, series, ratio)))
}

/// How many of the oldest sessions of both stand on another scale while the newest agree, and the ratio of the first:
/// a split was applied to the one and not to the other.
fn rescaled(ratios: &[f64]) -> Option<(usize, f64)> {
    let is_other = |ratio: &f64| !(1.0 / MIN_SPLIT..=MIN_SPLIT).contains(ratio);
    let count = ratios.iter().take_while(|ratio| is_other(ratio)).count();
    let agrees = |ratio: &f64| (ratio - 1.0).abs() < 0.01;
    let newest = &ratios[count..];
    (count > 0 && !newest.is_empty() && newest.iter().all(agrees)).then(|| (count, ratios[0]))
}

fn undone(record: &TickerRecord, series: &Series, count: usize, ratio: f64) -> Warning {
    let ticker = &record.ticker;
    Warning {
        code: "level_break",
        session: series.bars().first().map(|bar| series.interval().label(bar.at())),
        message: format!(
            "{count} of the sessions sent are {ratio:.4} times those stored of {ticker}, and later ones agree: a split was \
             applied to what is stored and not to what was sent, or the other way round; send it with adjust=split as \
             before, or with on_conflict=keep"
        ),
        ticker: Some(ticker.clone()),
    }
}

fn warning(record: &TickerRecord, series: &Series, ratio: f64) -> Warning {
    let ticker = &record.ticker;
    Warning {
        code: "level_break",
        session: series.bars().first().map(|bar| series.interval().label(bar.at())),
        message: format!(
            "the closes sent are {ratio:.4} times those stored of {ticker}: another currency, unit, company or scale of \
             splits? dry_run=true shows what would change; to begin anew delete {ticker} and send its whole history"
        ),
        ticker: Some(ticker.clone()),
    }
}
