//! GARCH(1,1) with a constant mean and Student-t shocks, by maximum likelihood.

use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::function::gamma::ln_gamma;

use super::nelder_mead::minimise;

/// `r = μ + σ z`, `σ²ₜ = ω + α (rₜ₋₁ − μ)² + β σ²ₜ₋₁`, `z` Student-t of unit variance at `ν` degrees.
///
/// Sources: Bollerslev (1986), "Generalized autoregressive conditional heteroskedasticity", Journal of
/// Econometrics 31; Bollerslev (1987), Review of Economics and Statistics 69, for Student-t.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Garch {
    /// Mean log return a session.
    pub mu: f64,
    /// Constant of the variance.
    pub omega: f64,
    /// Weight of the last squared shock.
    pub alpha: f64,
    /// Weight of the last variance.
    pub beta: f64,
    /// Degrees of freedom of the shocks, above 2.
    pub freedom: f64,
    /// The variance before the first return: a weighted mean of the first squared shocks.
    pub before: f64,
}

/// Degrees of freedom are sought between these: the variance exists, and beyond 200 a t is a normal.
const FREEDOM: (f64, f64) = (2.05, 200.0);

impl Garch {
    /// The likeliest parameters for one-step log returns; `None` where returns do not vary.
    ///
    /// The search runs over transformed parameters (so that each point is a stationary model), in units of the
    /// returns' own standard deviation, from three starts.
    pub fn fit(returns: &[f64]) -> Option<Self> {
        let mean = super::mean_of(returns)?;
        let scale = super::mean_of(&returns.iter().map(|r| (r - mean).powi(2)).collect::<Vec<_>>())?.sqrt();
        if scale <= 1e-9 {
            return None;
        }
        let scaled: Vec<f64> = returns.iter().map(|r| r / scale).collect();
        let before = backcast(&scaled, mean / scale);
        let loss = |place: &[f64]| -Self::from_place(place, before).log_likelihood(&scaled);
        let starts = [(0.05, 0.93), (0.10, 0.80), (0.20, 0.55)];
        let searches = starts.map(|(alpha, beta)| {
            let start: [f64; 5] = [
                mean / scale,
                (1.0_f64 - alpha - beta).ln(),
                logit(alpha + beta),
                logit(alpha / (alpha + beta)),
                (7.0_f64 - FREEDOM.0).ln(),
            ];
            (loss(&start), start)
        });
        let (_, start) = searches.into_iter().min_by(|a, b| a.0.total_cmp(&b.0))?;
        let (place, value) = minimise(&loss, &start, 0.3);
        let found = Self::from_place(&place, before);
        value.is_finite().then_some(Self {
            mu: found.mu * scale,
            omega: found.omega * scale * scale,
            before: before * scale * scale,
            ..found
        })
    }

    fn from_place(place: &[f64], before: f64) -> Self {
        let persistence = 0.999_99 * logistic(place[2]);
        let alpha = persistence * logistic(place[3]);
        Self {
            mu: place[0],
            omega: place[1].exp(),
            alpha,
            beta: persistence - alpha,
            freedom: (FREEDOM.0 + place[4].exp()).min(FREEDOM.1),
            before,
        }
    }

    /// Log likelihood of returns in the units of the parameters.
    pub fn log_likelihood(&self, returns: &[f64]) -> f64 {
        let nu = self.freedom;
        let constant = ln_gamma(0.5 * (nu + 1.0)) - ln_gamma(0.5 * nu) - 0.5 * (std::f64::consts::PI * (nu - 2.0)).ln();
        let mut variance = self.omega + (self.alpha + self.beta) * self.before;
        let mut sum = 0.0;
        for r in returns {
            let squared = (r - self.mu).powi(2);
            sum -= 0.5 * variance.ln() + 0.5 * (nu + 1.0) * (squared / (variance * (nu - 2.0))).ln_1p();
            variance = self.omega + self.alpha * squared + self.beta * variance;
        }
        sum + constant * returns.len() as f64
    }

    /// The variance of the session after each return, as known with it.
    pub(super) fn next_variances(&self, returns: &[f64]) -> Vec<f64> {
        let mut variance = self.omega + (self.alpha + self.beta) * self.before;
        let step = |r: &f64| {
            variance = self.omega + self.alpha * (r - self.mu).powi(2) + self.beta * variance;
            variance
        };
        returns.iter().map(step).collect()
    }

    /// Variance of the sum of the next `step` returns where the next session's is `next`: each further session
    /// returns toward the long-run variance by the factor `α + β`.
    pub(super) fn variance_ahead(&self, next: f64, step: usize) -> f64 {
        let persistence = self.alpha + self.beta;
        let long_run = self.omega / (1.0 - persistence);
        let remaining: f64 = (0..step).map(|ahead| persistence.powi(ahead as i32)).sum();
        step as f64 * long_run + remaining * (next - long_run)
    }
}

/// Student-t of a scale and degrees of freedom, fitted to a centered sample by maximum likelihood. Returns over
/// several sessions are nearer to normal than over one: each step has its own degrees.
pub(super) fn fit_student(sample: &[f64]) -> (f64, f64) {
    let loss = |place: &[f64]| {
        let (scale, nu) = (place[0].exp(), (FREEDOM.0 + place[1].exp()).min(FREEDOM.1));
        let constant = ln_gamma(0.5 * (nu + 1.0)) - ln_gamma(0.5 * nu) - 0.5 * (std::f64::consts::PI * (nu - 2.0)).ln();
        let kernel: f64 = sample.iter().map(|x| ((x / scale).powi(2) / (nu - 2.0)).ln_1p()).sum();
        0.5 * (nu + 1.0) * kernel - (constant - scale.ln()) * sample.len() as f64
    };
    let (place, _) = minimise(&loss, &[0.0, (8.0_f64 - FREEDOM.0).ln()], 0.3);
    (place[0].exp(), (FREEDOM.0 + place[1].exp()).min(FREEDOM.1))
}

