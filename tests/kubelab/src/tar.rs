//! Just enough of the ustar format for an image layer. Times and owners are
//! fixed, so that the same files always give the same digest.

use std::io::{self, Read, Write};

const BLOCK: usize = 512;

/// What an entry is.
pub(crate) enum Entry<'a> {
    /// A folder.
    Folder,
    /// A symbolic link and where it leads.
    Link(&'a str),
    /// A file of so many bytes, which follow.
    File(u64),
}

/// Writes one header, and pads nothing: write the padding after a file's bytes.
pub(crate) fn header(out: &mut impl Write, path: &str, mode: u32, entry: &Entry<'_>) -> io::Result<()> {
    let (kind, size, link) = match entry {
        Entry::Folder => (b'5', 0, ""),
        Entry::Link(target) => (b'2', 0, *target),
        Entry::File(size) => (b'0', *size, ""),
    };
    let (prefix, name) = split(path).ok_or_else(|| io::Error::other(format!("{path}: too long a path for a layer")))?;
    if link.len() > 100 {
        return Err(io::Error::other(format!("{link}: too long a link for a layer")));
    }
    let mut block = [0_u8; BLOCK];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "00000000000");
    put(148, "        ");
    put(157, link);
    put(257, "ustar");
    put(263, "00");
    put(345, prefix);
    block[156] = kind;
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    out.write_all(&block)
}

/// Copies a file's bytes and fills its last block.
pub(crate) fn body(out: &mut impl Write, mut file: impl Read, size: u64) -> io::Result<()> {
    let copied = io::copy(&mut file.by_ref().take(size), out)?;
    if copied != size {
        return Err(io::Error::other("the file became shorter while it was read"));
    }
    let rest = usize::try_from(size % BLOCK as u64).expect("less than a block");
    if rest > 0 {
        out.write_all(&[0; BLOCK][rest..])?;
    }
    Ok(())
}

/// Ends the archive.
pub(crate) fn finish(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

/// A path as prefix and name, each within its field.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= 100 {
        return Some(("", path));
    }
    path.match_indices('/').map(|(at, _)| (&path[..at], &path[at + 1..])).find(|(prefix, name)| prefix.len() <= 155 && name.len() <= 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_end_on_whole_blocks_and_carry_a_valid_sum() {
        let mut out = Vec::new();
        header(&mut out, "bin/program", 0o755, &Entry::File(3)).unwrap();
        body(&mut out, &b"abc"[..], 3).unwrap();
        assert_eq!(out.len(), 2 * BLOCK);
        let sum = u32::from_str_radix(std::str::from_utf8(&out[148..154]).unwrap(), 8).unwrap();
        out[148..156].fill(b' ');
        assert_eq!(sum, out[..BLOCK].iter().map(|byte| u32::from(*byte)).sum::<u32>());
    }

    #[test]
    fn a_long_path_is_split_at_a_slash() {
        let path = format!("{}/{}", "a".repeat(90), "b".repeat(60));
        assert_eq!(split(&path), Some((&*"a".repeat(90), &*"b".repeat(60))));
    }
}
