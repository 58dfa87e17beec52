//! Figures: a row of measurements, what it is held against, and the table.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// A duration in milliseconds.
pub(super) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// One row.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    name: String,
    unit: String,
    runs: usize,
    min: f64,
    p10: f64,
    median: f64,
    p90: f64,
    p99: f64,
    max: f64,
    /// What it has to be, as a person reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<String>,
    /// Whether the median reaches it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reached: Option<bool>,
}

/// All rows.
#[derive(Debug, Default)]
pub(super) struct Figures(Vec<Figure>);

/// What a median is held against.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

impl Figures {
    /// A row of measurements; gives their median.
    pub(super) fn add(&mut self, name: &str, unit: &str, mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        let at = |share: usize| {
            let index = (values.len() * share / 100).min(values.len().saturating_sub(1));
            values.get(index).copied().unwrap_or(f64::NAN)
        };
        let median = at(50);
        self.0.push(Figure {
            name: name.to_owned(),
            unit: unit.to_owned(),
            runs: values.len(),
            min: at(0),
            p10: at(10),
            median,
            p90: at(90),
            p99: at(99),
            max: at(100),
            goal: None,
            reached: None,
        });
        median
    }

    /// A row of one measurement.
    pub(super) fn one(&mut self, name: &str, unit: &str, value: f64) {
        self.add(name, unit, vec![value]);
    }

    /// Holds the last row's median against a goal.
    pub(super) fn goal(&mut self, goal: Goal) {
        if let Some(last) = self.0.last_mut() {
            let (text, reached) = match goal {
                Goal::AtMost(limit) => (format!("at most {limit} {}", last.unit), last.median <= limit),
                Goal::AtLeast(limit) => (format!("at least {limit} {}", last.unit), last.median >= limit),
            };
            last.goal = Some(text.trim_end().to_owned());
            last.reached = Some(reached);
        }
    }

    /// The rows.
    pub(super) fn list(&self) -> &[Figure] {
        &self.0
    }

    /// Whether every goal is reached.
    pub(super) fn all_reached(&self) -> bool {
        self.0.iter().all(|figure| figure.reached != Some(false))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|figure| figure.name.len()).max().unwrap_or(0);
        writeln!(
            f,
            "\n{:width$}  {:>4}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}  unit  goal",
            "what", "runs", "median", "p10", "p90", "p99", "max"
        )?;
        for figure in &self.0 {
            write!(
                f,
                "{:width$}  {:>4}  {:>9.2}  {:>9.2}  {:>9.2}  {:>9.2}  {:>9.2}  {:4}",
                figure.name, figure.runs, figure.median, figure.p10, figure.p90, figure.p99, figure.max, figure.unit
            )?;
            if let (Some(goal), Some(reached)) = (&figure.goal, figure.reached) {
                write!(f, "  {goal}: {}", if reached { "reached" } else { "MISSED" })?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
