//! The panel protocol: many tickers, the last sessions of each, one step ahead, every method on the same points.
//!
//! Series go in; a table with one row a method goes out, as rows, Markdown and CSV. It is fixed so that tables of
//! different days and people can be compared: fit once on all bars before the last 250 sessions, forecast the next
//! session from each of them, score 13 quantiles from 0.025 to 0.975.

mod table;

pub use table::{COLUMNS, PanelRow, csv, markdown, table};

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
        return Err(EvaluateError::TooFewBars {
            method: "scoring the last 250 sessions".to_owned(),
            needed,
            have: n_bars,
        });
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
    let answers = fitted.answer_at(series, cutoffs)?;
    let next = cutoffs.iter().zip(answers).filter_map(|(cutoff, steps)| Some((*cutoff, steps.into_iter().next()?)));
    Ok(next.map(|(cutoff, answer)| backtest::outcome(series, cutoff, 1, answer)).collect())
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
        assert_eq!((rows[1].pinball_p_value_to_har, rows[0].pinball_ratio_to_garch), (None, None));
        assert!(rows[0].pinball_p_value_to_har > Some(0.5), "naive is no better than har");
        assert!(rows[1].coverage_80.is_some_and(|coverage| (0.72..0.88).contains(&coverage)));
        let text = markdown(&rows);
        assert!(text.starts_with("| model | tickers | refused | pinball_e4 |") && text.lines().count() == 4, "{text}");
        assert!(text.lines().all(|line| line.matches('|').count() == COLUMNS.len() + 1), "{text}");
        assert!(csv(&rows).lines().all(|line| line.matches(',').count() + 1 == COLUMNS.len()));
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
