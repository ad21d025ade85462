//! Rows with typed columns, for programs: CSV, and Parquet for notebooks and databases.

use crate::{failure::Failure, output::printable};
use parquet::{
    basic::Type as Physical,
    data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use std::sync::Arc;

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

    /// A Parquet file of one row group, not compressed; every column is optional.
    pub(crate) fn parquet(&self) -> Result<Vec<u8>, Failure> {
        self.write_parquet().map_err(|error| Failure::general(format!("cannot write Parquet: {error}")))
    }

    fn write_parquet(&self) -> parquet::errors::Result<Vec<u8>> {
        let column = |(name, kind): &(&str, Kind)| match kind {
            Kind::Integer => format!("optional int64 {name};"),
            Kind::Number => format!("optional double {name};"),
            Kind::Text => format!("optional binary {name} (UTF8);"),
            Kind::Flag => format!("optional boolean {name};"),
        };
        let schema = format!("message rows {{ {} }}", self.columns.iter().map(column).collect::<String>());
        let schema = Arc::new(parse_message_type(&schema)?);
        let mut file = Vec::new();
        let mut writer = SerializedFileWriter::new(&mut file, schema, Arc::new(WriterProperties::builder().build()))?;
        let mut group = writer.next_row_group()?;
        for (index, (_, kind)) in self.columns.iter().enumerate() {
            let Some(mut column) = group.next_column()? else { break };
            let cells = || self.rows.iter().filter_map(|row| row.get(index));
            // 1 where there is a value.
            let levels: Vec<i16> = cells().map(|cell| i16::from(kind.physical() == cell.physical())).collect();
            match kind {
                Kind::Integer => {
                    let values: Vec<i64> = cells().filter_map(|cell| if let Cell::Integer(v) = cell { Some(*v) } else { None }).collect();
                    column.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
                }
                Kind::Number => {
                    let values: Vec<f64> = cells().filter_map(|cell| if let Cell::Number(v) = cell { Some(*v) } else { None }).collect();
                    column.typed::<DoubleType>().write_batch(&values, Some(&levels), None)?;
                }
                Kind::Text => {
                    let text = |cell: &Cell| if let Cell::Text(v) = cell { Some(ByteArray::from(v.as_str())) } else { None };
                    let values: Vec<ByteArray> = cells().filter_map(text).collect();
                    column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
                }
                Kind::Flag => {
                    let values: Vec<bool> = cells().filter_map(|cell| if let Cell::Flag(v) = cell { Some(*v) } else { None }).collect();
                    column.typed::<BoolType>().write_batch(&values, Some(&levels), None)?;
                }
            }
            column.close()?;
        }
        group.close()?;
        writer.close()?;
        Ok(file)
    }
}

impl Kind {
    fn physical(self) -> Option<Physical> {
        Some(match self {
            Self::Integer => Physical::INT64,
            Self::Number => Physical::DOUBLE,
            Self::Text => Physical::BYTE_ARRAY,
            Self::Flag => Physical::BOOLEAN,
        })
    }
}

impl Cell {
    fn physical(&self) -> Option<Physical> {
        match self {
            Self::None => None,
            Self::Integer(_) => Kind::Integer.physical(),
            Self::Number(_) => Kind::Number.physical(),
            Self::Text(_) => Kind::Text.physical(),
            Self::Flag(_) => Kind::Flag.physical(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::{
        file::reader::{FileReader as _, SerializedFileReader},
        record::RowAccessor as _,
    };

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

    #[test]
    fn parquet_is_read_back_as_it_was_written() {
        let file = SerializedFileReader::new(bytes::Bytes::from(sheet().parquet().unwrap())).unwrap();
        let rows: Vec<_> = file.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 3);
        assert_eq!((rows[0].get_long(0).unwrap(), rows[0].get_double(1).unwrap()), (64, 0.25));
        assert_eq!((rows[0].get_string(2).unwrap().as_str(), rows[0].get_bool(3).unwrap()), ("a \"b\", c", true));
        assert!((0..4).all(|column| rows[1].get_long(column).is_err() && rows[1].get_string(column).is_err()));
        assert_eq!((rows[2].get_double(1).unwrap(), rows[2].get_bool(3).unwrap()), (-1.5, false));
        let empty = Sheet { rows: Vec::new(), ..sheet() };
        assert_eq!(SerializedFileReader::new(bytes::Bytes::from(empty.parquet().unwrap())).unwrap().get_row_iter(None).unwrap().count(), 0);
    }
}
