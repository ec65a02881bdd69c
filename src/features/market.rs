//! What the other tickers of a market did.
//!
//! Volatility comes to all shares of an exchange at once: how wild a session was for the others, and how far they fell,
//! says more of a ticker's next sessions than its own bars do. Each ticker leaves a [`Footprint`] a session, known when the
//! session ends; [`Market::around`] puts the mean of the others' beside a ticker's bars.
//!
//! Only sessions of one exchange are put together: they end together, so that none of them knows more than another.
//!
//! Source: Bollerslev, Hood, Huss & Pedersen (2018), "Risk Everywhere: Modeling and Managing Volatility", Review of
//! Financial Studies 31 (a market-wide factor beside a ticker's own past); here of ranges.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::columns::{Columns, trailing_mean};
use super::dating::{Dating, dating};
use crate::domain::{Bar, BarTime, Calendar, Interval, MarketSession, Series, Ticker};

/// What one ticker did on one session, against what is usual for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Footprint {
    /// The session.
    pub at: BarTime,
    /// ln(variance of the session) less its mean over the year before.
    pub surprise: f64,
    /// Return in daily volatilities of that year, cut at ±[`FARTHEST`].
    pub scaled_return: f64,
}

/// Sessions that tell what is usual.
const YEAR: usize = 250;
/// Sessions without which nothing is usual yet.
const MIN_SESSIONS: usize = 66;
/// Returns count up to so many volatilities: one crash is not the market's.
const FARTHEST: f64 = 6.0;

/// The footprints of a ticker's daily bars; none of other bars.
pub fn footprints(series: &Series) -> Vec<Footprint> {
    if series.interval() != Interval::Day {
        return Vec::new();
    }
    let columns = Columns::new(series);
    let footprint = |idx: usize| {
        let usual = trailing_mean(&columns.variance_log, idx - 1, YEAR);
        Footprint {
            at: columns.at[idx],
            surprise: columns.variance_log[idx] - usual,
            scaled_return: (columns.return_log[idx] / (0.5 * usual).exp()).clamp(-FARTHEST, FARTHEST),
        }
    };
    (MIN_SESSIONS..columns.len()).map(footprint).collect()
}

/// Tickers of one exchange, session by session.
#[derive(Debug, Clone, Default)]
pub struct Market {
    members: HashMap<Ticker, Member>,
    /// All footprints, however they are dated.
    raw: BTreeMap<BarTime, Sum>,
    /// Those of tickers that the others may hear.
    sessions: BTreeMap<BarTime, Sum>,
    /// Tickers a session, in the mean of the month before.
    usual: HashMap<BarTime, f64>,
}

/// A ticker of a market.
#[derive(Debug, Clone)]
struct Member {
    footprints: Arc<[Footprint]>,
    /// One a footprint.
    dating: Arc<[Dating]>,
}

/// Footprints of a session, in whole parts of 2⁻⁴⁰: a ticker is added and left out again without a trace, in any order.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    surprise: i64,
    scaled_return: i64,
    n_tickers: u32,
}

const PARTS: f64 = (1_u64 << 40) as f64;

fn parts(value: f64) -> i64 {
    (value * PARTS).round() as i64
}

impl Sum {
    fn add(&mut self, footprint: &Footprint) {
        self.surprise += parts(footprint.surprise);
        self.scaled_return += parts(footprint.scaled_return);
        self.n_tickers += 1;
    }

    fn without(self, own: Option<&Footprint>) -> Self {
        own.map_or(self, |own| Self {
            surprise: self.surprise - parts(own.surprise),
            scaled_return: self.scaled_return - parts(own.scaled_return),
            n_tickers: self.n_tickers - 1,
        })
    }

    fn mean(self, sum: i64) -> f64 {
        sum as f64 / PARTS / f64::from(self.n_tickers.max(1))
    }
}

/// Exchanges of one place and the same hours.
const CLOSE_TOGETHER: [&[&str]; 3] = [&["XNYS", "XNAS", "XASE", "ARCX", "BATS"], &["XSHG", "XSHE"], &["XNSE", "XBOM"]];

