//! Prometheus' text format. A scrape of many groups is a million lines, so that labels which several gauges share are written
//! once.

use std::fmt::Write;

/// Gauges, to be shown in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    gauges: Vec<Gauge>,
}

#[derive(Debug)]
struct Gauge {
    name: &'static str,
    help: &'static str,
    lines: String,
}

/// One of the gauges of an [`Exposition`].
#[derive(Debug, Clone, Copy)]
pub(super) struct GaugeId(usize);

impl Exposition {
    /// A new gauge; one without a line is not shown.
    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str) -> GaugeId {
        self.gauges.push(Gauge {
            name,
            help,
            lines: String::new(),
        });
        GaugeId(self.gauges.len() - 1)
    }

    /// A gauge that has one value.
    pub(super) fn single(&mut self, name: &'static str, help: &'static str, value: i64) {
        let gauge = self.gauge(name, help);
        self.line(gauge, &Labels::default(), value);
    }

    /// A value of a gauge.
    pub(super) fn line(&mut self, gauge: GaugeId, labels: &Labels, value: i64) {
        let Some(Gauge { name, lines, .. }) = self.gauges.get_mut(gauge.0) else {
            return;
        };
        lines.push_str(name);
        lines.push_str(&labels.0);
        // Writing to a string does not fail.
        let _ = writeln!(lines, " {value}");
    }

    pub(super) fn text(mut self) -> String {
        self.gauges.retain(|gauge| !gauge.lines.is_empty());
        self.gauges.sort_by_key(|gauge| gauge.name);
        let bytes = |gauge: &Gauge| 2 * gauge.name.len() + gauge.help.len() + gauge.lines.len();
        let frames = 40 * self.gauges.len();
        let all = self.gauges.iter().map(bytes).sum::<usize>() + frames;
        let mut out = String::with_capacity(all);
        for Gauge { name, help, lines } in self.gauges {
            let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n");
            out.push_str(&lines);
        }
        out
    }
}

/// Labels as they stand in a line, braces included.
#[derive(Debug, Default)]
pub(super) struct Labels(String);

impl Labels {
    /// Labels of these names and values.
    pub(super) fn of(labels: &[(&str, &str)]) -> Labels {
        let mut own = Labels::default();
        own.set(labels);
        own
    }

    /// The same memory, other labels.
    pub(super) fn set(&mut self, labels: &[(&str, &str)]) {
        self.0.clear();
        for (n, (name, value)) in labels.iter().enumerate() {
            self.0.push(if n == 0 { '{' } else { ',' });
            self.0.push_str(name);
            self.0.push_str("=\"");
            self.escaped(value);
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
    }

    fn escaped(&mut self, value: &str) {
        if !value
            .bytes()
            .any(|byte| matches!(byte, b'\\' | b'"' | b'\n'))
        {
            return self.0.push_str(value);
        }
        for letter in value.chars() {
            match letter {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                other => self.0.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_with_anything_in_them_stay_one_line() {
        let mut all = Exposition::default();
        let gauge = all.gauge("m", "h");
        all.line(gauge, &Labels::of(&[("g", "a\"b\\c\nd"), ("h", "")]), 7);
        all.line(gauge, &Labels::default(), 8);
        let expected = "# HELP m h\n# TYPE m gauge\nm{g=\"a\\\"b\\\\c\\nd\",h=\"\"} 7\nm 8\n";
        assert_eq!(all.text(), expected);
    }

    #[test]
    fn gauges_stand_in_the_order_of_their_names_and_only_with_values() {
        let mut all = Exposition::default();
        all.single("b", "second", 1);
        all.gauge("c", "without a value");
        all.single("a", "first", 2);
        let text = all.text();
        let values: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(values, ["a 2", "b 1"]);
        assert!(!text.contains("without"));
    }
}
