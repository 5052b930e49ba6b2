//! Charts: drawn here as SVG, coloured by classes, each with the same numbers in words for those who
//! can't see them.

use maud::{Markup, html};
use watchfire_domain::time::Timestamp;

use super::block::grouped;

/// One bar of a chart over time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bar {
    /// When it begins, as the axis says it.
    pub(crate) label: String,
    /// Parts from the bottom up, in the order of the chart's series.
    pub(crate) parts: Vec<u64>,
    /// The list behind the bar.
    pub(crate) href: Option<String>,
    /// The list behind what failed of it, where something did.
    pub(crate) failed: Option<String>,
}

/// What a part of each bar stands for: its name and the class that colours it.
pub(crate) type Series = (&'static str, &'static str);

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 160.0;
/// Room between two bars, as a share of a bar's place.
const GAP: f64 = 0.22;

/// Stacked bars over time. Each bar leads to the list behind it.
pub(crate) fn bars(title: &str, series: &[Series], bars: &[Bar]) -> Markup {
    let total = |bar: &Bar| bar.parts.iter().sum::<u64>();
    let highest = bars.iter().map(total).max().unwrap_or(0);
    let top = round_up(highest);
    // What holds links is not one picture.
    let role = if bars.iter().any(|bar| bar.href.is_some()) {
        "group"
    } else {
        "img"
    };
    html! {
        figure.chart {
            figcaption.chart-legend {
                span.unseen { (title) }
                @for (name, class) in series {
                    span { span class={ "swatch " (class) } aria-hidden="true" {} (name) }
                }
            }
            div.chart-plot {
                div.chart-axis.number aria-hidden="true" {
                    @if highest > 0 {
                        span { (grouped(top)) }
                        span { (grouped(top / 2)) }
                    }
                    span { "0" }
                }
                @if highest == 0 { p.chart-none { "Nothing in this time." } }
                svg.chart-bars viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none"
                    role=(role) aria-label={ (title) ": " (in_words(series, bars)) } {
                    (grid())
                    @for (place, bar) in bars.iter().enumerate() {
                        @match &bar.href {
                            Some(href) => {
                                a href=(href) aria-label={ (bar.label) ": " (summary(series, bar)) } { (stack(place, bars.len(), top, series, bar)) }
                                @if let Some(href) = &bar.failed {
                                    a href=(href) aria-label={ (bar.label) ": what failed" } { (failed(place, bars.len(), top, bar)) }
                                }
                            }
                            None => { (stack(place, bars.len(), top, series, bar)) }
                        }
                    }
                }
                div.chart-labels.number aria-hidden="true" {
                    @for label in ends(bars) { span { (label) } }
                }
            }
        }
    }
}

fn grid() -> Markup {
    html! {
        @for step in 0..=2 {
            @let y = HEIGHT / 2.0 * f64::from(step);
            line.grid-line x1="0" x2=(WIDTH) y1=(y) y2=(y) vector-effect="non-scaling-stroke" {}
        }
    }
}

