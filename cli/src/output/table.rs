//! Plain tables: no lines around them, columns that wrap within the width.

use comfy_table::{ColumnConstraint, ContentArrangement, Table as Layout, Width, presets::NOTHING};

/// Longer words may be cut: addresses. Shorter ones are numbers and headings, and half a number is another number.
const WORD: usize = 14;
/// Blanks on both sides of a cell.
const PADDING: usize = 2;

/// A table under construction.
pub(crate) struct Table {
    layout: Layout,
    /// The longest word of each column that is not to be cut.
    words: Vec<usize>,
    /// The longest cell of each column.
    cells: Vec<usize>,
    width: u16,
}

impl Table {
    pub(crate) fn new(headings: &[&str], width: u16) -> Self {
        let mut layout = Layout::new();
        layout
            .load_style(NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width)
            .set_header(headings.iter().copied());
        let mut table = Self { layout, words: vec![0; headings.len()], cells: vec![0; headings.len()], width };
        table.measure(headings);
        table
    }

    fn measure(&mut self, cells: &[impl AsRef<str>]) {
        for ((longest, whole), cell) in self.words.iter_mut().zip(&mut self.cells).zip(cells) {
            *whole = (*whole).max(cell.as_ref().chars().count());
            let words = cell.as_ref().split_whitespace().map(|word| word.chars().count());
            *longest = words.filter(|word| *word <= WORD).fold(*longest, usize::max);
        }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.measure(&cells);
        self.layout.add_row(cells);
    }

    /// Lines without trailing blanks.
    pub(crate) fn render(&self) -> String {
        let mut layout = self.layout.clone();
        // What fits is not arranged at all; a least width would only make it narrower.
        if self.cells.iter().map(|cell| cell + PADDING).sum::<usize>() > usize::from(self.width) {
            for (column, word) in layout.column_iter_mut().zip(&self.words) {
                column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed((word + PADDING) as u16)));
            }
        }
        layout.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_cell_wraps_within_the_width() {
        let mut table = Table::new(&["A", "B"], 40);
        table.row(["short".to_owned(), "word ".repeat(30)]);
        let text = table.render();
        assert!(text.lines().count() > 2 && text.lines().all(|line| line.chars().count() <= 40), "{text}");
    }

    #[test]
    fn numbers_and_headings_are_not_cut() {
        let mut table = Table::new(&["Register TAO", "Address", "Immune (h)", "Percentile", "Words"], 40);
        let address = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
        table.row(["1024/1024".to_owned(), address.to_owned(), "16.7".to_owned(), "0.000500".to_owned(), "word ".repeat(9)]);
        let text = table.render();
        for whole in ["Register", "1024/1024", "16.7", "Percentile", "0.000500"] {
            assert!(text.contains(whole), "{whole}:\n{text}");
        }
    }
}
