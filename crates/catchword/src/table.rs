//! Tables on the terminal: columns as wide as they need, two blanks between them.

/// Which side a column's cells keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table that is filled row by row.
#[derive(Debug)]
pub(crate) struct Table {
    head: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column heads.
    pub(crate) fn new(head: &[(&str, Align)]) -> Self {
        let head = head
            .iter()
            .map(|(name, align)| ((*name).to_owned(), *align))
            .collect();
        Self {
            head,
            rows: Vec::new(),
        }
    }

    /// Appends a row; it has a cell for each column.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        assert_eq!(
            cells.len(),
            self.head.len(),
            "a row has as many cells as the table has columns"
        );
        self.rows.push(cells);
    }

    /// The lines: the head first.
    pub(crate) fn lines(&self) -> Vec<String> {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells
                .chain([self.head[column].0.chars().count()])
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let line = |cells: Vec<&str>| {
            let mut line = String::new();
            for (column, cell) in cells.into_iter().enumerate() {
                let pad = " ".repeat(widths[column] - cell.chars().count());
                if column > 0 {
                    line.push_str("  ");
                }
                match self.head[column].1 {
                    Align::Left => line.extend([cell, &pad]),
                    Align::Right => line.extend([&pad, cell]),
                }
            }
            line.trim_end().to_owned()
        };
        let head = line(self.head.iter().map(|(name, _)| name.as_str()).collect());
        let rows = self
            .rows
            .iter()
            .map(|row| line(row.iter().map(String::as_str).collect()));
        std::iter::once(head).chain(rows).collect()
    }
}

/// A number with its thousands set apart.
pub(crate) fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// `512 B`, `12.4 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut tenths, mut unit) = (bytes.saturating_mul(10) / 1024, 0);
    while tenths >= 10 * 1024 && unit + 1 < UNITS.len() {
        (tenths, unit) = (tenths / 1024, unit + 1);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `1 record`, `24 records`.
pub(crate) fn records(number: i64) -> String {
    if number == 1 {
        "1 record".into()
    } else {
        format!("{} records", count(number))
    }
}

/// `512 B`, `5.0 MiB`.
pub(crate) fn bytes(number: i64) -> String {
    let mut size = number as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            return match unit {
                "B" => format!("{number} B"),
                _ => format!("{size:.1} {unit}"),
            };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_unit_that_suits_them() {
        let told = [0, 1023, 1024, 1536, 268_435_456, u64::MAX / 16].map(size);
        assert_eq!(told[..4], ["0 B", "1023 B", "1.0 KiB", "1.5 KiB"]);
        assert_eq!(told[4..], ["256.0 MiB", "1048575.9 TiB"]);
    }

    #[test]
    fn columns_are_as_wide_as_they_need() {
        let mut table = Table::new(&[
            ("PARTITION", Align::Left),
            ("END", Align::Right),
            ("WHO", Align::Left),
        ]);
        table.row(vec!["orders:0".into(), count(1_245_755), "é".into()]);
        table.row(vec!["orders:10".into(), count(7), String::new()]);
        let expected = [
            "PARTITION        END  WHO",
            "orders:0   1,245,755  é",
            "orders:10          7",
        ];
        assert_eq!(table.lines(), expected);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(-1000), "-1,000");
        assert_eq!(count(i64::MAX), "9,223,372,036,854,775,807");
        assert_eq!(records(1), "1 record");
        let sizes = [0, 1023, 1024, 5 << 20, 3 << 40].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "5.0 MiB", "3.0 TiB"]);
    }
}
