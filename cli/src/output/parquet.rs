//! Parquet files, as little of the format as a flat table needs: one row group, one page a column, PLAIN, not compressed.
//!
//! Written here because the library for it brings chrono along, which the workspace bans, and sixteen other crates; what is needed of the
//! format fits on a page. The layout is that of github.com/apache/parquet-format, the metadata in Thrift's compact protocol.

use super::sheet::{Cell, Kind};
use std::num::TryFromIntError;

const MAGIC: &[u8; 4] = b"PAR1";

/// Names of the format's enumerations.
mod code {
    pub(super) const DATA_PAGE: i64 = 0;
    pub(super) const PLAIN: i64 = 0;
    pub(super) const RLE: i64 = 3;
    pub(super) const OPTIONAL: i64 = 1;
    pub(super) const UTF8: i64 = 0;
    pub(super) const UNCOMPRESSED: i64 = 0;
}

impl Kind {
    /// The format's physical type.
    fn physical(self) -> i64 {
        match self {
            Self::Flag => 0,
            Self::Integer => 2,
            Self::Number => 5,
            Self::Text => 6,
        }
    }
}

/// Where a column came to lie.
struct Chunk {
    offset: i64,
    size: i64,
}

/// The file of a table; a cell of another kind than its column is missing.
///
/// # Errors
/// If a column has more than 2 GiB.
pub(super) fn file(columns: &[(&str, Kind)], rows: &[Vec<Cell>]) -> Result<Vec<u8>, TryFromIntError> {
    let mut file = MAGIC.to_vec();
    let mut chunks = Vec::new();
    if !rows.is_empty() {
        for (index, (_, kind)) in columns.iter().enumerate() {
            let offset = file.len();
            let page = page(*kind, rows.iter().map(|row| row.get(index).unwrap_or(&Cell::None)))?;
            page_header(&mut file, i32::try_from(page.len())?, i32::try_from(rows.len())?);
            file.extend(page);
            chunks.push(Chunk { offset: i64::try_from(offset)?, size: i64::try_from(file.len() - offset)? });
        }
    }
    let metadata = metadata(columns, &chunks, i64::try_from(rows.len())?);
    file.extend(&metadata);
    file.extend(u32::try_from(metadata.len())?.to_le_bytes());
    file.extend(MAGIC);
    Ok(file)
}

/// Which cells are there, then their values.
fn page<'a>(kind: Kind, cells: impl Iterator<Item = &'a Cell> + Clone) -> Result<Vec<u8>, TryFromIntError> {
    let mut levels = Vec::new();
    let mut there = cells.clone().map(|cell| cell.kind() == Some(kind)).peekable();
    while let Some(level) = there.next() {
        let mut run = 1_u64;
        while there.next_if_eq(&level).is_some() {
            run += 1;
        }
        varint(&mut levels, run << 1);
        levels.push(u8::from(level));
    }
    let mut page = u32::try_from(levels.len())?.to_le_bytes().to_vec();
    page.extend(levels);
    let mut flags = 0_usize;
    for cell in cells.filter(|cell| cell.kind() == Some(kind)) {
        match cell {
            Cell::None => {}
            Cell::Integer(value) => page.extend(value.to_le_bytes()),
            Cell::Number(value) => page.extend(value.to_le_bytes()),
            Cell::Text(value) => {
                page.extend(u32::try_from(value.len())?.to_le_bytes());
                page.extend(value.as_bytes());
            }
            Cell::Flag(value) => {
                // Eight to a byte, the first in the lowest bit.
                if flags.is_multiple_of(8) {
                    page.push(0);
                }
                if let Some(last) = page.last_mut() {
                    *last |= u8::from(*value) << (flags % 8);
                }
                flags += 1;
            }
        }
    }
    Ok(page)
}

fn page_header(to: &mut Vec<u8>, bytes: i32, values: i32) {
    let mut header = Struct::new(to);
    header.int(1, INT, code::DATA_PAGE).int(2, INT, bytes.into()).int(3, INT, bytes.into());
    let mut page = Struct::new(header.field(5, STRUCT));
    page.int(1, INT, values.into()).int(2, INT, code::PLAIN).int(3, INT, code::RLE).int(4, INT, code::RLE);
    page.end();
    header.end();
}

fn metadata(columns: &[(&str, Kind)], chunks: &[Chunk], rows: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut file = Struct::new(&mut bytes);
    file.int(1, INT, 1);
    let schema = file.list(2, STRUCT, columns.len() + 1);
    let mut root = Struct::new(schema);
    root.text(4, "rows").int(5, INT, columns.len() as i64);
    root.end();
    for (name, kind) in columns {
        let mut column = Struct::new(schema);
        column.int(1, INT, kind.physical()).int(3, INT, code::OPTIONAL).text(4, name);
        if *kind == Kind::Text {
            column.int(6, INT, code::UTF8);
        }
        column.end();
    }
    file.int(3, LONG, rows);
    let groups = file.list(4, STRUCT, usize::from(!chunks.is_empty()));
    if !chunks.is_empty() {
        let mut group = Struct::new(groups);
        let list = group.list(1, STRUCT, chunks.len());
        for (chunk, (name, kind)) in chunks.iter().zip(columns) {
            let mut column = Struct::new(list);
            column.int(2, LONG, chunk.offset);
            let mut inner = Struct::new(column.field(3, STRUCT));
            inner.int(1, INT, kind.physical());
            let encodings = inner.list(2, INT, 2);
            zigzag(encodings, code::PLAIN);
            zigzag(encodings, code::RLE);
            string(inner.list(3, BINARY, 1), name);
            inner.int(4, INT, code::UNCOMPRESSED).int(5, LONG, rows).int(6, LONG, chunk.size).int(7, LONG, chunk.size);
            inner.int(9, LONG, chunk.offset);
            inner.end();
            column.end();
        }
        group.int(2, LONG, chunks.iter().map(|chunk| chunk.size).sum()).int(3, LONG, rows);
        group.end();
    }
    file.text(6, "chutes-miner");
    file.end();
    bytes
}

const INT: u8 = 5;
const LONG: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A Thrift struct being written: fields in the order of their numbers, then a zero.
struct Struct<'a> {
    to: &'a mut Vec<u8>,
    last: u8,
}

impl<'a> Struct<'a> {
    fn new(to: &'a mut Vec<u8>) -> Self {
        Self { to, last: 0 }
    }

    /// Begins a field. None of ours lies more than fifteen numbers after the one before.
    fn field(&mut self, number: u8, kind: u8) -> &mut Vec<u8> {
        self.to.push((number - self.last) << 4 | kind);
        self.last = number;
        self.to
    }

    fn int(&mut self, number: u8, kind: u8, value: i64) -> &mut Self {
        zigzag(self.field(number, kind), value);
        self
    }

    fn text(&mut self, number: u8, text: &str) -> &mut Self {
        string(self.field(number, BINARY), text);
        self
    }

    fn list(&mut self, number: u8, kind: u8, length: usize) -> &mut Vec<u8> {
        let to = self.field(number, LIST);
        if length < 15 {
            to.push((length as u8) << 4 | kind);
        } else {
            to.push(0xf0 | kind);
            varint(to, length as u64);
        }
        to
    }

    fn end(self) {
        self.to.push(0);
    }
}

fn string(to: &mut Vec<u8>, text: &str) {
    varint(to, text.len() as u64);
    to.extend(text.as_bytes());
}

fn zigzag(to: &mut Vec<u8>, value: i64) {
    varint(to, ((value << 1) ^ (value >> 63)) as u64);
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}
