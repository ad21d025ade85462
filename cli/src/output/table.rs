//! Plain tables: no lines around them, columns that wrap within the width.

use comfy_table::{ContentArrangement, Table as Layout, presets::NOTHING};

/// A table under construction.
pub(crate) struct Table {
    layout: Layout,
}

impl Table {
    pub(crate) fn new(headings: &[&str], width: u16) -> Self {
        let mut layout = Layout::new();
        layout
            .load_style(NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width)
            .set_header(headings.iter().copied());
        Self { layout }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.layout.add_row(cells);
    }

    /// Lines without trailing blanks.
    pub(crate) fn render(&self) -> String {
        self.layout.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect()
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
}