impl Market {
    /// Other tickers without whom there is no market.
    pub const MIN_TICKERS: u32 = 3;

    /// The calendars whose sessions end together with one's, itself among them, so that none knows what another will only
    /// learn: an exchange and those that keep its hours. `None` where that is not known: a day of an asset that always
    /// trades ends when its vendor says.
    pub fn calendars(calendar: &Calendar) -> Option<Vec<&str>> {
        let Calendar::Exchange(mic) = calendar else { return None };
        let together = CLOSE_TOGETHER.iter().find(|mics| mics.contains(&mic.as_ref()));
        Some(together.map_or_else(|| vec![mic.as_ref()], |mics| mics.to_vec()))
    }

    /// Of these tickers.
    pub fn new(members: impl IntoIterator<Item = (Ticker, Arc<[Footprint]>)>) -> Self {
        let members: Vec<(Ticker, Arc<[Footprint]>)> = members.into_iter().collect();
        let mut market = Self::default();
        let all = members.iter().flat_map(|(_, footprints)| footprints.iter());
        all.for_each(|footprint| market.raw.entry(footprint.at).or_default().add(footprint));
        for (ticker, footprints) in members {
            let dating: Arc<[Dating]> = market.dating(&footprints, footprints.len()).into();
            for (footprint, _) in footprints.iter().zip(&*dating).filter(|(_, dating)| dating.tells_others) {
                market.sessions.entry(footprint.at).or_default().add(footprint);
            }
            market.members.insert(ticker, Member { footprints, dating });
        }
        let counts: Vec<f64> = market.sessions.values().map(|sum| f64::from(sum.n_tickers)).collect();
        let before = |idx: usize| idx.checked_sub(1).map_or(0.0, |idx| trailing_mean(&counts, idx, Columns::MONTH));
        market.usual = market.sessions.keys().enumerate().map(|(idx, at)| (*at, before(idx))).collect();
        market
    }

    /// A ticker's daily bars, each beside what the others did on its session. That is not known
    ///
    /// * where fewer than [`MIN_TICKERS`](Self::MIN_TICKERS) others have one,
    /// * while not even half of the market's tickers have: the bars of a session come one after the other, and the
    ///   first few are not the market,
    /// * before a few months of returns tell that the ticker's bars are dated as the others' are, nor while they do not.
    ///
    /// * `series` of a ticker that is no member, at least two years longer than what is to be known
    pub fn around(&self, ticker: &Ticker, series: Series) -> Series {
        if series.interval() != Interval::Day || self.sessions.is_empty() {
            return series;
        }
        let member = self.members.get(ticker);
        let newest = member.and_then(|member| member.footprints.last()).map(|footprint| footprint.at);
        let is_all = newest.is_some() && series.last().map(Bar::at) <= newest;
        let Member { footprints: own, dating } = member.filter(|_| is_all).cloned().unwrap_or_else(|| {
            // Its newest bars were not taken up by the market yet, or none of them ever is.
            let mut own = member.map_or_else(Vec::new, |member| member.footprints.to_vec());
            let n_counted = own.len();
            own.extend(footprints(&series).into_iter().filter(|footprint| Some(footprint.at) > newest));
            Member { dating: self.dating(&own, n_counted).into(), footprints: own.into() }
        });
        let counted = |at: BarTime| {
            let Member { footprints, dating } = member?;
            let place = footprints.binary_search_by_key(&at, |footprint| footprint.at).ok()?;
            dating[place].tells_others.then(|| &footprints[place])
        };
        series.in_market(|at| {
            let place = own.binary_search_by_key(&at, |footprint| footprint.at).ok()?;
            let (sum, usual) = (*self.sessions.get(&at)?, *self.usual.get(&at)?);
            let others = sum.without(counted(at));
            let is_half = 2.0 * f64::from(sum.n_tickers) >= usual;
            let is_known = others.n_tickers >= Self::MIN_TICKERS && is_half && dating[place].hears_others;
            is_known.then(|| MarketSession {
                surprise: others.mean(others.surprise),
                scaled_return: others.mean(others.scaled_return),
                n_tickers: others.n_tickers,
            })
        })
    }