/// The uppermost part of a bar once more, to be pressed by itself.
#[expect(clippy::cast_precision_loss, reason = "pixels need no sixteenth digit")]
fn failed(place: usize, places: usize, top: u64, bar: &Bar) -> Markup {
    let pitch = WIDTH / places.max(1) as f64;
    let scale = HEIGHT / top.max(1) as f64;
    let part = |count: u64| count as f64 * scale;
    let all = bar.parts.iter().sum();
    // Large enough to be met with a finger.
    let height = part(bar.parts.last().copied().unwrap_or(0)).max(12.0);
    let y = (HEIGHT - part(all)).min(HEIGHT - height);
    html! {
        g.bar {
            title { (bar.label) ": what failed" }
            rect.bar-place x=(tidy(pitch * place as f64)) y=(tidy(y)) width=(tidy(pitch)) height=(tidy(height)) {}
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "pixels need no sixteenth digit")]
fn stack(place: usize, places: usize, top: u64, series: &[Series], bar: &Bar) -> Markup {
    let pitch = WIDTH / places.max(1) as f64;
    let width = pitch * (1.0 - GAP);
    let x = pitch * place as f64 + pitch * GAP / 2.0;
    let scale = HEIGHT / top.max(1) as f64;
    let mut below = 0.0;
    let parts = series.iter().zip(&bar.parts).map(|((_, class), part)| {
        // What happened at all is seen at all.
        let height = if *part == 0 {
            0.0
        } else {
            (*part as f64 * scale).max(1.5)
        };
        below += height;
        (class, HEIGHT - below, height)
    });
    let parts: Vec<_> = parts.collect();
    html! {
        g.bar {
            title { (bar.label) ": " (summary(series, bar)) }
            rect.bar-place x=(tidy(pitch * place as f64)) y="0" width=(tidy(pitch)) height=(HEIGHT) {}
            @for (class, y, height) in parts {
                @if height > 0.0 {
                    rect class=(class) x=(tidy(x)) y=(tidy(y)) width=(tidy(width)) height=(tidy(height)) {}
                }
            }
        }
    }
}

/// One decimal is enough for pixels, and short.
fn tidy(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn summary(series: &[Series], bar: &Bar) -> String {
    let parts = series.iter().zip(&bar.parts);
    let parts =
        parts.map(|((name, _), part)| format!("{} {}", grouped(*part), name.to_lowercase()));
    parts.collect::<Vec<_>>().join(", ")
}

fn in_words(series: &[Series], bars: &[Bar]) -> String {
    let mut sum = Bar::default();
    sum.parts = series
        .iter()
        .enumerate()
        .map(|(place, _)| bars.iter().filter_map(|bar| bar.parts.get(place)).sum())
        .collect();
    summary(series, &sum)
}

/// The first, the middle and the last label.
fn ends(bars: &[Bar]) -> Vec<&str> {
    let at = |place: usize| bars.get(place).map(|bar| bar.label.as_str());
    let places = [0, bars.len() / 2, bars.len().saturating_sub(1)];
    places.into_iter().filter_map(at).collect()
}

/// The next number whose half is as easy to read.
fn round_up(number: u64) -> u64 {
    let mut step = 1_u64;
    loop {
        for factor in [2, 4, 10] {
            let candidate = step.saturating_mul(factor);
            if candidate >= number {
                return candidate;
            }
        }
        step = step.saturating_mul(10);
    }
}

/// One cell of a strip.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) label: String,
    pub(crate) begins_at: Timestamp,
    pub(crate) good: u64,
    pub(crate) bad: u64,
}

/// The last hours of something, a cell each: how much, and whether it went well.
pub(crate) fn strip(title: &str, cells: &[Cell]) -> Markup {
    let highest = cells.iter().map(|cell| cell.good + cell.bad).max();
    let highest = highest.unwrap_or(0).max(1);
    let width = cells.len() * 8;
    let (good, bad) = cells.iter().fold((0, 0), |(good, bad), cell| {
        (good + cell.good, bad + cell.bad)
    });
    let words = format!(
        "{title}: {} delivered, {} failed",
        grouped(good),
        grouped(bad)
    );
    html! {
        svg.strip viewBox={ "0 0 " (width) " 24" } width=(width) height="24" role="img"
            aria-label=(words) {
            @for (place, cell) in cells.iter().enumerate() { (strip_cell(place, cell, highest)) }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "pixels need no sixteenth digit")]
fn strip_cell(place: usize, cell: &Cell, highest: u64) -> Markup {
    let all = cell.good + cell.bad;
    let height = if all == 0 {
        2.0
    } else {
        6.0 + 18.0 * all as f64 / highest as f64
    };
    let class = match (cell.good, cell.bad) {
        (0, 0) => "none",
        (_, 0) => "good",
        (0, _) => "bad",
        _ => "warn",
    };
    html! {
        rect class={ "cell " (class) } x=(place * 8 + 1) y=(tidy(24.0 - height)) width="6"
            height=(tidy(height)) rx="1" {
            title {
                (cell.label) ": " (grouped(cell.good)) " delivered, " (grouped(cell.bad)) " failed"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (number, expect) in [
            (0, 2),
            (1, 2),
            (3, 4),
            (5, 10),
            (11, 20),
            (250, 400),
            (1000, 1000),
        ] {
            assert_eq!(round_up(number), expect, "{number}");
        }
    }

    #[test]
    fn a_chart_says_its_numbers_in_words() {
        let bar = |good, bad| Bar {
            label: "15:00".into(),
            parts: vec![good, bad],
            href: Some("/list?hour=15&x=<".into()),
            failed: (bad > 0).then(|| "/list?status=failed".into()),
        };
        let series = [("Delivered", "good"), ("Failed", "bad")];
        let chart = bars("Deliveries", &series, &[bar(3, 0), bar(2, 1)]).into_string();
        assert!(
            chart.contains("Deliveries: 5 delivered, 1 failed"),
            "{chart}"
        );
        assert!(chart.contains("/list?hour=15&amp;x=&lt;"), "{chart}");
        assert!(!chart.contains("style="), "{chart}");
        let failed = chart.matches("/list?status=failed").count();
        assert_eq!(failed, 1, "only where something failed: {chart}");
    }
}
