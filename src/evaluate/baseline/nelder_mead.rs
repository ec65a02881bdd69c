//! Minimum of a function of a few unknowns, without derivatives.

/// How often the search starts again at the best point found, with a fresh simplex.
const RESTARTS: usize = 4;
/// Steps of one search.
const MAX_STEPS: usize = 1_500;

/// Minimises by the downhill simplex; returns the place and the value. A value that is not finite counts as
/// worse than all others, so `objective` may answer infinity where it is not defined.
///
/// A simplex can shrink before it arrives: it is begun anew at its result until that gains no more.
///
/// Source: Nelder & Mead (1965), "A Simplex Method for Function Minimization", Computer Journal 7; with the
/// dimension-dependent coefficients of Gao & Han (2012), Computational Optimization and Applications 51.
pub(super) fn minimise(objective: &dyn Fn(&[f64]) -> f64, start: &[f64], step: f64) -> (Vec<f64>, f64) {
    let finite = |place: &[f64]| Some(objective(place)).filter(|value| value.is_finite()).unwrap_or(f64::INFINITY);
    let (mut best, mut value) = search(&finite, start, step);
    for _ in 0..RESTARTS {
        let (place, found) = search(&finite, &best, 0.5 * step);
        let gained = value - found;
        if found < value {
            (best, value) = (place, found);
        }
        if gained <= 1e-7 {
            break;
        }
    }
    (best, value)
}

fn search(objective: &dyn Fn(&[f64]) -> f64, start: &[f64], step: f64) -> (Vec<f64>, f64) {
    let n = start.len();
    let size = n as f64;
    let (expand, contract, shrink) = (1.0 + 2.0 / size, 0.75 - 0.5 / size, 1.0 - 1.0 / size.max(2.0));
    let mut simplex: Vec<(Vec<f64>, f64)> = (0..=n)
        .map(|corner| {
            let mut place = start.to_vec();
            if corner > 0 {
                place[corner - 1] += step;
            }
            let value = objective(&place);
            (place, value)
        })
        .collect();
    for _ in 0..MAX_STEPS {
        simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
        if simplex[n].1 - simplex[0].1 < 1e-9 && spread(&simplex) < 1e-6 {
            break;
        }
        let center: Vec<f64> =
            (0..n).map(|axis| simplex[..n].iter().map(|(place, _)| place[axis]).sum::<f64>() / size).collect();
        let worst = simplex[n].clone();
        let try_at = |factor: f64| {
            let place: Vec<f64> = center.iter().zip(&worst.0).map(|(c, w)| c + factor * (c - w)).collect();
            let value = objective(&place);
            (place, value)
        };
        let reflected = try_at(1.0);
        if reflected.1 < simplex[0].1 {
            let expanded = try_at(expand);
            simplex[n] = if expanded.1 < reflected.1 { expanded } else { reflected };
        } else if reflected.1 < simplex[n - 1].1 {
            simplex[n] = reflected;
        } else {
            let outside = reflected.1 < worst.1;
            let contracted = try_at(if outside { contract } else { -contract });
            if contracted.1 < worst.1.min(reflected.1) {
                simplex[n] = contracted;
            } else {
                shrink_to_best(&mut simplex, objective, shrink);
            }
        }
    }
    simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
    simplex.swap_remove(0)
}

fn spread(simplex: &[(Vec<f64>, f64)]) -> f64 {
    let best = &simplex[0].0;
    let distances = simplex.iter().flat_map(|(place, _)| place.iter().zip(best).map(|(a, b)| (a - b).abs()));
    distances.fold(0.0, f64::max)
}

fn shrink_to_best(simplex: &mut [(Vec<f64>, f64)], objective: &dyn Fn(&[f64]) -> f64, factor: f64) {
    let best = simplex[0].0.clone();
    for (place, value) in &mut simplex[1..] {
        for (coordinate, target) in place.iter_mut().zip(&best) {
            *coordinate = target + factor * (*coordinate - target);
        }
        *value = objective(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curved_valley_is_followed_to_its_end() {
        let rosenbrock = |x: &[f64]| (1.0 - x[0]).powi(2) + 100.0 * (x[1] - x[0] * x[0]).powi(2);
        let (place, value) = minimise(&rosenbrock, &[-1.2, 1.0], 0.5);
        assert!(value < 1e-8 && (place[0] - 1.0).abs() < 1e-3 && (place[1] - 1.0).abs() < 1e-3, "{place:?} {value}");
    }

    #[test]
    fn places_where_nothing_is_defined_are_left() {
        let (place, _) = minimise(&|x| if x[0] < 1.0 { f64::NAN } else { (x[0] - 1.5).powi(2) }, &[3.0], 1.0);
        assert!((place[0] - 1.5).abs() < 1e-4, "{place:?}");
    }
}
