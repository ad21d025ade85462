//! Binary fixed-point numbers, exactly as the chain holds them.

use std::fmt;
use std::str::FromStr;

/// A number of the runtime's `substrate_fixed` types, such as `I96F32` (moving price) or `U64F64` (square root of a price).
///
/// Its value is `bits / 2^fraction_bits`. Nothing is rounded: [`fmt::Display`] writes every decimal digit, and the serialised form
/// is the text `bits/2^fraction_bits`, such as `40869489/2^32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fixed {
    negative: bool,
    magnitude: u128,
    fraction_bits: u8,
}

/// Why a text is no fixed-point number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no fixed-point number; `bits/2^fraction_bits` is wanted, such as `40869489/2^32`")]
pub struct FixedError(String);

impl Fixed {
    /// More fraction bits than any type of the chain has; one more decimal digit of a fraction still fits 128 bits.
    pub const MAX_FRACTION_BITS: u8 = 124;

    /// A number from its bits; `None` when it has more than [`Self::MAX_FRACTION_BITS`].
    pub fn new(negative: bool, magnitude: u128, fraction_bits: u8) -> Option<Self> {
        (fraction_bits <= Self::MAX_FRACTION_BITS).then_some(Self { negative: negative && magnitude != 0, magnitude, fraction_bits })
    }

    /// The bits without their sign.
    pub fn magnitude(&self) -> u128 {
        self.magnitude
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// How many of the bits stand behind the point.
    pub fn fraction_bits(&self) -> u8 {
        self.fraction_bits
    }

    /// The nearest floating-point number, for display and statistics.
    #[allow(clippy::cast_precision_loss, reason = "rounding is what the caller asks for")]
    pub fn to_f64(&self) -> f64 {
        let value = self.magnitude as f64 / (2f64).powi(i32::from(self.fraction_bits));
        if self.negative { -value } else { value }
    }
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mask = (1u128 << self.fraction_bits) - 1;
        let mut digits = (self.magnitude >> self.fraction_bits).to_string();
        let mut rest = self.magnitude & mask;
        if rest != 0 {
            digits.push('.');
        }
        // A fraction of n bits ends after n decimal digits at the latest.
        while rest != 0 {
            rest *= 10;
            digits.push(char::from(b'0' + u8::try_from(rest >> self.fraction_bits).unwrap_or(9)));
            rest &= mask;
        }
        f.pad_integral(!self.negative, "", &digits)
    }
}

impl FromStr for Fixed {
    type Err = FixedError;

    fn from_str(text: &str) -> Result<Self, FixedError> {
        let parse = || {
            let (bits, fraction) = text.split_once("/2^")?;
            let (negative, magnitude) = bits.strip_prefix('-').map_or((false, bits), |rest| (true, rest));
            Self::new(negative, magnitude.parse().ok()?, fraction.parse().ok()?)
        };
        parse().ok_or_else(|| FixedError(text.chars().take(80).collect()))
    }
}

impl serde::Serialize for Fixed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sign = if self.negative { "-" } else { "" };
        serializer.collect_str(&format_args!("{sign}{}/2^{}", self.magnitude, self.fraction_bits))
    }
}

impl<'de> serde::Deserialize<'de> for Fixed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(negative: bool, magnitude: u128, bits: u8) -> Fixed {
        Fixed::new(negative, magnitude, bits).unwrap()
    }

    #[test]
    fn every_digit_is_shown() {
        assert_eq!(fixed(false, 40_869_489, 32).to_string(), "0.00951566942967474460601806640625");
        assert_eq!(fixed(false, 3 << 31, 32).to_string(), "1.5");
        assert_eq!(fixed(true, 1, 2).to_string(), "-0.25");
        assert_eq!(fixed(false, 7, 0).to_string(), "7");
        assert_eq!(fixed(true, 0, 32).to_string(), "0");
        assert_eq!(fixed(false, u128::MAX, 64).to_string().split('.').next(), Some("18446744073709551615"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for bad in ["", "1", "1/2", "x/2^3", "1/2^125", "1/2^-1", "--1/2^3"] {
            assert!(bad.parse::<Fixed>().is_err(), "{bad}");
        }
        assert!(Fixed::new(false, 1, 125).is_none());
    }

    proptest::proptest! {
        #[test]
        fn the_text_form_is_exact(negative: bool, magnitude: u128, bits in 0..=Fixed::MAX_FRACTION_BITS) {
            let number = fixed(negative, magnitude, bits);
            let text = serde_json::to_string(&number).unwrap();
            proptest::prop_assert_eq!(serde_json::from_str::<Fixed>(&text).unwrap(), number);
            let shown: f64 = number.to_string().parse().unwrap();
            proptest::prop_assert!((shown - number.to_f64()).abs() <= shown.abs() * 1e-15);
        }
    }
}