    /// How each of a ticker's sessions is dated, by what was known on it; the first `n_counted` are the market's too.
    fn dating(&self, own: &[Footprint], n_counted: usize) -> Vec<Dating> {
        let others = own.iter().enumerate().map(|(idx, footprint)| {
            let sum = self.raw.get(&footprint.at).copied().unwrap_or_default();
            let others = sum.without(Some(footprint).filter(|_| idx < n_counted));
            others.mean(others.scaled_return)
        });
        dating(&own.iter().map(|footprint| footprint.scaled_return).zip(others).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::domain::bar::RawBar;

    const DAY: i64 = 86_400;
    const N_DAYS: usize = 400;

    /// Returns of a market and of a ticker's own, one a day: the same for all tests.
    fn returns(seed: u64, n_days: usize) -> Vec<f64> {
        use rand::SeedableRng;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        (0..n_days).map(|_| 0.02 * (rng.random::<f64>() - 0.5)).collect()
    }

    /// A ticker that follows the market `days_late` days after it, and its own head by as much again.
    fn follower(idx: usize, days_late: i64, n_days: usize) -> Series {
        let (market, own) = (returns(0, N_DAYS + 1), returns(1 + idx as u64, N_DAYS + 1));
        let mut log_price = 4.0_f64;
        let bar = |day: usize| {
            // From far before the market's first day come other returns.
            let of_market = usize::try_from(day as i64 - days_late).map_or(own[N_DAYS - day], |day| market[day]);
            let open = log_price;
            log_price += of_market + own[day];
            let at = BarTime::from_seconds(day as i64 * DAY);
            let (high, low) = ((open.max(log_price) + 0.002).exp(), (open.min(log_price) - 0.002).exp());
            Bar::new(RawBar { at, open: open.exp(), high, low, close: log_price.exp(), volume: None }).expect("valid")
        };
        Series::new(Interval::Day, (0..n_days).map(bar).collect()).expect("ascending")
    }

    fn ticker(idx: usize) -> Ticker {
        format!("T{idx}").parse().expect("a ticker")
    }

    fn market(all: &[Series]) -> Market {
        Market::new(all.iter().enumerate().map(|(idx, series)| (ticker(idx), footprints(series).into())))
    }

    fn alike(n_tickers: usize) -> Vec<Series> {
        (0..n_tickers).map(|idx| follower(idx, 0, N_DAYS)).collect()
    }

    fn n_seen(market: &Market, idx: usize, series: &Series, bar_idx: usize) -> Option<u32> {
        market.around(&ticker(idx), series.clone()).market(bar_idx).map(|session| session.n_tickers)
    }

    #[test]
    fn a_ticker_sees_the_mean_of_the_others_and_not_itself() {
        let all = alike(5);
        let market = market(&all[..4]);
        let day = all[0].bars()[390].at();
        let of = |series: &Series| footprints(series).into_iter().find(|one| one.at == day).expect("there");
        let seen = market.around(&ticker(0), all[0].clone()).market(390).expect("three others");
        let others: Vec<Footprint> = all[1..4].iter().map(of).collect();
        assert_eq!(seen.n_tickers, 3);
        let mean = |of: fn(&Footprint) -> f64| others.iter().map(of).sum::<f64>() / 3.0;
        assert!((seen.scaled_return - mean(|one| one.scaled_return)).abs() < 1e-11, "{seen:?}");
        assert!((seen.surprise - mean(|one| one.surprise)).abs() < 1e-11, "{seen:?}");
        // One that is none of them sees all four, from whenever its bars begin.
        assert_eq!(n_seen(&market, 4, &all[4], 390), Some(4));
        assert_eq!(n_seen(&market, 4, &all[4].slice(100..N_DAYS), 290), Some(4));
        let weekly = Series::new(Interval::Week, all[4].bars().to_vec()).expect("ascending");
        assert!(footprints(&weekly).is_empty() && n_seen(&market, 4, &weekly, 390).is_none());
    }

    #[test]
    fn few_others_and_few_sessions_are_no_market() {
        let all = alike(4);
        assert_eq!(n_seen(&market(&all[..3]), 0, &all[0], 390), None);
        let four = market(&all);
        assert_eq!(n_seen(&four, 0, &all[0], 390), Some(3));
        let first = (0..N_DAYS).find(|idx| n_seen(&four, 0, &all[0], *idx).is_some());
        assert!(
            first >= Some(2 * MIN_SESSIONS - 1) && first < Some(250),
            "what is usual, how bars are dated: {first:?}"
        );
        assert_eq!(n_seen(&Market::default(), 0, &all[0], 390), None);
        let calendars = |text: &str| {
            let calendar: Calendar = text.parse().expect("a calendar");
            Market::calendars(&calendar).map(|mics| mics.join(" "))
        };
        assert_eq!(["weekdays", "24/7"].map(calendars), [None, None]);
        assert_eq!(calendars("XKRX"), Some("XKRX".to_owned()));
        assert_eq!((calendars("XNAS"), calendars("XNAS").is_some()), (calendars("XNYS"), true));
    }

    #[test]
    fn a_bar_that_the_market_has_not_taken_up_yet_knows_the_others() {
        let all = alike(5);
        let market = market(&[vec![all[0].slice(0..N_DAYS - 1)], all[1..].to_vec()].concat());
        let seen = market.around(&ticker(0), all[0].clone());
        assert_eq!(seen.market(N_DAYS - 1).map(|session| session.n_tickers), Some(4));
        let before = market.around(&ticker(0), all[0].slice(0..N_DAYS - 1));
        assert!(seen.continues(&before) && before.market(N_DAYS - 2).is_some());
        // As it is when the market has, and where only its newest bars are at hand.
        let taken_up = self::market(&all).around(&ticker(0), all[0].clone());
        assert_eq!(taken_up.market_digest(), seen.market_digest());
        let newest = market.around(&ticker(0), all[0].slice(100..N_DAYS));
        assert!((100..N_DAYS).all(|idx| newest.market(idx - 100) == seen.market(idx)));
    }

    #[test]
    fn a_session_is_known_when_half_of_the_market_has_it() {
        let with_last = |n_with: usize| {
            let length = |idx: usize| if idx < n_with { N_DAYS } else { N_DAYS - 1 };
            let all: Vec<Series> = (0..12).map(|idx| follower(idx, 0, length(idx))).collect();
            let market = market(&all);
            [N_DAYS - 2, N_DAYS - 1].map(|bar_idx| n_seen(&market, 0, &all[0], bar_idx))
        };
        assert_eq!(with_last(5), [Some(11), None]);
        assert_eq!(with_last(6), [Some(11), Some(5)]);
        // Tickers that ended long ago are not waited for.
        let all: Vec<Series> = (0..12).map(|idx| follower(idx, 0, if idx < 4 { N_DAYS } else { 300 })).collect();
        let market = market(&all);
        assert_eq!([300, N_DAYS - 1].map(|bar_idx| n_seen(&market, 0, &all[0], bar_idx)), [None, Some(3)]);
    }

    #[test]
    fn who_is_dated_a_day_late_does_not_see_tomorrow_and_who_is_early_does_not_show_it() {
        // The first `late.len()` tickers are dated so many days late.
        let of = |late: &[i64], n_tickers: usize| -> Vec<Series> {
            (0..n_tickers).map(|idx| follower(idx, late.get(idx).copied().unwrap_or(0), N_DAYS)).collect()
        };
        let seen = |all: &[Series], idx: usize| n_seen(&market(all), idx, &all[idx], 390);
        let alike = of(&[], 6);
        assert_eq!((seen(&alike, 0), seen(&alike, 1)), (Some(5), Some(5)));
        let late = of(&[1], 6);
        assert_eq!((seen(&late, 0), seen(&late, 1)), (None, Some(4)));
        let early = of(&[-1], 6);
        assert_eq!((seen(&early, 0), seen(&early, 1)), (None, Some(4)));
        // A fund that moves against the market is dated by that as well.
        let inverse = |days_late| [vec![against(&follower(0, days_late, N_DAYS))], of(&[], 6)[1..].to_vec()].concat();
        assert_eq!((seen(&inverse(0), 0), seen(&inverse(1), 0)), (Some(5), None));
        // Where half of them are late nobody knows which, and none of those sees the others' tomorrow.
        let half = of(&[1, 1, 1, 1], 8);
        assert!((0..4).all(|idx| seen(&half, idx).is_none()));
        // Whose returns have nothing to do with the market's is not told either way.
        let stranger = [vec![follower(0, 200, N_DAYS)], of(&[], 6)[1..].to_vec()].concat();
        assert_eq!((seen(&stranger, 0), seen(&stranger, 1)), (None, Some(4)));
        // The same of one that is no member.
        let five = market(&of(&[], 5));
        assert_eq!([0, 1].map(|late| n_seen(&five, 7, &follower(7, late, N_DAYS), 390)), [Some(5), None]);
    }

    /// The same moves the other way.
    fn against(series: &Series) -> Series {
        let turned = |bar: &Bar| {
            let turn = |price: f64| (8.0 - price.ln()).exp();
            let (open, high, low, close) = (turn(bar.open()), turn(bar.low()), turn(bar.high()), turn(bar.close()));
            Bar::new(RawBar { at: bar.at(), open, high, low, close, volume: None }).expect("valid")
        };
        Series::new(Interval::Day, series.bars().iter().map(turned).collect()).expect("ascending")
    }

    #[test]
    fn no_session_depends_on_a_bar_after_it() {
        let wild_after = |series: &Series, cutoff: usize| {
            let wild = |(idx, bar): (usize, &Bar)| {
                let factor = if idx <= cutoff { 1.0 } else { 2.0 + (idx % 5) as f64 };
                let [open, high, low, close] =
                    [bar.open(), bar.high(), bar.low(), bar.close()].map(|price| price * factor);
                Bar::new(RawBar { at: bar.at(), open, high, low, close, volume: None }).expect("valid")
            };
            Series::new(Interval::Day, series.bars().iter().enumerate().map(wild).collect()).expect("ascending")
        };
        let all = alike(5);
        let (clean, poisoned) = (market(&all), market(&all.iter().map(|one| wild_after(one, 300)).collect::<Vec<_>>()));
        let seen = |market: &Market| {
            let around = market.around(&ticker(0), all[0].clone());
            (0..=301).map(|idx| around.market(idx)).collect::<Vec<_>>()
        };
        let (clean, poisoned) = (seen(&clean), seen(&poisoned));
        assert_eq!(clean[..301], poisoned[..301]);
        assert!(clean[300].is_some() && clean[301] != poisoned[301], "the poison is one");
        // Nor of a ticker whose bars the market has in part, or not at all, or had with other values.
        let wild = wild_after(&all[0], 300);
        for own in [vec![], vec![all[0].slice(0..280)], vec![wild_after(&all[0].slice(0..280), 200)]] {
            let members = own.iter().map(|series| (ticker(0), series));
            let others = all[1..].iter().enumerate().map(|(idx, series)| (ticker(idx + 1), series));
            let market = Market::new(members.chain(others).map(|(name, one)| (name, footprints(one).into())));
            let [clean, poisoned] = [&all[0], &wild].map(|series| market.around(&ticker(0), series.clone()));
            assert!((0..=300).all(|idx| clean.market(idx) == poisoned.market(idx)));
            assert!(clean.market(200).is_some());
        }
    }
}
