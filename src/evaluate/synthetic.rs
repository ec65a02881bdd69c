//! Invented markets: daily bars with the habits of real ones, for demonstrations, load and tests.
//!
//! What is in them: volatility that clusters on two time scales and rises after a fall (leverage), a market
//! that all tickers share, fat tails by jumps, a part of the variance overnight, a day's range that
//! agrees with the volatility of that day, volume that grows with it. What is not in them, on purpose: any
//! return that could be forecast. The best point forecast is "no change", and a model that claims otherwise is wrong.

use chrono::{Days, NaiveDate};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::domain::bar::{Bar, BarTime, RawBar};
use crate::domain::{Calendar, Interval, Series, Ticker};

/// Share of a session's variance that falls between the close and the next open.
const OVERNIGHT_SHARE: f64 = 0.25;
/// Probability that a night brings news, and its standard deviation in daily standard deviations.
const JUMP: (f64, f64) = (0.015, 2.5);
/// Persistence and innovation of log variance: a slow component (half-life about nine weeks) and a fast one.
const SLOW: (f64, f64) = (0.985, 0.13);
const FAST: (f64, f64) = (0.60, 0.28);
/// Correlation of a day's shock with the next change of log variance.
const LEVERAGE: f64 = -0.45;
/// Log prices stay between these: below a coin cents are too coarse, above it no share is quoted.
const LOG_PRICES: (f64, f64) = (0.7, 11.5);

/// Daily bars of invented tickers up to and including the session `last` (or the one before it).
///
/// * `seed` — the same seed gives the same market; a ticker's bars do not depend on which others are asked for
/// * `n_bars` — sessions of `calendar`; where it knows no holidays (before 2000), weekdays. Fewer only where
///   the year [`BarTime::YEARS`] begins is reached.
///
/// Prices are in cents, volumes whole.
pub fn market(
    seed: u64,
    tickers: &[Ticker],
    n_bars: usize,
    calendar: &Calendar,
    last: NaiveDate,
) -> Vec<(Ticker, Series)> {
    let sessions = sessions_up_to(calendar, last, n_bars);
    let mut shared = stream(seed, 0);
    let shared: Vec<f64> = sessions.iter().map(|_| normal(&mut shared)).collect();
    tickers
        .iter()
        .map(|ticker| {
            let mut company = Company::new(stream(seed, name_hash(ticker.as_str())));
            let bars =
                sessions.iter().zip(&shared).filter_map(|(date, shock)| company.session(*date, *shock)).collect();
            (ticker.clone(), ascending(bars))
        })
        .collect()
}

/// Tickers for a market of any size: `SYN0001`, `SYN0002`, ….
pub fn tickers(count: usize) -> Vec<Ticker> {
    (1..=count).filter_map(|idx| format!("SYN{idx:04}").parse().ok()).collect()
}

/// One invented share between two sessions.
struct Company {
    rng: ChaCha8Rng,
    /// Share of the market in this company's shocks.
    beta: f64,
    /// Log of the daily variance in quiet times.
    base: f64,
    slow: f64,
    fast: f64,
    log_close: f64,
    log_volume: f64,
    turnover: f64,
}

impl Company {
    fn new(mut rng: ChaCha8Rng) -> Self {
        let daily_volatility: f64 = 0.009 * (0.9 * rng.random::<f64>()).exp();
        Self {
            beta: 0.3 + 0.5 * rng.random::<f64>(),
            base: 2.0 * daily_volatility.ln(),
            slow: 0.5 * normal(&mut rng),
            fast: 0.0,
            log_close: 3.0 + 2.5 * rng.random::<f64>(),
            log_volume: 12.0 + 4.0 * rng.random::<f64>(),
            turnover: 0.0,
            rng,
        }
    }

    /// The next session's bar; `shared` is the market's shock of the day.
    fn session(&mut self, date: NaiveDate, shared: f64) -> Option<Bar> {
        let volatility = (0.5 * (self.base + self.slow + self.fast)).exp();
        let night = volatility * OVERNIGHT_SHARE.sqrt() * normal(&mut self.rng) + self.news() * volatility;
        let own = normal(&mut self.rng);
        let shock = self.beta * shared + (1.0 - self.beta * self.beta).sqrt() * own;
        let day_volatility = volatility * (1.0 - OVERNIGHT_SHARE).sqrt();

        let open = (self.log_close + night).clamp(LOG_PRICES.0, LOG_PRICES.1);
        let close = (open + day_volatility * shock).clamp(LOG_PRICES.0, LOG_PRICES.1);
        let (low, high) = self.range(open, close, day_volatility);
        let volume = self.volume(night.abs() + (close - open).abs());
        self.evolve((night + close - open) / volatility);
        self.log_close = close;

        let [open, high, low, close] = [open, high, low, close].map(|log_price| cents(log_price.exp()));
        Bar::new(RawBar { at: BarTime::from_date(date), open, high, low, close, volume: Some(volume) }).ok()
    }

    /// News of the night, in daily standard deviations; mostly none.
    fn news(&mut self) -> f64 {
        let (happens, size) = (self.rng.random::<f64>() < JUMP.0, normal(&mut self.rng));
        if happens { JUMP.1 * size } else { 0.0 }
    }

