//! 8-bit floats.

use half::f16;

/// 1 sign bit, 4 of exponent with bias 7, 3 of mantissa. There are no infinities, and all ones is not a number.
pub(super) fn e4m3(bits: u8) -> f32 {
    E4M3[usize::from(bits)]
}

/// 1 sign bit, 5 of exponent with bias 15, 2 of mantissa.
pub(super) fn e5m2(bits: u8) -> f32 {
    f16::from_bits(u16::from(bits) << 8).to_f32()
}

/// The nearest e4m3 to `value`, ties to even; beyond the largest, 448, the largest.
pub(super) fn to_e4m3(value: f32) -> u8 {
    nearest(value, 7, 3, 0x7e)
}

/// The nearest e5m2 to `value`, ties to even; beyond the largest, 57344, the largest.
pub(super) fn to_e5m2(value: f32) -> u8 {
    nearest(value, 15, 2, 0x7b)
}

/// The nearest number with this exponent bias and so many bits of mantissa, none beyond `largest`.
fn nearest(value: f32, bias: i32, mantissa: u32, largest: u8) -> u8 {
    let sign = if value.is_sign_negative() { 0x80 } else { 0 };
    if value.is_nan() {
        return sign | 0x7f;
    }
    // In units of the last place of the value's binade, or of the smallest one: exact, because they are powers of two.
    let value = f64::from(value.abs()).min(65536.0);
    let exponent = if value == 0.0 { 1 - bias } else { (value.log2().floor() as i32).max(1 - bias) };
    let units = (value / 2f64.powi(exponent - mantissa as i32)).round_ties_even();
    // A binade above counts on from the one below, also where rounding has carried into it.
    let code = f64::from((exponent + bias - 1) << mantissa) + units;
    sign | if code < f64::from(largest) { code as u8 } else { largest }
}

const E4M3: [f32; 256] = {
    let mut table = [0.0; 256];
    let mut bits = 0;
    while bits < 256 {
        let (exponent, mantissa) = ((bits >> 3) & 15, (bits & 7) as f32);
        let magnitude = match (exponent, bits & 7) {
            (15, 7) => f32::NAN,
            // 2^(1 - 7) m / 8
            (0, _) => mantissa / 512.0,
            // 2^(e - 7) (1 + m / 8)
            _ => f32::from_bits((exponent as u32 + 120) << 23) * (1.0 + mantissa / 8.0),
        };
        table[bits] = if bits < 128 { magnitude } else { -magnitude };
        bits += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::{e4m3, e5m2, to_e4m3, to_e5m2};

    #[test]
    fn the_landmarks_of_the_paper_are_there() {
        // Micikevicius et al. 2022, table 1.
        assert_eq!(
            [e4m3(0x7e), e4m3(0x08), e4m3(0x07), e4m3(0x01)],
            [448.0, 2f32.powi(-6), 0.875 * 2f32.powi(-6), 2f32.powi(-9)]
        );
        assert!(e4m3(0x7f).is_nan() && e4m3(0xff).is_nan());
        assert_eq!(
            [e5m2(0x7b), e5m2(0x04), e5m2(0x03), e5m2(0x01)],
            [57344.0, 2f32.powi(-14), 0.75 * 2f32.powi(-14), 2f32.powi(-16)]
        );
        assert_eq!(e5m2(0x7c), f32::INFINITY);
    }

    #[test]
    fn every_number_is_its_own_nearest_and_what_lies_between_goes_to_the_even_one() {
        for (decode, encode, largest) in [
            (e4m3 as fn(u8) -> f32, to_e4m3 as fn(f32) -> u8, 0x7eu8),
            (e5m2 as fn(u8) -> f32, to_e5m2 as fn(f32) -> u8, 0x7bu8),
        ] {
            for bits in (0..=largest).chain(0x80..=0x80 | largest) {
                assert_eq!(encode(decode(bits)), bits, "{bits:#x}");
            }
            for bits in 0..largest {
                let (low, high) = (decode(bits), decode(bits + 1));
                let middle = (low + high) / 2.0;
                assert_eq!(encode(middle), bits + bits % 2, "{bits:#x}");
                assert_eq!(encode(f32::from_bits(middle.to_bits() - 1)), bits, "{bits:#x}");
                assert_eq!(encode(f32::from_bits(middle.to_bits() + 1)), bits + 1, "{bits:#x}");
            }
            assert_eq!(encode(1e30), largest);
            assert_eq!(encode(f32::NEG_INFINITY), 0x80 | largest);
            assert!(decode(encode(f32::NAN)).is_nan());
        }
    }
}
