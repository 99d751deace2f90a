//! The bytes of the journal: its file header, its blocks, and the entries in them.
//!
//! A file header block comes first: magic, version (u32), journal id (16 bytes), CRC-32C of what is before it (u32).
//! Each further block is a whole number of pages: magic (u32), CRC-32C of all that follows up to the payload's end (u32),
//! journal id (16), sequence (u64), tail (u64), payload length (u32), 4 bytes of zeros, and the payload, entries one after
//! the other: topic length (u16), topic, partition (i32), topic id (16), segment base offset (i64), position in the
//! segment's file (u64), length (u32), and so many bytes of the segment. Integers are big-endian.
//!
//! Invariant: decoding takes no memory that the bytes do not bear out. No IO here.

use catchword_wire::Uuid;

use crate::TopicPartition;

/// What direct IO is aligned to, and blocks begin at multiples of.
pub(crate) const PAGE: usize = 4096;
/// A block's bytes before its entries.
pub(crate) const BLOCK_HEADER: usize = 48;
/// Persisted: raised when an older program could not read what a newer one writes.
const VERSION: u32 = 1;
const FILE_MAGIC: &[u8; 8] = b"catchwrd";
const BLOCK_MAGIC: u32 = 0x4357_4a42;
/// An entry's bytes besides its topic's name and its data.
const ENTRY_FIXED: usize = 2 + 4 + 16 + 8 + 8 + 4;

/// Which journal a block belongs to: bytes of another life of the file, or of a record, are never taken for its own.
pub(crate) type JournalId = [u8; 16];

/// Bytes of a segment, and where they belong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) partition: TopicPartition,
    pub(crate) topic_id: Uuid,
    /// The segment's base offset.
    pub(crate) base: i64,
    /// Where in the segment's file the bytes begin.
    pub(crate) position: u64,
    pub(crate) data: &'a [u8],
}

/// What stands before a block's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockHeader {
    pub(crate) sequence: u64,
    /// Blocks below this sequence are of no use any more: what they hold is in the logs' own files.
    pub(crate) tail: u64,
    /// Bytes of entries.
    pub(crate) payload: usize,
    crc: u32,
}

impl BlockHeader {
    /// The block's whole size in bytes.
    pub(crate) fn size(&self) -> usize {
        block_size(self.payload)
    }
}

/// The size of a block with so many bytes of entries.
pub(crate) fn block_size(payload: usize) -> usize {
    (BLOCK_HEADER + payload).next_multiple_of(PAGE)
}

/// The bytes that an entry with so much data takes.
pub(crate) fn entry_size(topic: &str, data: usize) -> usize {
    ENTRY_FIXED + topic.len() + data
}

/// Why a file is no journal that this program can read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoJournal {
    /// It was never finished, or holds something else.
    Unfinished,
    /// A newer program wrote it.
    Newer(u32),
}

/// The file's first page.
pub(crate) fn file_header(id: &JournalId) -> [u8; PAGE] {
    let mut page = [0; PAGE];
    page[..8].copy_from_slice(FILE_MAGIC);
    page[8..12].copy_from_slice(&VERSION.to_be_bytes());
    page[12..28].copy_from_slice(id);
    let crc = crc32c(&page[..28]);
    page[28..32].copy_from_slice(&crc.to_be_bytes());
    page
}

/// The id in a file's first page.
pub(crate) fn parse_file_header(page: &[u8]) -> Result<JournalId, NoJournal> {
    let fits = page.len() >= 32
        && page[..8] == *FILE_MAGIC
        && page[28..32] == crc32c(&page[..28]).to_be_bytes();
    if !fits {
        return Err(NoJournal::Unfinished);
    }
    match u32::from_be_bytes(array(page, 8)) {
        VERSION => Ok(array(page, 12)),
        newer => Err(NoJournal::Newer(newer)),
    }
}