    /// Lowest and highest log price of a Brownian path between open and close: each is drawn from its exact
    /// distribution given both ends (Karatzas & Shreve 1991, "Brownian Motion and Stochastic Calculus", 4.3.40).
    fn range(&mut self, open: f64, close: f64, volatility: f64) -> (f64, f64) {
        let mut reach = || {
            let uniform: f64 = 1.0 - self.rng.random::<f64>();
            ((close - open).powi(2) - 2.0 * volatility * volatility * uniform.ln()).sqrt()
        };
        (0.5 * (open + close - reach()), 0.5 * (open + close + reach()))
    }

    /// Units traded: grows with the day's move against the quiet volatility, and remembers yesterday.
    fn volume(&mut self, moved: f64) -> f64 {
        let surprise = (moved / (0.5 * self.base).exp()).clamp(0.05, 8.0).ln();
        self.turnover = 0.6 * self.turnover + 0.3 * surprise + 0.2 * normal(&mut self.rng);
        (self.log_volume + self.turnover + 0.2 * (self.slow + self.fast)).exp().round()
    }

    fn evolve(&mut self, shock: f64) {
        let leverage = LEVERAGE * shock.clamp(-4.0, 4.0);
        let own = (1.0 - LEVERAGE * LEVERAGE).sqrt();
        let innovations = [normal(&mut self.rng), normal(&mut self.rng)].map(|draw| leverage + own * draw);
        self.slow = SLOW.0 * self.slow + SLOW.1 * innovations[0];
        self.fast = FAST.0 * self.fast + FAST.1 * innovations[1];
    }
}

/// The newest `count` sessions up to `last`, ascending.
fn sessions_up_to(calendar: &Calendar, last: NaiveDate, count: usize) -> Vec<NaiveDate> {
    let trades = |date: &NaiveDate| {
        let known = calendar.is_session(*date).or_else(|| Calendar::Weekdays.is_session(*date));
        known.unwrap_or(false)
    };
    let before = |date: &NaiveDate| date.checked_sub_days(Days::new(1));
    let in_history = |date: &NaiveDate| BarTime::YEARS.contains(&chrono::Datelike::year(date));
    let mut sessions: Vec<NaiveDate> =
        std::iter::successors(Some(last), before).take_while(in_history).filter(trades).take(count).collect();
    sessions.reverse();
    sessions
}

#[expect(clippy::expect_used, reason = "sessions are drawn from one ascending list of dates")]
fn ascending(bars: Vec<Bar>) -> Series {
    Series::new(Interval::Day, bars).expect("sessions ascend")
}

fn stream(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

/// FNV-1a: the same on every machine and in every version, which the standard library's hasher does not promise.
fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn normal(rng: &mut impl Rng) -> f64 {
    rng.sample(StandardNormal)
}

fn cents(price: f64) -> f64 {
    (price * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().expect("an ISO date")
    }

    fn returns(series: &Series) -> Vec<f64> {
        series.bars().windows(2).map(|pair| (pair[1].close() / pair[0].close()).ln()).collect()
    }

    fn autocorrelation(values: &[f64], lag: usize) -> f64 {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let product = |lag: usize| values.windows(lag + 1).map(|w| (w[0] - mean) * (w[lag] - mean)).sum::<f64>();
        product(lag) / product(0)
    }

    #[test]
    fn bars_lie_on_the_calendar_s_sessions_and_end_at_the_last() {
        let calendar: Calendar = "XNYS".parse().expect("a calendar");
        let market = market(1, &tickers(2), 300, &calendar, date("2024-12-01"));
        for (_, series) in &market {
            assert_eq!(series.len(), 300);
            assert_eq!(series.last().map(|bar| bar.at().date()), Some(date("2024-11-29")));
            assert!(series.bars().iter().all(|bar| calendar.is_session(bar.at().date()) == Some(true)));
            assert!(series.bars().iter().all(|bar| cents(bar.close()) == bar.close() && bar.volume() > Some(0.0)));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bars_whoever_else_is_asked_for() {
        let all = market(7, &tickers(3), 50, &Calendar::Weekdays, date("2020-01-01"));
        let one = market(7, &tickers(3)[2..], 50, &Calendar::Weekdays, date("2020-01-01"));
        assert_eq!(all[2], one[0]);
        assert_ne!(all[0].1, all[1].1);
        let other = market(8, &tickers(1), 50, &Calendar::Weekdays, date("2020-01-01"));
        assert_ne!(all[0].1, other[0].1);
    }

    #[test]
    fn it_behaves_as_markets_do() {
        let market = market(3, &tickers(8), 2_500, &Calendar::Weekdays, date("2024-12-31"));
        for (ticker, series) in &market {
            let returns = returns(series);
            let moves: Vec<f64> = returns.iter().map(|r| r.abs()).collect();
            let n = returns.len() as f64;
            let variance = returns.iter().map(|r| r * r).sum::<f64>() / n;
            let kurtosis = returns.iter().map(|r| r.powi(4)).sum::<f64>() / n / variance.powi(2);
            assert!((0.006..0.05).contains(&variance.sqrt()), "{ticker}: volatility {}", variance.sqrt());
            assert!(kurtosis > 4.0, "{ticker}: tails are fat, kurtosis {kurtosis}");
            assert!(autocorrelation(&returns, 1).abs() < 0.08, "{ticker}: returns cannot be forecast");
            assert!(
                (1..10).map(|lag| autocorrelation(&moves, lag)).sum::<f64>() > 0.5,
                "{ticker}: volatility clusters"
            );
        }
    }

    #[test]
    fn a_market_longer_than_history_ends_where_dates_do() {
        let market = market(1, &tickers(1), 100_000, &Calendar::Weekdays, date("1801-01-01"));
        assert_eq!(market[0].1.len(), 262);
    }
}
