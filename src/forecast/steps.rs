//! From return quantiles to what a client reads: prices, probabilities, sessions.

use crate::domain::{Bar, BarTime, Calendar, Interval, Level, Quantiles, krx};

/// One step ahead, in prices.
#[derive(Debug, Clone, PartialEq)]
pub struct ForecastStep {
    /// Sessions ahead, from 1.
    pub step: usize,
    /// The session's date (or the bar's instant); `None` where the calendar does not reach.
    pub session: Option<String>,
    /// The point forecast, in the series' currency.
    pub close: f64,
    /// The point forecast as log return from the last close.
    pub return_log: f64,
    /// The probability that the close lies above the last one.
    pub probability_up: f64,
    /// Standard deviation of the log return from the last close.
    pub volatility: f64,
    /// Central intervals, in the order asked for.
    pub intervals: Vec<PriceInterval>,
    /// Single quantiles, in the order asked for.
    pub quantiles: Vec<PriceQuantile>,
}

/// A central interval of the close.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PriceInterval {
    /// The probability meant to be inside.
    pub level: Level,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// One quantile of the close.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PriceQuantile {
    /// The level in (0, 1).
    pub quantile: f64,
    /// The close at it.
    pub close: f64,
}

/// Where a forecast stands: the last bar it saw, and the calendar that names what follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin<'a> {
    /// The last bar seen.
    pub at: BarTime,
    /// The newest bars, it among them, as far as they are at hand.
    pub bars: &'a [Bar],
    /// Its close.
    pub last_close: f64,
    /// How much time a bar covers.
    pub interval: Interval,
    /// The market's sessions.
    pub calendar: &'a Calendar,
}

/// What a client wants to see of each distribution.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown<'a> {
    /// Central intervals.
    pub levels: &'a [Level],
    /// Single quantiles, each in (0, 1).
    pub quantiles: &'a [f64],
}

/// The forecast of one step, before it is put into prices.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReturns {
    /// The log return from the last close.
    pub distribution: Quantiles,
    /// The point forecast of it.
    pub point: f64,
}

impl ForecastStep {
    /// The step with every price on a tick of the Korea Exchange and within the daily limits between `last_close` and
    /// its session. Returns and probabilities stay those of the distribution.
    #[must_use]
    pub fn under_krx_rules(mut self, last_close: f64) -> Self {
        let steps = self.step;
        let admit = |price: &mut f64| *price = krx::admissible(*price, last_close, steps);
        admit(&mut self.close);
        for interval in &mut self.intervals {
            admit(&mut interval.lower);
            admit(&mut interval.upper);
        }
        self.quantiles.iter_mut().for_each(|quantile| admit(&mut quantile.close));
        self
    }
}

/// Puts log returns (one per step, from step 1) into prices.
pub fn steps(returns: &[StepReturns], origin: &Origin<'_>, shown: &Shown<'_>) -> Vec<ForecastStep> {
    let sessions = origin.calendar.labels_after(origin.at, origin.bars, origin.interval, returns.len());
    let step = |(idx, (step, session)): (usize, (&StepReturns, Option<String>))| {
        // Adding zero makes a zero of either sign a plain one: "-0.0" in an answer reads as a fall.
        let (returns, return_log) = (&step.distribution, step.point + 0.0);
        let close_at = |level: f64| origin.last_close * returns.at(level).exp();
        let interval = |level: &Level| PriceInterval {
            level: *level,
            lower: close_at(level.lower()),
            upper: close_at(level.upper()),
        };
        ForecastStep {
            step: idx + 1,
            session,
            close: origin.last_close * return_log.exp(),
            return_log,
            probability_up: returns.probability_above(0.0),
            volatility: returns.standard_deviation(),
            intervals: shown.levels.iter().map(interval).collect(),
            quantiles: shown
                .quantiles
                .iter()
                .map(|&quantile| PriceQuantile { quantile, close: close_at(quantile) })
                .collect(),
        }
    };
    returns.iter().zip(sessions).enumerate().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returns(sd: f64) -> StepReturns {
        let values = vec![-1.281_552 * sd, 0.0, 1.281_552 * sd];
        StepReturns { distribution: Quantiles::new(vec![0.1, 0.5, 0.9], values).expect("ascending"), point: 0.0 }
    }

    #[test]
    fn no_change_has_no_sign() {
        let calendar: Calendar = "XNYS".parse().expect("a calendar");
        let origin = Origin {
            at: BarTime::from_seconds(0),
            bars: &[],
            last_close: 100.0,
            interval: Interval::Day,
            calendar: &calendar,
        };
        let step = StepReturns { point: -0.0, ..returns(0.01) };
        let answer = steps(&[step], &origin, &Shown { levels: &[], quantiles: &[] });
        assert!(answer[0].return_log.is_sign_positive(), "{:?}", answer[0].return_log);
    }

    #[test]
    fn returns_become_prices_on_the_next_real_sessions() {
        let calendar: Calendar = "XNYS".parse().expect("a calendar");
        let friday = BarTime::from_date("2024-11-27".parse().expect("a date"));
        let origin = Origin { at: friday, bars: &[], last_close: 100.0, interval: Interval::Day, calendar: &calendar };
        let levels = [Level::try_from(0.8).expect("a level")];
        let answer = steps(&[returns(0.01), returns(0.02)], &origin, &Shown { levels: &levels, quantiles: &[0.1] });

        assert_eq!(answer.len(), 2);
        // Thanksgiving and a weekend lie between.
        let sessions: Vec<_> = answer.iter().map(|step| step.session.as_deref()).collect();
        assert_eq!(sessions, [Some("2024-11-29"), Some("2024-12-02")]);
        let first = &answer[0];
        assert_eq!((first.step, first.close, first.return_log), (1, 100.0, 0.0));
        assert!((first.probability_up - 0.5).abs() < 1e-9);
        assert!((first.volatility - 0.01).abs() < 1e-4);
        assert!((first.intervals[0].lower - 100.0 * (-0.012_815_52_f64).exp()).abs() < 1e-6);
        assert!((first.intervals[0].upper - 100.0 * 0.012_815_52_f64.exp()).abs() < 1e-6);
        assert_eq!(first.quantiles[0].close, first.intervals[0].lower);
        assert!(answer[1].intervals[0].upper > first.intervals[0].upper);
    }
}
