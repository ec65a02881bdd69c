//! The panel protocol: many tickers, the last sessions of each, one step ahead, every method on the same points.
//!
//! Series go in; a table with one row a method goes out, as rows, Markdown and CSV. It is fixed so that tables of
//! different days and people can be compared: fit once on all bars before the last 250 sessions, forecast the next
//! session from each of them, score 13 quantiles from 0.025 to 0.975.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::metrics::{self, diebold_mariano};
use super::{EvaluateError, Method, Outcome, backtest};
use crate::domain::{BarTime, Horizon, Series, Ticker};

/// Sessions that are forecast.
pub const SESSIONS: usize = 250;

/// What each method did on one ticker.
#[derive(Debug, Clone)]
pub struct PanelTicker {
    /// The ticker.
    pub ticker: Ticker,
    /// When each forecast's outcome stands.
    pub at: Vec<BarTime>,
    /// In the order of the methods.
    pub runs: Vec<PanelRun>,
}

/// One method on one ticker.
#[derive(Debug, Clone)]
pub struct PanelRun {
    /// The method.
    pub label: String,
    /// Its forecasts beside their truths, or why there are none.
    pub outcomes: Result<Vec<Outcome>, EvaluateError>,
    /// What fit and forecasts took.
    pub seconds: f64,
}

/// Runs the protocol on one ticker. `clock` tells seconds since any moment.
///
/// # Errors
/// When the series is too short to leave anything to fit on, or the run is canceled.
pub fn run_ticker(
    ticker: &Ticker,
    series: &Series,
    methods: &[&dyn Method],
    clock: &dyn Fn() -> f64,
) -> Result<PanelTicker, EvaluateError> {
    let n_bars = series.len();
    let needed = SESSIONS + backtest::Plan::MIN_KNOWN;
    if n_bars < needed {
        return Err(EvaluateError::TooFewBars { method: "the panel protocol".to_owned(), needed, have: n_bars });
    }
    // The last known bar of the first forecast is the last bar of the fit.
    let known = series.slice(0..n_bars - SESSIONS);
    let cutoffs: Vec<usize> = (n_bars - SESSIONS - 1..n_bars - 1).collect();
    let mut runs = Vec::with_capacity(methods.len());
    for method in methods {
        let started = clock();
        let outcomes = forecast(series, &known, &cutoffs, *method);
        if outcomes == Err(EvaluateError::Canceled) {
            return Err(EvaluateError::Canceled);
        }
        runs.push(PanelRun { label: method.label(), outcomes, seconds: clock() - started });
    }
    let at = cutoffs.iter().map(|cutoff| series.bars()[cutoff + 1].at()).collect();
    Ok(PanelTicker { ticker: ticker.clone(), at, runs })
}

fn forecast(
    series: &Series,
    known: &Series,
    cutoffs: &[usize],
    method: &dyn Method,
) -> Result<Vec<Outcome>, EvaluateError> {
    let fitted = method.fit_on(known, Horizon::ONE)?;
    let forecasts = fitted.forecast_at(series, cutoffs)?;
    let next = cutoffs.iter().zip(forecasts).filter_map(|(cutoff, steps)| Some((*cutoff, steps.into_iter().next()?)));
    Ok(next.map(|(cutoff, forecast)| backtest::outcome(series, cutoff, 1, forecast, fitted.as_ref())).collect())
}

/// One method over all tickers that every method could forecast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PanelRow {
    /// The method.
    pub model: String,
    /// Tickers scored: those that every method could forecast.
    pub n_tickers: usize,
    /// Tickers that this method refused.
    pub n_refused: usize,
    /// Mean pinball loss at 13 levels, in ten-thousandths of log return; each ticker weighs the same.
    pub pinball_e4: Option<f64>,
    /// Pinball loss over that of the method `har`.
    pub pinball_ratio_to_har: Option<f64>,
    /// One-sided Diebold-Mariano p of that, on the means of each day.
    pub pinball_p_value_to_har: Option<f64>,
    /// Share of outcomes in the 0.8 intervals.
    pub coverage_80: Option<f64>,
    /// Share of outcomes in the 0.95 intervals.
    pub coverage_95: Option<f64>,
    /// Mean over tickers of the RMSE ratio to "no change".
    pub rmse_ratio_to_naive: Option<f64>,
    /// The largest of those.
    pub rmse_ratio_worst: Option<f64>,
    /// One-sided Diebold-Mariano p of the squared errors against "no change", on the means of each day: the
    /// tickers of a day move together, and one day counts once.
    pub dm_p_value: Option<f64>,
    /// Mean seconds a ticker.
    pub seconds: Option<f64>,
}

