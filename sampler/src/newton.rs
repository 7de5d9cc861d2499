//! Interpolation by Newton's divided differences, and Gauss-Legendre quadrature: what multistep methods are made of.

use std::f64::consts::PI;
use std::sync::LazyLock;

/// Nodes and weights of the 24-point Gauss-Legendre rule on `[0, 1]`.
static GAUSS: LazyLock<[(f64, f64); 24]> = LazyLock::new(|| {
    let n = 24.0;
    std::array::from_fn(|i| {
        let mut x = libm::cos(PI * (i as f64 + 0.75) / (n + 0.5));
        let mut slope = 0.0;
        for _ in 0..8 {
            // Legendre polynomials by their recurrence; Newton's iteration on the root.
            let (mut before, mut p) = (1.0, x);
            for k in 2..=24 {
                let k = f64::from(k);
                (before, p) = (p, ((2.0 * k - 1.0) * x * p - (k - 1.0) * before) / k);
            }
            slope = n * (x * p - before) / (x * x - 1.0);
            x -= p / slope;
        }
        ((1.0 + x) / 2.0, 1.0 / ((1.0 - x * x) * slope * slope))
    })
});

/// `int_from^to f(q) dq`, for each of the values `f` adds.
pub(crate) fn integrate(from: f64, to: f64, terms: usize, f: impl Fn(f64, &mut dyn FnMut(usize, f64))) -> Vec<f64> {
    let mut sums = vec![0.0; terms];
    for (node, weight) in GAUSS.iter() {
        f(from + (to - from) * node, &mut |term, value| {
            if let Some(sum) = sums.get_mut(term) {
                *sum += weight * (to - from) * value;
            }
        });
    }
    sums
}

/// The third term of a Newton polynomial, `tau (a tau + b (u_0 - u_1))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Quadratic {
    /// `a = b = 1`: the polynomial goes through all values.
    Interpolating,
    /// `a = 1/2, b = 1`: half the curvature, as DPM-Solver++ 3M is published.
    HalfCurvature,
    /// `a = 1, b = 0`: the slope of the last two values, as ER-SDE-3 is published.
    LastSlope,
}

impl Quadratic {
    fn factors(self) -> [f64; 2] {
        match self {
            Self::Interpolating => [1.0, 1.0],
            Self::HalfCurvature => [0.5, 1.0],
            Self::LastSlope => [1.0, 0.0],
        }
    }
}

/// Newton's basis `n_0 = 1, n_1 = tau, n_2 = tau (tau + u_0 - u_1), ..` and its derivatives at `u = u_0 + tau`, as many
/// as there are nodes.
pub(crate) fn basis(nodes: &[f64], tau: f64, quadratic: Quadratic) -> impl Iterator<Item = [f64; 2]> {
    let first = nodes.first().copied().unwrap_or_default();
    nodes.iter().enumerate().scan([1.0, 0.0], move |next, (k, node)| {
        let [n, slope] = *next;
        let [a, b] = if k == 1 { quadratic.factors() } else { [1.0, 1.0] };
        let factor = a * tau + b * (first - node);
        *next = [n * factor, slope * factor + n * a];
        Some([n, slope])
    })
}

/// From the integrals of Newton's basis to the weights of the values at the nodes:
/// `sum_k I_k f[u_0 .. u_k] = sum_j w_j f(u_j)`, with `f[u_0 .. u_k] = sum_j f(u_j) / prod_{m != j} (u_j - u_m)`.
pub(crate) fn weights(nodes: &[f64], integrals: &[f64]) -> Vec<f64> {
    let mut weights = vec![0.0; nodes.len()];
    for (k, integral) in integrals.iter().enumerate() {
        for (j, (weight, u)) in weights.iter_mut().zip(nodes).enumerate().take(k + 1) {
            let others = nodes.iter().enumerate().take(k + 1).filter(|(m, _)| *m != j);
            *weight += integral / others.map(|(_, other)| u - other).product::<f64>();
        }
    }
    weights
}

/// The nodes as if every step before had been at least as long as the one to come, `h`: extrapolation then never
/// weighs an old value more than on an even grid.
pub(crate) fn stretched(nodes: &[f64], h: f64) -> Vec<f64> {
    let mut at = nodes.first().copied().unwrap_or_default();
    let mut stretched = vec![at];
    for pair in nodes.windows(2) {
        if let [newer, older] = pair {
            at -= (newer - older).abs().max(h.abs()) * h.signum();
            stretched.push(at);
        }
    }
    stretched
}
