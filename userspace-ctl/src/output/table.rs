// SPDX-License-Identifier: GPL-2.0-only

//! Columns that line up, although their rows arrive one by one.
//!
//! The first rows are kept back to find how wide each column has to be; later ones are written as
//! they come, and one that is too wide only pushes its own line to the right.

use std::{
    fmt::{
        self,
        Display,
        Write as _, //
    },
    io::{
        self,
        Write, //
    }, //
};

/// Rows that decide about the widths.
const SAMPLE: usize = 1024;

/// Space between columns.
const GAP: usize = 2;

/// To which side of a column its cells are pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// For words.
    Left,
    /// For numbers.
    Right,
}

/// The cells of one row.
#[derive(Clone, Debug, Default)]
pub struct Row {
    text: String,
    ends: Vec<usize>,
}

impl Row {
    /// Appends a cell.
    pub fn cell(&mut self, content: impl Display) -> &mut Self {
        self.format(format_args!("{content}"))
    }

    /// Appends a cell that is put together by `format_args!`.
    pub fn format(&mut self, content: fmt::Arguments<'_>) -> &mut Self {
        // Writing to a String does not fail.
        let _ = self.text.write_fmt(content);
        self.ends.push(self.text.len());
        self
    }

    /// Appends a cell that is a word as it is.
    pub fn word(&mut self, content: &str) -> &mut Self {
        self.text.push_str(content);
        self.ends.push(self.text.len());
        self
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    fn cells(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let cell = self.text.get(start..end).unwrap_or_default();
            start = end;
            cell
        })
    }
}

/// A table that is being written.
#[derive(Debug)]
pub struct Table<W> {
    out: W,
    align: Vec<Align>,
    widths: Vec<usize>,
    sample: Vec<Row>,
    /// All rows go through this one once the widths are decided.
    current: Row,
    streaming: bool,
}

impl<W: Write> Table<W> {
    /// Begins a table with these columns.
    pub fn new(out: W, columns: &[(&str, Align)]) -> Self {
        let mut titles = Row::default();
        for (title, _) in columns {
            titles.word(title);
        }
        let mut table = Self {
            out,
            align: columns.iter().map(|&(_, align)| align).collect(),
            widths: vec![0; columns.len()],
            sample: Vec::new(),
            current: Row::default(),
            streaming: false,
        };
        table.keep(titles);
        table
    }

    /// Appends a row, to which `fill` adds a cell for each column.
    pub fn row(&mut self, fill: impl FnOnce(&mut Row)) -> io::Result<()> {
        if !self.streaming {
            if self.sample.len() <= SAMPLE {
                let mut row = Row::default();
                fill(&mut row);
                self.keep(row);
                return Ok(());
            }
            self.write_sample()?;
        }
        self.current.clear();
        fill(&mut self.current);
        write_row(&mut self.out, &self.current, &self.align, &self.widths)
    }

    /// Writes what was kept back. Without it, the table may not appear.
    pub fn end(mut self) -> io::Result<()> {
        self.write_sample()
    }

    fn keep(&mut self, row: Row) {
        for (width, cell) in self.widths.iter_mut().zip(row.cells()) {
            *width = (*width).max(display_width(cell));
        }
        self.sample.push(row);
    }

    fn write_sample(&mut self) -> io::Result<()> {
        self.streaming = true;
        for row in std::mem::take(&mut self.sample) {
            write_row(&mut self.out, &row, &self.align, &self.widths)?;
        }
        Ok(())
    }
}

fn write_row(out: &mut impl Write, row: &Row, align: &[Align], widths: &[usize]) -> io::Result<()> {
    // Blanks are written when something follows them, so that no line ends with any.
    let mut blanks = 0;
    for ((cell, align), width) in row.cells().zip(align).zip(widths) {
        let padding = width.saturating_sub(display_width(cell));
        let (before, after) = match align {
            Align::Left => (0, padding),
            Align::Right => (padding, 0),
        };
        if cell.is_empty() {
            blanks += padding;
        } else {
            write_blanks(out, blanks + before)?;
            out.write_all(cell.as_bytes())?;
            blanks = after;
        }
        blanks += GAP;
    }
    out.write_all(b"\n")
}

fn write_blanks(out: &mut impl Write, mut count: usize) -> io::Result<()> {
    const BLANKS: [u8; 32] = [b' '; 32];
    while count > 0 {
        let some = count.min(BLANKS.len());
        out.write_all(&BLANKS[..some])?;
        count -= some;
    }
    Ok(())
}

fn display_width(text: &str) -> usize {
    match text.is_ascii() {
        true => text.len(),
        false => text.chars().count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[(&str, Align)] = &[("NAME", Align::Left), ("COUNT", Align::Right)];

    fn table(rows: &[(&str, u32)]) -> String {
        let mut out = Vec::new();
        let mut table = Table::new(&mut out, COLUMNS);
        for (name, count) in rows {
            let fill = |row: &mut Row| {
                row.word(name).cell(count);
            };
            table.row(fill).unwrap();
        }
        table.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_line_up() {
        assert_eq!(
            table(&[("a", 1), ("longer", 123_456), ("é", 7)]),
            "NAME     COUNT\n\
             a            1\n\
             longer  123456\n\
             é            7\n"
        );
    }

    #[test]
    fn no_rows_is_a_header() {
        assert_eq!(table(&[]), "NAME  COUNT\n");
    }

    #[test]
    fn lines_do_not_end_with_blanks() {
        let mut out = Vec::new();
        let mut table = Table::new(&mut out, &[("A", Align::Left), ("B", Align::Left)]);
        let fill = |row: &mut Row| {
            row.word("x").word("");
        };
        table.row(fill).unwrap();
        table.end().unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "A  B\nx\n");
    }

    #[test]
    fn rows_beyond_the_sample_keep_its_widths() {
        let mut rows = vec![("a", 1); SAMPLE];
        rows.extend([("b", 2), ("quite long", 3)]);
        let text = table(&rows);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), SAMPLE + 3);
        assert_eq!(lines[0], "NAME  COUNT");
        assert_eq!(lines[SAMPLE], "a         1");
        assert_eq!(lines[SAMPLE + 1], "b         2");
        assert_eq!(lines[SAMPLE + 2], "quite long      3");
    }
}
