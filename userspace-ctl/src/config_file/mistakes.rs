// SPDX-License-Identifier: GPL-2.0-only

//! What is wrong with a text, and where.

use std::fmt;

/// Mistakes, by their places in a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mistake {
    line: usize,
    column: usize,
    what: String,
}

impl Mistakes {
    /// Adds what is wrong with the text from this offset on, on one line whatever it contains.
    pub(super) fn add(&mut self, text: &str, offset: usize, what: impl Into<String>) {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let mistake = Mistake {
            line: 1 + before.matches('\n').count(),
            column: 1 + before[line_start..].chars().count(),
            what: what.into().replace(char::is_control, " "),
        };
        if let Err(at) = self.0.binary_search(&mistake) {
            self.0.insert(at, mistake);
        }
    }

    /// Adds those of others that are on other lines: what follows from a mistake is none.
    pub(super) fn add_consequences(&mut self, others: Self) {
        let lines: Vec<_> = self.0.iter().map(|mistake| mistake.line).collect();
        let others = others.0.into_iter();
        self.0.extend(others.filter(|m| !lines.contains(&m.line)));
        self.0.sort();
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A line for each, as compilers have it: `FILE:LINE:COLUMN: TEXT`.
    pub fn of_file<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        struct OfFile<'a>(&'a Mistakes, &'a str);

        impl fmt::Display for OfFile<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for (number, mistake) in self.0 .0.iter().enumerate() {
                    let Mistake { line, column, what } = mistake;
                    let end = if number > 0 { "\n" } else { "" };
                    write!(f, "{end}{}:{line}:{column}: {what}", self.1)?;
                }
                Ok(())
            }
        }

        OfFile(self, file)
    }
}