/// The table, in the order of the methods.
pub fn table(tickers: &[PanelTicker]) -> Vec<PanelRow> {
    let labels: Vec<String> =
        tickers.first().into_iter().flat_map(|t| t.runs.iter().map(|r| r.label.clone())).collect();
    let common: Vec<&PanelTicker> =
        tickers.iter().filter(|ticker| ticker.runs.iter().all(|run| run.outcomes.is_ok())).collect();
    let har = labels.iter().position(|label| label == "har");
    labels.iter().enumerate().map(|(idx, label)| row(tickers, &common, idx, label, har)).collect()
}

fn row(all: &[PanelTicker], common: &[&PanelTicker], idx: usize, label: &str, har: Option<usize>) -> PanelRow {
    let of = |ticker: &PanelTicker, idx: usize| ticker.runs[idx].outcomes.clone().unwrap_or_default();
    let pinball = |idx: usize| {
        let of_ticker = |ticker: &&PanelTicker| metrics::mean(of(ticker, idx).iter().map(Outcome::pinball));
        metrics::mean(common.iter().filter_map(of_ticker))
    };
    let covered = |level: f64| {
        let is_inside = |outcome: &Outcome| {
            let ends = outcome.forecast.at(0.5 - level / 2.0)..=outcome.forecast.at(0.5 + level / 2.0);
            f64::from(u8::from(ends.contains(&outcome.truth)))
        };
        metrics::mean(common.iter().flat_map(|ticker| of(ticker, idx)).map(|outcome| is_inside(&outcome)))
    };
    let ratio = |ticker: &&PanelTicker| {
        let outcomes = of(ticker, idx);
        let errors: Vec<f64> = outcomes.iter().map(Outcome::error).collect();
        let truths: Vec<f64> = outcomes.iter().map(|outcome| outcome.truth).collect();
        metrics::rmse_ratio_to_naive(&errors, &truths)
    };
    let ratios: Vec<f64> = common.iter().filter_map(ratio).collect();
    let squared = |ticker: &PanelTicker| super::scores::against_no_change(&of(ticker, idx));
    let to_har = |har: usize| {
        let differences = |ticker: &PanelTicker| super::scores::pinball_differences(&of(ticker, idx), &of(ticker, har));
        diebold_mariano(&by_day(common, &differences), 1).map(|test| test.p_value)
    };
    PanelRow {
        model: label.to_owned(),
        n_tickers: common.len(),
        n_refused: all.iter().filter(|ticker| ticker.runs[idx].outcomes.is_err()).count(),
        pinball_e4: pinball(idx).map(|pinball| pinball * 1e4),
        pinball_ratio_to_har: har.and_then(|har| Some(pinball(idx)? / pinball(har)?)),
        pinball_p_value_to_har: har.filter(|har| *har != idx).and_then(to_har),
        coverage_80: covered(0.8),
        coverage_95: covered(0.95),
        rmse_ratio_to_naive: metrics::mean(ratios.iter().copied()),
        rmse_ratio_worst: ratios.iter().copied().max_by(f64::total_cmp),
        dm_p_value: diebold_mariano(&by_day(common, &squared), 1).map(|test| test.p_value),
        seconds: metrics::mean(common.iter().map(|ticker| ticker.runs[idx].seconds)),
    }
}

