//! Logarithm, sine and cosine in f32 as PyTorch's CPU generator has them on processors with AVX2.
//!
//! The approximations are those of S. L. Moshier's Cephes library (`logf.c`, `sinf.c`), which pytorch
//! `aten/src/ATen/native/cpu/avx_mathfun.h` evaluates eight at a time. Its compiler contracts a product and the sum it
//! goes into to one rounding, and that is part of what is reproduced: `mul_add` below stands where it does, and is
//! rounded once on every processor. All arguments are those of Box and Muller.

/// `ln x` for a normal positive `x`: with `x = m 2^e`, `sqrt(1/2) <= m < sqrt(2)`, and `f = m - 1`,
/// `ln x = f - f^2/2 + f^3 P(f) + e ln 2`, where `ln 2` is in two parts.
pub(super) fn ln(x: f32) -> f32 {
    const P: [f32; 9] = [
        7.037_683_6e-2,
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let bits = x.to_bits();
    let half = f32::from_bits((bits & 0x007F_FFFF) | 0x3F00_0000);
    let exponent = (bits >> 23) as f32 - 126.0;
    let (f, e) = match half < std::f32::consts::FRAC_1_SQRT_2 {
        true => (half - 1.0 + half, exponent - 1.0),
        false => (half - 1.0, exponent),
    };
    let square = f * f;
    let cubic = horner(&P, f) * f * square;
    let small = (-square).mul_add(0.5, e.mul_add(LN_2[1], cubic));
    e.mul_add(LN_2[0], f + small)
}

/// Sine and cosine of an angle in `[0, 2 pi]`: reduced by multiples of `pi/4`, which is in three parts, to
/// `[-pi/4, pi/4]`, then a polynomial each.
pub(super) fn sin_cos(angle: f32) -> [f32; 2] {
    const QUARTER: [f32; 3] = [0.785_156_25, 2.418_756_5e-4, 3.774_895e-8];
    const SIN: [f32; 3] = [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1];
    const COS: [f32; 3] = [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2];
    // The even number of quarters nearest to the angle.
    let quarters = ((angle * std::f32::consts::FRAC_2_PI * 2.0) as u32 + 1) & !1;
    let r = QUARTER.iter().fold(angle, |r, part| (-(quarters as f32)).mul_add(*part, r));
    let square = r * r;
    let sin = (horner(&SIN, square) * square).mul_add(r, r);
    let cos = (-square).mul_add(0.5, horner(&COS, square) * square * square) + 1.0;
    match quarters % 8 {
        0 => [sin, cos],
        2 => [cos, -sin],
        4 => [-sin, -cos],
        _ => [-cos, sin],
    }
}

/// The polynomial with these coefficients, highest power first.
fn horner(coefficients: &[f32], x: f32) -> f32 {
    coefficients.iter().copied().reduce(|sum, coefficient| sum.mul_add(x, coefficient)).unwrap_or_default()
}