/// Adds an entry's bytes before its data; the data of `len` bytes are to follow.
pub(crate) fn write_entry_head(
    out: &mut [u8],
    partition: &TopicPartition,
    topic_id: Uuid,
    base: i64,
    position: u64,
    len: usize,
) -> usize {
    let topic = partition.topic.as_bytes();
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        out[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    // Topic names are at most 249 bytes, entries at most a few MiB.
    put(&(topic.len() as u16).to_be_bytes());
    put(topic);
    put(&partition.partition.to_be_bytes());
    put(&topic_id.0);
    put(&base.to_be_bytes());
    put(&position.to_be_bytes());
    put(&(len as u32).to_be_bytes());
    at
}

/// Writes the header of a block whose entries are in place, and zeros behind them.
pub(crate) fn seal(block: &mut [u8], id: &JournalId, sequence: u64, tail: u64, payload: usize) {
    let end = BLOCK_HEADER + payload;
    block[..4].copy_from_slice(&BLOCK_MAGIC.to_be_bytes());
    block[8..24].copy_from_slice(id);
    block[24..32].copy_from_slice(&sequence.to_be_bytes());
    block[32..40].copy_from_slice(&tail.to_be_bytes());
    block[40..44].copy_from_slice(&(payload as u32).to_be_bytes());
    block[44..48].fill(0);
    block[end..].fill(0);
    let crc = crc32c(&block[8..end]);
    block[4..8].copy_from_slice(&crc.to_be_bytes());
}

/// The header of the block that begins here, if one of this journal does. Whether the rest of it is there shows
/// [`is_whole`].
pub(crate) fn parse_header(bytes: &[u8], id: &JournalId) -> Option<BlockHeader> {
    let ours = bytes.len() >= BLOCK_HEADER
        && bytes[..4] == BLOCK_MAGIC.to_be_bytes()
        && bytes[8..24] == *id;
    ours.then(|| BlockHeader {
        sequence: u64::from_be_bytes(array(bytes, 24)),
        tail: u64::from_be_bytes(array(bytes, 32)),
        payload: u32::from_be_bytes(array(bytes, 40)) as usize,
        crc: u32::from_be_bytes(array(bytes, 4)),
    })
}

/// Whether the block is as it was written.
pub(crate) fn is_whole(block: &[u8], header: &BlockHeader) -> bool {
    let end = BLOCK_HEADER + header.payload;
    block.len() >= end && crc32c(&block[8..end]) == header.crc
}

/// The entries of a whole block. Ends early at one that cannot be read, which a whole block has not.
pub(crate) fn entries<'a>(
    block: &'a [u8],
    header: &BlockHeader,
) -> impl Iterator<Item = Entry<'a>> {
    let mut rest = &block[BLOCK_HEADER..BLOCK_HEADER + header.payload];
    std::iter::from_fn(move || {
        let topic_len = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
        let (topic, fixed) = rest[2..].split_at_checked(topic_len)?;
        let (fixed, data) = fixed.split_at_checked(ENTRY_FIXED - 2)?;
        let len = u32::from_be_bytes(array(fixed, 36)) as usize;
        let (data, after) = data.split_at_checked(len)?;
        rest = after;
        Some(Entry {
            partition: TopicPartition::new(
                std::str::from_utf8(topic).ok()?,
                i32::from_be_bytes(array(fixed, 0)),
            ),
            topic_id: Uuid(array(fixed, 4)),
            base: i64::from_be_bytes(array(fixed, 20)),
            position: u64::from_be_bytes(array(fixed, 28)),
            data,
        })
    })
}

/// `N` bytes at a place that the caller knows to be there.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: JournalId = [7; 16];

    fn block_of(entries: &[(&str, i32, u64, &[u8])]) -> Vec<u8> {
        let payload: usize = entries
            .iter()
            .map(|(topic, _, _, data)| entry_size(topic, data.len()))
            .sum();
        let mut block = vec![0xee; block_size(payload)];
        let mut at = BLOCK_HEADER;
        for (topic, partition, position, data) in entries {
            let partition = TopicPartition::new(*topic, *partition);
            let id = Uuid([9; 16]);
            at += write_entry_head(&mut block[at..], &partition, id, 40, *position, data.len());
            block[at..at + data.len()].copy_from_slice(data);
            at += data.len();
        }
        assert_eq!(at, BLOCK_HEADER + payload);
        seal(&mut block, &ID, 5, 3, payload);
        block
    }

    #[test]
    fn a_block_reads_as_it_was_written() {
        let block = block_of(&[("orders", 3, 4096, b"batch"), ("a", 0, 0, b"")]);
        let header = parse_header(&block, &ID).unwrap();
        assert_eq!((header.sequence, header.tail), (5, 3));
        assert_eq!(header.size(), block.len());
        assert!(is_whole(&block, &header));
        let found: Vec<_> = entries(&block, &header).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].partition, TopicPartition::new("orders", 3));
        assert_eq!((found[0].base, found[0].position), (40, 4096));
        assert_eq!((found[0].data, found[1].data), (&b"batch"[..], &b""[..]));
    }

    #[test]
    fn a_block_that_is_torn_or_of_another_journal_is_none() {
        let block = block_of(&[("orders", 3, 4096, &[1; 9000])]);
        let header = parse_header(&block, &ID).unwrap();
        for at in [5, 30, 44, 200, 9000] {
            let mut torn = block.clone();
            torn[at] ^= 1;
            let whole = parse_header(&torn, &ID).is_some_and(|header| is_whole(&torn, &header));
            assert!(!whole, "byte {at}");
        }
        assert!(!is_whole(&block[..PAGE], &header));
        assert_eq!(parse_header(&block, &[8; 16]), None);
        assert_eq!(parse_header(&block[..20], &ID), None);
    }

    #[test]
    fn a_file_header_of_a_newer_program_is_told_from_none() {
        let page = file_header(&ID);
        assert_eq!(parse_file_header(&page), Ok(ID));
        assert_eq!(parse_file_header(&page[..31]), Err(NoJournal::Unfinished));
        assert_eq!(parse_file_header(&[0; PAGE]), Err(NoJournal::Unfinished));
        let mut newer = page;
        newer[11] = 2;
        let crc = crc32c(&newer[..28]);
        newer[28..32].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(parse_file_header(&newer), Err(NoJournal::Newer(2)));
    }
}
