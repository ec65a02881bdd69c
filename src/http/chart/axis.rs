//! Numbers to places on the page, and the round numbers that are written beside them.

/// One side of a panel: `range` of numbers along `places` in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    range: (f64, f64),
    places: (f64, f64),
}

impl Axis {
    /// Room for all of these numbers and a little more on both sides; numbers that are not finite are not drawn.
    pub(super) fn around(values: impl Iterator<Item = f64>, places: (f64, f64)) -> Self {
        let values = values.filter(|value| value.is_finite());
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        // A price that never moved stands in the middle.
        let room = if high > low { 0.04 * (high - low) } else { 0.01 * high.abs().max(1e-9) };
        Self { range: (low - room, high + room), places }
    }

    /// From zero to the largest of these numbers.
    pub(super) fn from_zero(values: impl Iterator<Item = f64>, places: (f64, f64)) -> Self {
        let high = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        Self { range: (0.0, if high > 0.0 { high } else { 1.0 }), places }
    }

    /// Where a number stands; outside of the range at its end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = ((value - self.range.0) / (self.range.1 - self.range.0)).clamp(0.0, 1.0);
        self.places.0 + share * (self.places.1 - self.places.0)
    }

    /// Places and texts of about `count` round numbers.
    pub(super) fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        let (low, high) = self.range;
        let rough = (high - low) / count as f64;
        let decade = 10_f64.powf(rough.log10().floor());
        let rounds = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade);
        let step = rounds.into_iter().find(|round| *round >= rough).unwrap_or(rough);
        let (first, last) = ((low / step).ceil(), (high / step + 1e-9).floor());
        let numbers = (0..=(last - first).max(0.0) as usize).map(|idx| (first + idx as f64) * step);
        numbers.map(|number| (self.place(number), text(number, step))).collect()
    }
}

/// A number with as many decimals as its neighbours `step` away need; millions as `1.2M`.
fn text(number: f64, step: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let (unit, suffix) = match number.abs() {
        size if !(1e-6..1e15).contains(&size) => return format!("{number:.1e}"),
        size if size >= 1e12 && step >= 1e10 => (1e12, "T"),
        size if size >= 1e9 && step >= 1e7 => (1e9, "G"),
        size if size >= 1e6 && step >= 1e4 => (1e6, "M"),
        _ => (1.0, ""),
    };
    let decimals = (-(step / unit).log10() - 1e-9).ceil().clamp(0.0, 8.0) as usize;
    format!("{:.decimals$}{suffix}", number / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[f64]) -> String {
        let axis = Axis::around(values.iter().copied(), (300.0, 0.0));
        axis.ticks(5).into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_round_and_as_precise_as_they_differ() {
        assert_eq!(texts(&[98.0, 104.0]), "98 100 102 104");
        assert_eq!(texts(&[0.9, 1.2]), "0.9 1.0 1.1 1.2");
        assert_eq!(texts(&[65_000.0, 72_000.0]), "66000 68000 70000 72000");
        assert_eq!(texts(&[1.0e6, 1.9e6]), "1.0M 1.2M 1.4M 1.6M 1.8M");
        assert_eq!(texts(&[1_000_000.0, 1_000_005.0]), "1000000 1000002 1000004");
        assert_eq!(texts(&[5.0, 5.0]), "4.96 4.98 5.00 5.02 5.04");
        assert_eq!(texts(&[f64::NAN, 1.0, f64::INFINITY, 2.0]), "1.0 1.5 2.0");
        assert_eq!(texts(&[]), "0 0.5 1.0");
        assert_eq!(texts(&[1e300, 2e300]), "1.0e300 1.5e300 2.0e300");
    }

    #[test]
    fn places_stay_within_the_panel() {
        let axis = Axis::from_zero([0.0, 50.0].into_iter(), (100.0, 0.0));
        assert_eq!([-1.0, 0.0, 25.0, 50.0, 99.0].map(|value| axis.place(value)), [100.0, 100.0, 50.0, 0.0, 0.0]);
        assert_eq!(Axis::from_zero([].into_iter(), (9.0, 0.0)).place(0.0), 9.0);
    }
}
