//! The panel's table: one row a method, as values, Markdown and CSV.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::PanelTicker;
use crate::domain::BarTime;
use crate::evaluate::metrics::{self, diebold_mariano};
use crate::evaluate::scores::{Outcome, against_no_change, pinball_differences};

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
    /// Pinball loss over that of the method `garch`.
    pub pinball_ratio_to_garch: Option<f64>,
    /// One-sided Diebold-Mariano p of that, on the means of each day.
    pub pinball_p_value_to_garch: Option<f64>,
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
    /// Mean seconds a ticker, fit and forecasts.
    pub seconds: Option<f64>,
}

/// The table, in the order of the methods.
pub fn table(tickers: &[PanelTicker]) -> Vec<PanelRow> {
    let labels: Vec<&str> = tickers.first().into_iter().flat_map(|t| t.runs.iter().map(|r| r.label.as_str())).collect();
    let common: Vec<&PanelTicker> =
        tickers.iter().filter(|ticker| ticker.runs.iter().all(|run| run.outcomes.is_ok())).collect();
    let rival = |name: &str| labels.iter().position(|label| *label == name);
    let (har, garch) = (rival("har"), rival("garch"));
    let row = |(idx, label): (usize, &&str)| {
        let method = MethodRuns { common: &common, idx };
        let ratios: Vec<f64> = common.iter().filter_map(|ticker| method.rmse_ratio(ticker)).collect();
        let squared = |ticker: &PanelTicker| against_no_change(method.of(ticker));
        PanelRow {
            model: (*label).to_owned(),
            n_tickers: common.len(),
            n_refused: tickers.iter().filter(|ticker| ticker.runs[idx].outcomes.is_err()).count(),
            pinball_e4: method.pinball().map(|pinball| pinball * 1e4),
            pinball_ratio_to_har: har.and_then(|har| method.pinball_ratio_to(har)),
            pinball_p_value_to_har: har.and_then(|har| method.pinball_p_value_to(har)),
            pinball_ratio_to_garch: garch.and_then(|garch| method.pinball_ratio_to(garch)),
            pinball_p_value_to_garch: garch.and_then(|garch| method.pinball_p_value_to(garch)),
            coverage_80: method.covered(0.8),
            coverage_95: method.covered(0.95),
            rmse_ratio_to_naive: metrics::mean(ratios.iter().copied()),
            rmse_ratio_worst: ratios.iter().copied().max_by(f64::total_cmp),
            dm_p_value: diebold_mariano(&by_day(&common, &squared), 1).map(|test| test.p_value),
            seconds: metrics::mean(common.iter().map(|ticker| ticker.runs[idx].seconds)),
        }
    };
    labels.iter().enumerate().map(row).collect()
}

/// One method's runs on the tickers that all methods could forecast.
struct MethodRuns<'a> {
    common: &'a [&'a PanelTicker],
    /// Which of the runs.
    idx: usize,
}

impl MethodRuns<'_> {
    fn of<'t>(&self, ticker: &'t PanelTicker) -> &'t [Outcome] {
        ticker.runs[self.idx].outcomes.as_deref().unwrap_or_default()
    }

    fn pinball(&self) -> Option<f64> {
        let of_ticker = |ticker: &&PanelTicker| metrics::mean(self.of(ticker).iter().map(Outcome::pinball));
        metrics::mean(self.common.iter().filter_map(of_ticker))
    }

    fn pinball_ratio_to(&self, rival: usize) -> Option<f64> {
        Some(self.pinball()? / Self { idx: rival, ..*self }.pinball()?)
    }

    fn pinball_p_value_to(&self, rival: usize) -> Option<f64> {
        let rival = Self { idx: rival, ..*self };
        let differences = |ticker: &PanelTicker| pinball_differences(self.of(ticker), rival.of(ticker));
        diebold_mariano(&by_day(self.common, &differences), 1).map(|test| test.p_value)
    }

    fn covered(&self, level: f64) -> Option<f64> {
        let is_inside = |outcome: &Outcome| {
            let ends = outcome.forecast.at(0.5 - level / 2.0)..=outcome.forecast.at(0.5 + level / 2.0);
            f64::from(u8::from(ends.contains(&outcome.truth)))
        };
        metrics::mean(self.common.iter().flat_map(|ticker| self.of(ticker)).map(is_inside))
    }

    fn rmse_ratio(&self, ticker: &PanelTicker) -> Option<f64> {
        let outcomes = self.of(ticker);
        let errors: Vec<f64> = outcomes.iter().map(Outcome::error).collect();
        let truths: Vec<f64> = outcomes.iter().map(|outcome| outcome.truth).collect();
        metrics::rmse_ratio_to_naive(&errors, &truths)
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

/// The table's columns.
pub const COLUMNS: [&str; 14] = [
    "model",
    "tickers",
    "refused",
    "pinball_e4",
    "to_har",
    "p_to_har",
    "to_garch",
    "p_to_garch",
    "coverage_80",
    "coverage_95",
    "rmse_to_naive",
    "rmse_worst",
    "dm_p",
    "seconds",
];

impl PanelRow {
    fn cells(&self, absent: &str) -> [String; COLUMNS.len()] {
        let number =
            |value: Option<f64>, digits: usize| value.map_or_else(|| absent.to_owned(), |v| format!("{v:.digits$}"));
        [
            self.model.clone(),
            self.n_tickers.to_string(),
            self.n_refused.to_string(),
            number(self.pinball_e4, 3),
            number(self.pinball_ratio_to_har, 4),
            number(self.pinball_p_value_to_har, 3),
            number(self.pinball_ratio_to_garch, 4),
            number(self.pinball_p_value_to_garch, 3),
            number(self.coverage_80, 4),
            number(self.coverage_95, 4),
            number(self.rmse_ratio_to_naive, 4),
            number(self.rmse_ratio_worst, 4),
            number(self.dm_p_value, 3),
            number(self.seconds, 3),
        ]
    }
}

/// The table as Markdown, its columns aligned so that it reads in a terminal too.
pub fn markdown(rows: &[PanelRow]) -> String {
    let cells: Vec<[String; COLUMNS.len()]> = rows.iter().map(|row| row.cells("–")).collect();
    let width = |column: usize| {
        let widest = cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        widest.max(COLUMNS[column].len())
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let line = |cells: [&str; COLUMNS.len()]| {
        let padded = cells.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!(" {cell:<width$} |"),
            _ => format!(" {cell:>width$} |"),
        });
        format!("|{}\n", padded.collect::<String>())
    };
    let ruler = |(column, width): (usize, &usize)| match column {
        0 => format!("{}|", "-".repeat(width + 2)),
        _ => format!("{}:|", "-".repeat(width + 1)),
    };
    let ruler: String = widths.iter().enumerate().map(ruler).collect();
    let body: String = cells.iter().map(|row| line(row.each_ref().map(String::as_str))).collect();
    format!("{}|{ruler}\n{body}", line(COLUMNS))
}

/// The table as CSV; what is undefined is empty.
pub fn csv(rows: &[PanelRow]) -> String {
    let lines = rows.iter().map(|row| row.cells("").join(","));
    std::iter::once(COLUMNS.join(",")).chain(lines).map(|line| line + "\n").collect()
}
