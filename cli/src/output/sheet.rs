//! Rows with typed columns, for programs: CSV, and Parquet for notebooks and databases.

use super::{parquet, printable};
use crate::failure::Failure;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Number,
    Text,
    Flag,
}

/// A value, or none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    None,
    Integer(i64),
    Number(f64),
    Text(String),
    Flag(bool),
}

impl From<u64> for Cell {
    /// Parquet has no larger integers that everybody reads.
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Self::None, Self::Integer)
    }
}

impl From<u32> for Cell {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<u16> for Cell {
    fn from(value: u16) -> Self {
        Self::Integer(value.into())
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        if value.is_finite() { Self::Number(value) } else { Self::None }
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Flag(value)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(printable(value))
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

/// Rows under named columns.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    columns: Vec<(&'static str, Kind)>,
    rows: Vec<Vec<Cell>>,
}

impl Sheet {
    pub(crate) fn new(columns: &[(&'static str, Kind)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.rows.push(cells.into());
    }

    /// Comma-separated values under a line of names; a missing value is empty.
    pub(crate) fn csv(&self) -> Result<Vec<u8>, Failure> {
        let failed = |error: csv::Error| Failure::general(format!("cannot write CSV: {error}"));
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.columns.iter().map(|(name, _)| name)).map_err(failed)?;
        for row in &self.rows {
            let texts = row.iter().map(|cell| match cell {
                Cell::None => String::new(),
                Cell::Integer(value) => value.to_string(),
                Cell::Number(value) => value.to_string(),
                Cell::Text(value) => value.clone(),
                Cell::Flag(value) => value.to_string(),
            });
            writer.write_record(texts).map_err(failed)?;
        }
        writer.into_inner().map_err(|error| Failure::general(format!("cannot write CSV: {error}")))
    }

    /// A Parquet file; every column is optional.
    pub(crate) fn parquet(&self) -> Result<Vec<u8>, Failure> {
        parquet::file(&self.columns, &self.rows).map_err(|error| Failure::general(format!("too much for a Parquet file: {error}")))
    }
}

impl Cell {
    /// What it holds; none for nothing.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Self::None => None,
            Self::Integer(_) => Some(Kind::Integer),
            Self::Number(_) => Some(Kind::Number),
            Self::Text(_) => Some(Kind::Text),
            Self::Flag(_) => Some(Kind::Flag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        let mut sheet = Sheet::new(&[("id", Kind::Integer), ("part", Kind::Number), ("name", Kind::Text), ("full", Kind::Flag)]);
        sheet.row([64_u16.into(), 0.25.into(), "a \"b\", c\u{1b}".into(), true.into()]);
        sheet.row([Cell::None, f64::NAN.into(), Cell::None, Cell::None]);
        sheet.row([u64::MAX.into(), (-1.5).into(), "=1+1".into(), Some(false).into()]);
        sheet
    }

    #[test]
    fn csv_quotes_what_needs_it_and_leaves_missing_values_empty() {
        let text = String::from_utf8(sheet().csv().unwrap()).unwrap();
        assert_eq!(text, "id,part,name,full\n64,0.25,\"a \"\"b\"\", c\",true\n,,,\n,-1.5,=1+1,false\n");
    }

    /// What [`sheet`] becomes. PyArrow, DuckDB and Polars were seen to read it, and a file of 5,000 rows with gaps, as they were written.
    const PARQUET: &str = "\
        504152311500152015202c15061500150615060000040000000201040040000000000000001500153415342c15061500150615060000060000000201\
        02000201000000000000d03f000000000000f8bf1500153c153c2c15061500150615060000060000000201020002010800000061202262222c206304\
        0000003d312b311500151615162c1506150015061506000006000000020102000201011502195c4804726f7773150800150425021802696400150a25\
        0218047061727400150c250218046e616d6525000015002502180466756c6c001606191c194c26081c15041925000619180269641500160616421642\
        26080000264a1c150a19250006191804706172741500160616561656264a000026a0011c150c192500061918046e616d6515001606165e165e26a001\
        000026fe011c15001925000619180466756c6c150016061638163826fe01000016ae02160600280c6368757465732d6d696e657200c6000000504152\
        31";

    #[test]
    fn a_parquet_file_is_what_other_readers_were_seen_to_read() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(sheet().parquet().unwrap()), PARQUET);
        let empty = Sheet { rows: Vec::new(), ..sheet() }.parquet().unwrap();
        let footer = usize::try_from(u32::from_le_bytes(empty[empty.len() - 8..empty.len() - 4].try_into().unwrap())).unwrap();
        assert_eq!((empty.len(), &empty[..4], &empty[empty.len() - 4..]), (4 + footer + 8, &b"PAR1"[..], &b"PAR1"[..]));
        let mut wrong = Sheet { rows: Vec::new(), ..sheet() };
        wrong.row([true.into(), Cell::None, 1_u16.into(), "x".into()]);
        let mut none = Sheet { rows: Vec::new(), ..sheet() };
        none.row([Cell::None, Cell::None, Cell::None, Cell::None]);
        assert_eq!(wrong.parquet().unwrap(), none.parquet().unwrap(), "a cell of another kind than its column is missing");
    }
}