/// Means over the tickers of each day, in order of time.
fn by_day(tickers: &[&PanelTicker], values: &dyn Fn(&PanelTicker) -> Vec<f64>) -> Vec<f64> {
    let mut days: BTreeMap<BarTime, Vec<f64>> = BTreeMap::new();
    for ticker in tickers {
        for (at, value) in ticker.at.iter().zip(values(ticker)) {
            days.entry(*at).or_default().push(value);
        }
    }
    days.into_values().filter_map(metrics::mean).collect()
}

const COLUMNS: [&str; 12] = [
    "model",
    "tickers",
    "refused",
    "pinball_e4",
    "to_har",
    "p_to_har",
    "coverage_80",
    "coverage_95",
    "rmse_to_naive",
    "rmse_worst",
    "dm_p",
    "seconds",
];

fn cells(row: &PanelRow, absent: &str) -> [String; 12] {
    let number =
        |value: Option<f64>, digits: usize| value.map_or_else(|| absent.to_owned(), |v| format!("{v:.digits$}"));
    [
        row.model.clone(),
        row.n_tickers.to_string(),
        row.n_refused.to_string(),
        number(row.pinball_e4, 3),
        number(row.pinball_ratio_to_har, 4),
        number(row.pinball_p_value_to_har, 3),
        number(row.coverage_80, 4),
        number(row.coverage_95, 4),
        number(row.rmse_ratio_to_naive, 4),
        number(row.rmse_ratio_worst, 4),
        number(row.dm_p_value, 3),
        number(row.seconds, 3),
    ]
}

/// The table as Markdown.
pub fn markdown(rows: &[PanelRow]) -> String {
    let mut text = format!("| {} |\n|---|{}\n", COLUMNS.join(" | "), "---:|".repeat(COLUMNS.len() - 1));
    for row in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {} |", cells(row, "–").join(" | "));
    }
    text
}

/// The table as CSV; what is undefined is empty.
pub fn csv(rows: &[PanelRow]) -> String {
    let lines = rows.iter().map(|row| cells(row, "").join(","));
    std::iter::once(COLUMNS.join(",")).chain(lines).map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Calendar;
    use crate::evaluate::{Baseline, synthetic};

    fn run(n_bars: usize, methods: &[&dyn Method]) -> Vec<Result<PanelTicker, EvaluateError>> {
        let last = "2024-06-28".parse().expect("a date");
        let market = synthetic::market(41, &synthetic::tickers(3), n_bars, &Calendar::Weekdays, last);
        market.iter().map(|(ticker, series)| run_ticker(ticker, series, methods, &|| 0.0)).collect()
    }

    #[test]
    fn the_table_has_a_row_a_method_on_the_same_points() {
        let tickers: Vec<PanelTicker> =
            run(520, &[&Baseline::Naive, &Baseline::Har]).into_iter().collect::<Result<_, _>>().expect("runs");
        assert!(tickers.iter().all(|ticker| ticker.at.len() == SESSIONS));
        let rows = table(&tickers);
        assert_eq!((rows[0].n_tickers, rows[0].rmse_ratio_to_naive, rows[0].dm_p_value), (3, Some(1.0), None));
        assert!(rows[0].pinball_ratio_to_har > Some(1.0) && rows[1].pinball_ratio_to_har == Some(1.0));
        assert!(rows[1].coverage_80.is_some_and(|coverage| (0.72..0.88).contains(&coverage)));
        let text = markdown(&rows);
        assert!(text.starts_with("| model | tickers |") && text.lines().count() == 4, "{text}");
        assert!(text.lines().all(|line| line.matches('|').count() == 13), "{text}");
        assert!(csv(&rows).lines().all(|line| line.matches(',').count() == 11));
    }

    #[test]
    fn a_ticker_that_one_method_refuses_counts_for_none() {
        let tickers: Vec<PanelTicker> =
            run(400, &[&Baseline::Naive, &Baseline::Garch]).into_iter().collect::<Result<_, _>>().expect("runs");
        let rows = table(&tickers);
        assert_eq!((rows[0].n_tickers, rows[0].n_refused, rows[1].n_refused), (0, 0, 3));
        assert_eq!(rows[0].pinball_e4, None);
        assert!(run(300, &[]).iter().all(Result::is_err));
        assert!(table(&[]).is_empty());
    }
}
