//! Kubernetes quantities, such as a node's `allocatable`.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

const GIB: f64 = 1_073_741_824.0;

/// Whole units, rounded down; 0 where there is no quantity, or none that can be read.
#[must_use]
pub fn whole(quantity: Option<&Quantity>) -> u32 {
    floor(amount(quantity))
}

/// Whole GiB of a quantity of bytes; else as [`whole`].
#[must_use]
pub fn whole_gib(quantity: Option<&Quantity>) -> u32 {
    floor(amount(quantity) / GIB)
}

fn amount(quantity: Option<&Quantity>) -> f64 {
    quantity.and_then(|quantity| parse(&quantity.0)).unwrap_or(0.0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast from float saturates, and rounding down is wanted")]
fn floor(number: f64) -> u32 {
    number as u32
}

/// A Kubernetes quantity: a decimal number with an optional suffix.
fn parse(quantity: &str) -> Option<f64> {
    let text = quantity.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic() && !is_exponent(text, c)).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => GIB,
        "Ti" => GIB * 1024.0,
        "Pi" => GIB * 1_048_576.0,
        _ => return None,
    };
    number.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0).map(|number| number * factor)
}

/// Whether a letter is the exponent of a number such as `1e9`.
fn is_exponent(text: &str, letter: char) -> bool {
    matches!(letter, 'e' | 'E') && text.ends_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        for (text, value) in
            [("128", 128.0), ("127500m", 127.5), ("2Ki", 2048.0), ("1e3", 1000.0), ("1.5G", 1.5e9), ("1Gi", GIB), ("0", 0.0)]
        {
            assert_eq!(parse(text), Some(value), "{text}");
        }
        for bad in ["", "Gi", "-1", "1X", "NaN", "1Gib"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn amounts_are_rounded_down_and_what_is_not_there_is_nothing() {
        let of = |text: &str| Quantity(text.to_owned());
        assert_eq!((whole(Some(&of("127900m"))), whole(Some(&of("many"))), whole(None)), (127, 0, 0));
        assert_eq!((whole_gib(Some(&of("2113000000Ki"))), whole_gib(Some(&of("1e30")))), (2015, u32::MAX));
    }
}
