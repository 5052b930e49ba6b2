//! Light and dark, and the portal's colour.

use std::fmt;
use std::str::FromStr;

/// Light, dark, or what the system says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Auto,
    Light,
    Dark,
}

/// A text that names no mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidMode;

impl Mode {
    pub(crate) const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

impl FromStr for Mode {
    type Err = InvalidMode;

    fn from_str(text: &str) -> Result<Self, InvalidMode> {
        let named = Self::ALL.into_iter().find(|mode| mode.name() == text);
        named.ok_or(InvalidMode)
    }
}

/// The colour of links, focus and what is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accent([u8; 3]);

/// A text that is no colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidAccent;

impl FromStr for Accent {
    type Err = InvalidAccent;

    /// Reads six hexadecimal digits, with or without `#`.
    fn from_str(text: &str) -> Result<Self, InvalidAccent> {
        let digits = text.strip_prefix('#').unwrap_or(text);
        let is_hex = |digit: char| digit.is_ascii_hexdigit();
        if digits.len() != 6 || !digits.chars().all(is_hex) {
            return Err(InvalidAccent);
        }
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16);
        match (part(0), part(2), part(4)) {
            (Ok(red), Ok(green), Ok(blue)) => Ok(Self([red, green, blue])),
            _ => Err(InvalidAccent),
        }
    }
}

impl fmt::Display for Accent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "{red:02x}{green:02x}{blue:02x}")
    }
}

/// What WCAG 2.2 asks of text (1.4.3).
const CONTRAST_MIN: f64 = 4.5;
/// What text in the accent stands on: our lightest and darkest surfaces.
const LIGHT_SURFACE: [u8; 3] = [0xf6, 0xf6, 0xf4];
const DARK_SURFACE: [u8; 3] = [0x1c, 0x1c, 0x1f];

impl Accent {
    /// A stylesheet that puts this colour in place of ours. Whatever was chosen, text in it can be
    /// read: it is darkened or lightened until it contrasts with our surfaces.
    pub(crate) fn stylesheet(self) -> String {
        let on_light = self.readable_on(LIGHT_SURFACE, [0; 3]);
        let on_dark = self.readable_on(DARK_SURFACE, [255; 3]);
        let rule = |accent: Self| {
            let ink = if contrast(accent.0, [255; 3]) >= CONTRAST_MIN {
                "fff"
            } else {
                "000"
            };
            format!("{{--accent:#{accent};--accent-ink:#{ink}}}")
        };
        let (light, dark) = (rule(on_light), rule(on_dark));
        format!(
            ":root{light}[data-theme=dark]{dark}\
             @media (prefers-color-scheme:dark){{:root:not([data-theme=light]){dark}}}"
        )
    }

    /// The first mixture with `towards` that can be read on `surface`.
    fn readable_on(self, surface: [u8; 3], towards: [u8; 3]) -> Self {
        let steps = (0..=20).map(|step| self.mixed(towards, f64::from(step) / 20.0));
        let mut readable = steps.filter(|mixed| contrast(mixed.0, surface) >= CONTRAST_MIN);
        readable.next().unwrap_or(Self(towards))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mixture of bytes lies between them"
    )]
    fn mixed(self, other: [u8; 3], share: f64) -> Self {
        let mix = |own: u8, other: u8| {
            (f64::from(own) * (1.0 - share) + f64::from(other) * share).round() as u8
        };
        Self([0, 1, 2].map(|part| mix(self.0[part], other[part])))
    }
}

//= https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
//# the relative luminance of a color is defined as L = 0.2126 * R + 0.7152 * G + 0.0722 * B
fn luminance(colour: [u8; 3]) -> f64 {
    let [red, green, blue] = colour.map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 {
            part / 12.92
        } else {
            ((part + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

//= https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
//# (L1 + 0.05) / (L2 + 0.05), where L1 is the relative luminance of the lighter of the colors
fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_six_digits() {
        assert_eq!("28BB93".parse(), Ok(Accent([0x28, 0xbb, 0x93])));
        assert_eq!(
            "#28bb93".parse::<Accent>().expect("valid").to_string(),
            "28bb93"
        );
        for wrong in [
            "", "#", "28bb9", "28bb933", "28bb9g", "+8bb93", "é8bb9", "red;}*{",
        ] {
            assert_eq!(wrong.parse::<Accent>(), Err(InvalidAccent), "{wrong}");
        }
    }

    #[test]
    fn text_in_any_colour_can_be_read() {
        for red in (0..=255).step_by(51) {
            for green in (0..=255).step_by(51) {
                for blue in (0..=255).step_by(51) {
                    let accent = Accent([red, green, blue]);
                    for (surface, towards) in [(LIGHT_SURFACE, [0; 3]), (DARK_SURFACE, [255; 3])] {
                        let shown = accent.readable_on(surface, towards);
                        let contrast = contrast(shown.0, surface);
                        assert!(contrast >= CONTRAST_MIN, "{accent} as {shown}: {contrast}");
                    }
                }
            }
        }
    }
}
