//! What prices the Korea Exchange allows: ticks and the daily limit.
//!
//! Source: KRX, KOSPI and KOSDAQ Market Business Regulations, tick sizes in force since 2023-01-25; price limit
//! ±30 % of the base price since 2015-06-15.

/// Lower ends of the price bands, in won, and the tick within each.
const TICKS: [(f64, f64); 7] = [
    (500_000.0, 1_000.0),
    (200_000.0, 500.0),
    (50_000.0, 100.0),
    (20_000.0, 50.0),
    (5_000.0, 10.0),
    (2_000.0, 5.0),
    (0.0, 1.0),
];
/// How far from the base price a session's prices may go.
const LIMIT: f64 = 0.3;

/// The prices of one session.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PriceLimits {
    /// The lowest price that can be traded.
    pub lower: f64,
    /// The highest.
    pub upper: f64,
}

/// The step between prices around `price`, in won.
pub fn tick_size(price: f64) -> f64 {
    TICKS.iter().find(|(from, _)| price >= *from).map_or(1.0, |(_, tick)| *tick)
}

/// The nearest price that can be quoted, at least one won; halves go up.
pub fn round_to_tick(price: f64) -> f64 {
    let tick = tick_size(price);
    ((price / tick + 0.5).floor() * tick).max(1.0)
}

/// The limits of the session after one that closed at `previous_close` (the base price, where no right was
/// detached): 30 % of it, cut down to its tick, to each side, and each end on a tick of its own band.
pub fn price_limits(previous_close: f64) -> PriceLimits {
    let tick = tick_size(previous_close);
    // Rounding first: 30 % of a whole price is not a whole number in binary.
    let width = ((previous_close * LIMIT * 1e6).round() / 1e6 / tick).floor() * tick;
    let (lower, upper) = (previous_close - width, previous_close + width);
    let up = |price: f64| (price / tick_size(price)).ceil() * tick_size(price);
    let down = |price: f64| (price / tick_size(price)).floor() * tick_size(price);
    PriceLimits { lower: up(lower).max(1.0), upper: down(upper) }
}

/// A forecast close as a price that the exchange could show after `steps` sessions (from 1): within the limits that
/// follow each other session by session, on a tick.
pub fn admissible(price: f64, last_close: f64, steps: usize) -> f64 {
    let mut limits = PriceLimits { lower: last_close, upper: last_close };
    for _ in 0..steps {
        limits = PriceLimits { lower: price_limits(limits.lower).lower, upper: price_limits(limits.upper).upper };
        if (limits.lower..=limits.upper).contains(&price) {
            break;
        }
    }
    round_to_tick(price.clamp(limits.lower, limits.upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_band_has_its_tick_on_both_sides() {
        for (price, tick) in [
            (1_999.0, 1.0),
            (2_000.0, 5.0),
            (4_995.0, 5.0),
            (5_000.0, 10.0),
            (19_990.0, 10.0),
            (20_000.0, 50.0),
            (49_950.0, 50.0),
            (50_000.0, 100.0),
            (199_900.0, 100.0),
            (200_000.0, 500.0),
            (499_500.0, 500.0),
            (500_000.0, 1_000.0),
        ] {
            assert_eq!(tick_size(price).to_bits(), f64::to_bits(tick), "{price}");
        }
    }

    #[test]
    fn a_price_goes_to_the_nearest_tick() {
        for (price, rounded) in
            [(81_649.9, 81_600.0), (81_650.0, 81_700.0), (1_999.6, 2_000.0), (4_997.6, 5_000.0), (0.2, 1.0)]
        {
            assert_eq!(round_to_tick(price).to_bits(), f64::to_bits(rounded), "{price}");
        }
    }

    #[test]
    fn the_limits_are_30_percent_cut_to_the_tick() {
        for (close, lower, upper) in [
            (10_000.0, 7_000.0, 13_000.0),
            // 30 % of 9,990 is 2,997: 2,990 on a tick of 10.
            (9_990.0, 7_000.0, 12_980.0),
            // 30 % of 44,800 is 13,440: 13,400 on a tick of 50; 58,200 is on a tick of 100 already.
            (44_800.0, 31_400.0, 58_200.0),
            // 30 % of 1,555 is 466 (466.5): 2,021 is no price in a band of 5.
            (1_555.0, 1_089.0, 2_020.0),
        ] {
            assert_eq!(price_limits(close), PriceLimits { lower, upper }, "{close}");
        }
    }

    #[test]
    fn a_forecast_stays_within_the_limits_of_its_session_and_the_next_ones() {
        let at = |price: f64, steps: usize| admissible(price, 10_000.0, steps);
        assert_eq!(at(10_003.0, 1).to_bits(), 10_000_f64.to_bits());
        assert_eq!(at(20_000.0, 1).to_bits(), 13_000_f64.to_bits());
        assert_eq!(at(5_000.0, 1).to_bits(), 7_000_f64.to_bits());
        assert_eq!(at(20_000.0, 2).to_bits(), 16_900_f64.to_bits());
        assert_eq!(at(15_003.0, 2).to_bits(), 15_000_f64.to_bits());
    }
}
