//! The numbers a network reads at each bar, and windows of them cut by index.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::columns::{Columns, trailing_mean};
use super::season::Season;

/// Groups of features, by which a config chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureGroup {
    /// Return, gap and weekly return, over the volatility known at the bar.
    Returns,
    /// Range variances and the close's place, against the month before.
    Ranges,
    /// Averages over 1, 5 and 22 sessions (HAR) against each other and the year.
    Volatility,
    /// Volume against its mean.
    Volume,
    /// The same days of earlier quarters.
    Season,
}

impl FeatureGroup {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Returns, Self::Ranges, Self::Volatility, Self::Volume, Self::Season];

    /// How many features.
    pub fn width(self) -> usize {
        match self {
            Self::Returns | Self::Ranges | Self::Volatility => 3,
            Self::Volume => 1,
            Self::Season => 2,
        }
    }

    fn push(self, columns: &Columns, bar_idx: usize, row: &mut Vec<f64>) {
        let known = trailing_mean(&columns.variance, bar_idx, Columns::MONTH);
        let mean_log = |n_bars| trailing_mean(&columns.variance_log, bar_idx, n_bars);
        match self {
            Self::Returns => row.extend([
                columns.scaled_return[bar_idx],
                (columns.gap_log[bar_idx] / known.sqrt()).clamp(-6.0, 6.0),
                trailing_mean(&columns.scaled_return, bar_idx, 5),
            ]),
            Self::Ranges => row.extend([
                columns.surprise[bar_idx],
                ((columns.parkinson[bar_idx] + Columns::FLOOR) / known).ln().max(-6.0),
                (columns.return_log[bar_idx] - columns.gap_log[bar_idx])
                    / (columns.parkinson[bar_idx] + Columns::FLOOR).sqrt(),
            ]),
            Self::Volatility => {
                row.extend([mean_log(1) - mean_log(5), mean_log(5) - mean_log(22), mean_log(22) - mean_log(250)]);
            }
            Self::Volume => row.push(columns.volume_against_mean(bar_idx, 1)),
            Self::Season => {
                let season = Season::at(columns, bar_idx);
                row.extend([(0.3 + season.gap).ln(), season.surprise]);
            }
        }
    }
}

/// Means and spreads of features over the rows it was fitted on: the training part, and nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaler {
    /// One a feature.
    pub means: Vec<f64>,
    /// Standard deviations; 1 where a feature does not vary.
    pub scales: Vec<f64>,
}

/// Scaled features are cut here: a network has seen nothing beyond.
const CUT: f64 = 5.0;

/// Features of a stretch of bars, row after row; windows are slices of it.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureMatrix {
    first: usize,
    width: usize,
    values: Vec<f64>,
}

impl FeatureMatrix {
    /// Features of bar `first` and all after it.
    pub fn new(columns: &Columns, groups: &[FeatureGroup], first: usize) -> Self {
        let width = groups.iter().map(|group| group.width()).sum();
        let mut values = Vec::with_capacity(columns.len().saturating_sub(first) * width);
        for bar_idx in first..columns.len() {
            groups.iter().for_each(|group| group.push(columns, bar_idx, &mut values));
        }
        Self { first, width, values }
    }

    /// Features a bar.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Fits a scaler on the bars of `rows`.
    pub fn fit_scaler(&self, rows: &[usize]) -> Scaler {
        let n_rows = rows.len().max(1) as f64;
        let (mut means, mut scales) = (vec![0.0; self.width], vec![0.0; self.width]);
        for row in rows {
            for (mean, value) in means.iter_mut().zip(self.row(*row)) {
                *mean += value / n_rows;
            }
        }
        for row in rows {
            for (idx, value) in self.row(*row).iter().enumerate() {
                scales[idx] += (value - means[idx]).powi(2) / n_rows;
            }
        }
        for scale in &mut scales {
            *scale = if *scale > 1e-12 { scale.sqrt() } else { 1.0 };
        }
        Scaler { means, scales }
    }

    /// All rows scaled and cut at ±5, in the precision of the network.
    pub fn scaled(&self, scaler: &Scaler) -> Rows {
        let scale = |(idx, value): (usize, &f64)| {
            let column = idx % self.width;
            ((value - scaler.means[column]) / scaler.scales[column]).clamp(-CUT, CUT) as f32
        };
        Rows::new(self.first, self.width, self.values.iter().enumerate().map(scale).collect())
    }

    fn row(&self, bar_idx: usize) -> &[f64] {
        &self.values[(bar_idx - self.first) * self.width..][..self.width]
    }
}

/// Numbers of consecutive bars in the precision of the network, row after row.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    first: usize,
    width: usize,
    values: Vec<f32>,
}

impl Rows {
    /// `values` are those of bar `first` and the bars after it, `width` of them a bar.
    pub fn new(first: usize, width: usize, values: Vec<f32>) -> Self {
        Self { first, width, values }
    }

    /// Numbers a bar.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Windows of `lookback` bars that end with the bars `cutoffs`, `[cutoffs, lookback, width]` flat.
    pub fn gather(&self, cutoffs: &[usize], lookback: usize) -> Vec<f32> {
        let mut windows = Vec::with_capacity(cutoffs.len() * lookback * self.width);
        cutoffs.iter().for_each(|cutoff| windows.extend_from_slice(&self.values[self.span(*cutoff, lookback)]));
        windows
    }

    fn span(&self, cutoff: usize, lookback: usize) -> Range<usize> {
        let end = cutoff + 1 - self.first;
        (end - lookback) * self.width..end * self.width
    }
}