/// Quantile of a Student-t scaled to unit variance.
pub(super) fn student_quantile(freedom: f64, level: f64) -> f64 {
    let unit = ((freedom - 2.0) / freedom).sqrt();
    StudentsT::new(0.0, unit, freedom).map_or(f64::NAN, |student| student.inverse_cdf(level))
}

/// Weighted mean of the first 75 squared shocks, weights falling by 0.94: as Python's `arch` starts.
fn backcast(returns: &[f64], mean: f64) -> f64 {
    let weights = std::iter::successors(Some(1.0), |weight| Some(weight * 0.94));
    let (sum, total) = returns
        .iter()
        .take(75)
        .zip(weights)
        .fold((0.0, 0.0), |(sum, total), (r, weight)| (sum + weight * (r - mean).powi(2), total + weight));
    sum / total
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The generator of `scripts/reference/garch.py`, number for number.
    struct Uniforms(u64);

    impl Uniforms {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            ((z >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        }

        fn normal(&mut self) -> f64 {
            let radius = (-2.0 * self.next().ln()).sqrt();
            radius * (std::f64::consts::TAU * self.next()).cos()
        }
    }

    fn simulate(seed: u64, n: usize, [mean, omega, alpha, beta]: [f64; 4], freedom: usize) -> Vec<f64> {
        let mut uniforms = Uniforms(seed);
        let mut variance = omega / (1.0 - alpha - beta);
        let shock = |_| {
            let top = uniforms.normal();
            let bottom: f64 = (0..freedom).map(|_| uniforms.normal().powi(2)).sum();
            let unit = ((freedom as f64 - 2.0) / freedom as f64).sqrt();
            let r = mean + variance.sqrt() * unit * top / (bottom / freedom as f64).sqrt();
            variance = omega + alpha * (r - mean) * (r - mean) + beta * variance;
            r
        };
        (0..n).map(shock).collect()
    }

    /// Parameters and log likelihood by `arch` 8.0.0, from `scripts/reference/garch.py`.
    #[test]
    fn parameters_agree_with_arch_on_five_series() {
        #[rustfmt::skip]
        let cases = [
            (simulate(1, 1500, [0.05, 0.05, 0.08, 0.90], 6), [0.062_744_12, 0.025_482_1, 0.063_554_69, 0.926_973_2, 5.421_99], -2_614.267_531),
            (simulate(2, 2000, [0.00, 0.10, 0.10, 0.85], 5), [0.037_667_71, 0.253_076_1, 0.109_333_9, 0.753_171_3, 5.383_072], -3_294.094_504),
            (simulate(3, 2500, [0.08, 0.02, 0.05, 0.93], 8), [0.090_067_8, 0.014_503_17, 0.044_823_21, 0.938_253_9, 7.888_596], -3_213.497_444),
            (simulate(4, 1500, [-0.03, 0.30, 0.15, 0.70], 7), [-0.058_627_93, 0.392_327, 0.225_697_2, 0.539_258_5, 8.382_338], -2_405.132_378),
            (simulate(5, 3000, [0.04, 0.04, 0.12, 0.86], 4), [0.030_099_84, 0.036_516_56, 0.135_182_3, 0.853_236_7, 4.054_26], -4_325.399_275),
        ];
        for (case, (returns, [mu, omega, alpha, beta, freedom], likelihood)) in cases.iter().enumerate() {
            let found = Garch::fit(returns).expect("returns vary");
            let pairs = [
                ("mu", found.mu, mu),
                ("omega", found.omega, omega),
                ("alpha", found.alpha, alpha),
                ("beta", found.beta, beta),
                ("freedom", found.freedom, freedom),
            ];
            for (name, ours, theirs) in pairs {
                assert!((ours / theirs - 1.0).abs() < 0.02, "series {case}, {name}: {ours}, arch {theirs}");
            }
            assert!(found.log_likelihood(returns) > likelihood - 0.01, "series {case}");
        }
    }

    #[test]
    fn parameters_follow_the_unit_of_the_returns() {
        let percent = simulate(1, 800, [0.05, 0.05, 0.08, 0.90], 6);
        let fraction: Vec<f64> = percent.iter().map(|r| r / 100.0).collect();
        let (a, b) = (Garch::fit(&percent).expect("varies"), Garch::fit(&fraction).expect("varies"));
        assert!((a.omega / b.omega / 1e4 - 1.0).abs() < 1e-3 && (a.alpha / b.alpha - 1.0).abs() < 1e-3);
        assert_eq!(Garch::fit(&[0.0; 300]), None);
    }

    #[test]
    fn variance_ahead_is_the_sum_of_the_recursion() {
        let garch = Garch { mu: 0.0, omega: 0.1, alpha: 0.1, beta: 0.8, freedom: 5.0, before: 1.0 };
        let third = |next: f64| 0.1 + 0.9 * (0.1 + 0.9 * next);
        assert!((garch.variance_ahead(2.0, 3) - (2.0 + (0.1 + 0.9 * 2.0) + third(2.0))).abs() < 1e-12);
    }

    #[test]
    fn a_student_sample_gives_its_scale_and_degrees() {
        let sample: Vec<f64> = (1..4000).map(|i| 1.7 * student_quantile(5.0, f64::from(i) / 4000.0)).collect();
        let (scale, freedom) = fit_student(&sample);
        assert!((scale / 1.7 - 1.0).abs() < 0.01 && (freedom - 5.0).abs() < 0.4, "{scale} {freedom}");
    }
}
