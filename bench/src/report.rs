//! What was measured, as tables: medians with their spread, printed and written below `bench/results`.

use std::fmt;
use std::fs;

use anyhow::{Context, Result};

use crate::chart::Bars;
use crate::contender::Kind;
use crate::machine;
use crate::settings::Settings;

/// Values of one cell, one for each repeat.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(pub(crate) Vec<f64>);

impl Samples {
    /// The middle one; the mean of both middle ones.
    pub(crate) fn median(&self) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => None,
            n if n % 2 == 1 => Some(sorted[middle]),
            _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
        }
    }

    /// The median, and the least and greatest behind it where they differ.
    pub(crate) fn show(&self, digits: usize) -> String {
        let Some(median) = self.median() else {
            return "–".to_owned();
        };
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if least == most {
            number(median, digits)
        } else {
            let (median, least, most) = (number(median, digits), number(least, digits), number(most, digits));
            format!("{median} ({least}–{most})")
        }
    }
}

/// With thousands separated.
fn number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text
        .split_once('.')
        .map_or((text.as_str(), ""), |(whole, f)| (whole, f));
    let mut out = String::new();
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    if !fraction.is_empty() {
        out = format!("{out}.{fraction}");
    }
    out
}

/// One subset's tables.
#[derive(Default)]
pub(crate) struct Section {
    pub(crate) title: String,
    /// How it was measured.
    pub(crate) method: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    /// What the figures come to.
    pub(crate) findings: Vec<String>,
    pub(crate) bars: Vec<Bars>,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n\n{}\n", self.title, self.method)?;
        writeln!(f, "| {} |", self.columns.join(" | "))?;
        writeln!(f, "|---{}|", "|---:".repeat(self.columns.len() - 1))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        if !self.findings.is_empty() {
            writeln!(f)?;
        }
        for finding in &self.findings {
            writeln!(f, "- {finding}")?;
        }
        Ok(())
    }
}

/// All subsets of one run.
pub(crate) struct Report<'s> {
    settings: &'s Settings,
    text: String,
    bars: Vec<Bars>,
}

impl<'s> Report<'s> {
    pub(crate) fn new(settings: &'s Settings) -> Self {
        let versions: Vec<String> = Kind::ALL
            .into_iter()
            .filter(|kind| *kind != Kind::Limit)
            .map(|kind| match kind.version(settings) {
                Some(version) => format!("{} {version}", kind.name()),
                None => format!("{} not installed", kind.name()),
            })
            .collect();
        let text = format!(
            "# Benchmark\n\n{}; {}. {} s a measurement, {} repeats in turn, medians (least–greatest).\n\n",
            machine::description(),
            versions.join(", "),
            settings.duration.as_secs_f64(),
            settings.repeats,
        );
        println!("{text}");
        Self {
            settings,
            text,
            bars: Vec::new(),
        }
    }

    /// Adds a subset, and writes it to a file of its own as well.
    pub(crate) fn add(&mut self, name: &str, section: &Section) -> Result<()> {
        self.text += &format!("{section}\n");
        self.bars.extend(section.bars.iter().cloned());
        self.write(&format!("{name}.md"), &section.to_string())
    }

    /// Writes the whole report and its chart.
    pub(crate) fn finish(&self) -> Result<()> {
        self.write("results.md", &self.text)?;
        self.write("chart.svg", &crate::chart::draw(&self.bars))?;
        println!("Written to {}", self.settings.results.display());
        Ok(())
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.settings.results.join(name);
        fs::create_dir_all(&self.settings.results)?;
        fs::write(&path, text).with_context(|| path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_shows_the_median_and_its_spread() {
        assert_eq!(Samples(vec![3.0, 1.0, 2.0]).show(1), "2.0 (1.0–3.0)");
        assert_eq!(Samples(vec![1_234_567.0]).show(0), "1,234,567");
        assert_eq!(Samples(vec![]).show(0), "–");
    }
}
