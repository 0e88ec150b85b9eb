//! Bars, as an SVG that needs nothing but a browser.

use std::fmt::Write;

/// One group of bars.
#[derive(Debug, Clone)]
pub(crate) struct Bars {
    pub(crate) title: String,
    /// Label and value; none where it was not measured.
    pub(crate) bars: Vec<(String, Option<f64>)>,
}

const WIDTH: f64 = 860.0;
const LABELS: f64 = 300.0;
const ROW: f64 = 22.0;

/// Draws the groups one below the other.
pub(crate) fn draw(groups: &[Bars]) -> String {
    let mut body = String::new();
    let mut y = 10.0;
    for group in groups {
        y += 24.0;
        let _ = writeln!(
            body,
            r#"<text x="10" y="{y}" font-weight="bold">{}</text>"#,
            escape(&group.title)
        );
        y += 10.0;
        let most = group.bars.iter().filter_map(|(_, value)| *value).fold(0.0, f64::max);
        for (label, value) in &group.bars {
            let colour = if label.starts_with("Mynah") {
                "#2a7d4f"
            } else {
                "#8a94a6"
            };
            let length = value.map_or(0.0, |value| (WIDTH - LABELS - 110.0) * value / most.max(1e-9));
            let text = value.map_or("–".to_owned(), show);
            let baseline = y + ROW * 0.7;
            let _ = writeln!(
                body,
                r#"<text x="{:.1}" y="{baseline:.1}" text-anchor="end">{}</text><rect x="{LABELS}" y="{:.1}" width="{:.1}" height="{:.1}" fill="{colour}"/><text x="{:.1}" y="{baseline:.1}">{text}</text>"#,
                LABELS - 8.0,
                escape(label),
                y + 2.0,
                length.max(1.0),
                ROW - 5.0,
                LABELS + length + 6.0,
            );
            y += ROW;
        }
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{h:.0}" viewBox="0 0 {WIDTH} {h:.0}" font-family="sans-serif" font-size="13" fill="#1c2330"><rect width="100%" height="100%" fill="#ffffff"/>
{body}</svg>
"##,
        h = y + 16.0
    )
}

fn show(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_is_the_greatest_value() {
        let bars = [("a", Some(1.0)), ("Mynah", Some(4.0)), ("b", None)];
        let svg = draw(&[Bars {
            title: "x < y".to_owned(),
            bars: bars.map(|(label, value)| (label.to_owned(), value)).to_vec(),
        }]);
        assert!(
            svg.contains(r#"width="450.0""#) && svg.contains(r#"width="112.5""#),
            "{svg}"
        );
        assert!(svg.contains("x &lt; y") && !svg.contains("NaN"));
    }
}
