//! What lies beside an artifact: everything needed to know it, to trust it and to make it again.

use serde::{Deserialize, Serialize};

use crate::domain::bar::RawBar;
use crate::domain::{Bar, BarTime, Interval, MarketSession, Quantiles, Series, Ticker};
use crate::train::{Model, ModelSpec, TrainConfig, TrainMetrics};

/// The manifest of one model version, as JSON beside its safetensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Whose.
    pub ticker: Ticker,
    /// Which.
    pub version: u32,
    /// The release that trained it.
    pub code_version: String,
    /// Config and everything fitted that is not a tensor.
    pub spec: ModelSpec,
    /// What training said of it.
    pub metrics: TrainMetrics,
    /// The state of the bars it was trained on.
    pub data_version: u64,
    /// BLAKE3 of those bars: two models with the same one saw the same numbers.
    pub data_hash: String,
    /// The first bar it was trained on.
    pub first: BarTime,
    /// The last bar it was trained on.
    pub last: BarTime,
    /// SHA-256 of the safetensors file; the format itself has no checksum.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// A forecast to be made again before the version is served.
    pub golden: Golden,
}

/// Bars and what the model said of them on the day it was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Golden {
    interval: Interval,
    /// Time, open, high, low, close, volume.
    bars: Vec<(i64, f64, f64, f64, f64, Option<f64>)>,
    /// What the market did, one a bar.
    market: Vec<Option<MarketSession>>,
    /// Values of the quantiles, a row a step.
    quantiles: Vec<Vec<f64>>,
}

/// A few more bars than the shortest window, so that the averages of features have something to average.
const GOLDEN_BARS_BEYOND_MIN: usize = 100;

/// How far a forecast may lie from the golden one, relative to its size: another CPU sums in another order.
const GOLDEN_TOLERANCE: f64 = 1e-4;

impl Golden {
    /// Forecasts from the newest bars.
    ///
    /// # Errors
    /// When the model cannot forecast from them.
    pub fn record(model: &Model, series: &Series) -> Result<Self, String> {
        let n_bars = (model.min_bars() + GOLDEN_BARS_BEYOND_MIN).min(series.len());
        let tail = series.slice(series.len() - n_bars..series.len());
        let row = |bar: &Bar| (bar.at().seconds(), bar.open(), bar.high(), bar.low(), bar.close(), bar.volume());
        let mut golden = Self {
            interval: series.interval(),
            bars: tail.bars().iter().map(row).collect(),
            market: (0..n_bars).map(|idx| tail.market(idx)).collect(),
            quantiles: Vec::new(),
        };
        golden.quantiles = golden.forecast(model)?;
        Ok(golden)
    }

    /// Forecasts again and compares.
    ///
    /// # Errors
    /// When the model cannot forecast, or says something else than it did.
    pub fn check(&self, model: &Model) -> Result<(), String> {
        let now = self.forecast(model)?;
        if now.len() != self.quantiles.len() {
            return Err(format!("it forecasts {} steps, it was trained for {}", now.len(), self.quantiles.len()));
        }
        for (step, (now, then)) in now.iter().zip(&self.quantiles).enumerate() {
            let scale = then.iter().fold(f64::MIN_POSITIVE, |scale, value| scale.max(value.abs()));
            let worst = now.iter().zip(then).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            if now.len() != then.len() || worst > GOLDEN_TOLERANCE * scale {
                return Err(format!("its forecast of step {} moved by {worst:e} since it was trained", step + 1));
            }
        }
        Ok(())
    }

    fn forecast(&self, model: &Model) -> Result<Vec<Vec<f64>>, String> {
        let bar = |&(at, open, high, low, close, volume): &(i64, f64, f64, f64, f64, Option<f64>)| {
            Bar::new(RawBar { at: BarTime::from_seconds(at), open, high, low, close, volume })
                .map_err(|error| error.to_string())
        };
        let bars = self.bars.iter().map(bar).collect::<Result<Vec<_>, _>>()?;
        let mut market = self.market.iter().copied();
        let series = Series::new(self.interval, bars).map_err(|error| error.to_string())?;
        let series = series.in_market(|_| market.next().flatten());
        let forecast = model.forecast(&series).map_err(|error| error.to_string())?;
        Ok(forecast.iter().map(|returns: &Quantiles| returns.values().to_vec()).collect())
    }
}

/// Whether a version is in the layout that this release reads, by its manifest in the database. Of another layout not
/// even the manifest need be readable.
pub fn is_current(stored: &serde_json::Value) -> bool {
    stored["spec"]["format"] == ModelSpec::FORMAT
}

/// Whether a version is in a layout that an older release wrote. A newer release's is not: where two releases share a
/// database, each would train for itself what the other does not read.
pub fn is_outdated(stored: &serde_json::Value) -> bool {
    stored["spec"]["format"].as_u64().is_none_or(|format| format < u64::from(ModelSpec::FORMAT))
}

/// What a version was trained as, by its manifest in the database; `None` where another release had other settings.
pub fn config(stored: &serde_json::Value) -> Option<TrainConfig> {
    TrainConfig::deserialize(&stored["spec"]["config"]).ok()
}

/// BLAKE3 over the numbers of bars and market, in hex.
pub fn data_hash(series: &Series) -> String {
    let mut hasher = blake3::Hasher::new();
    for value in series.numbers() {
        hasher.update(&value.to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_older_layout_is_outdated_and_a_newer_one_is_another_release_s() {
        let of = |format: serde_json::Value| json!({"spec": {"format": format}});
        let (older, current, newer) = (ModelSpec::FORMAT - 1, ModelSpec::FORMAT, ModelSpec::FORMAT + 1);
        for (stored, expected) in [
            (of(json!(older)), (false, true)),
            (of(json!(current)), (true, false)),
            (of(json!(newer)), (false, false)),
            (json!({}), (false, true)),
        ] {
            assert_eq!((is_current(&stored), is_outdated(&stored)), expected, "{stored}");
        }
    }
}
