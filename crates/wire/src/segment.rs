//! Byte ranges that travel from a log to a socket without being copied through this process.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;

/// `len` bytes of `file` from `position`: meant for `sendfile`, or one positioned read.
#[derive(Debug, Clone)]
pub struct FileSlice {
    /// The open file. Holding it keeps the bytes readable even if the file is deleted meanwhile.
    pub file: Arc<File>,
    /// Where the slice begins, in bytes from the file's start.
    pub position: u64,
    /// How many bytes, never past what was written when the slice was made.
    pub len: usize,
}

/// One piece of an outgoing frame or of a partition's records.
#[derive(Debug, Clone)]
pub enum Segment {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes in a log file.
    File(FileSlice),
}

impl Segment {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Segment::Bytes(bytes) => bytes.len(),
            Segment::File(slice) => slice.len,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first `len` bytes, or all if there are fewer.
    ///
    /// # Errors
    /// As [`Segment::read`].
    pub fn front(&self, len: usize) -> std::io::Result<Bytes> {
        let len = len.min(self.len());
        match self {
            Segment::Bytes(bytes) => Ok(bytes.slice(..len)),
            Segment::File(slice) => Segment::File(FileSlice {
                len,
                ..slice.clone()
            })
            .read(),
        }
    }

    /// The bytes, read from the file where necessary.
    ///
    /// # Errors
    /// What the read of the file gives; `UnexpectedEof` if the file was cut.
    pub fn read(&self) -> std::io::Result<Bytes> {
        use std::os::unix::fs::FileExt;
        match self {
            Segment::Bytes(bytes) => Ok(bytes.clone()),
            Segment::File(slice) => {
                let mut bytes = vec![0; slice.len];
                slice.file.read_exact_at(&mut bytes, slice.position)?;
                Ok(bytes.into())
            }
        }
    }
}

/// The `records` of a message: whole batches as they stand in the log, in one or more pieces.
#[derive(Debug, Clone, Default)]
pub struct Records(Vec<Segment>);

impl Records {
    /// No records; on the wire an empty field, which is not the same as null.
    pub const EMPTY: Records = Records(Vec::new());

    /// Records made of these pieces, in order.
    pub fn from_segments(segments: Vec<Segment>) -> Records {
        Records(segments)
    }

    /// The pieces in order.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.iter().map(Segment::len).sum()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All the bytes in one buffer: shared if there is one piece in memory, else read and joined.
    ///
    /// # Errors
    /// What reading a file gives.
    pub fn read(&self) -> std::io::Result<Bytes> {
        match self.0.as_slice() {
            [] => Ok(Bytes::new()),
            [one] => one.read(),
            many => {
                let mut joined = Vec::with_capacity(self.len());
                for segment in many {
                    joined.extend_from_slice(&segment.read()?);
                }
                Ok(joined.into())
            }
        }
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Records {
        Records(vec![Segment::Bytes(bytes)])
    }
}

/// Equal when their bytes are; records in files are read for it, so this is for tests and diagnostics.
impl PartialEq for Records {
    fn eq(&self, other: &Records) -> bool {
        matches!((self.read(), other.read()), (Ok(a), Ok(b)) if a == b)
    }
}
