//! Every change to the disk goes through here, so that tests can watch it, refuse it, or cut the power.
//!
//! Invariant: no other file of this crate writes, truncates, renames, removes or syncs. Reads are done where they are
//! needed. This file knows nothing of logs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::io::ReadWriteFlags;

use crate::LogError;

/// The operations whose failure means that what is on disk is not known, as [`LogError::Io`] names them.
pub(crate) const SYNC: &str = "sync";
pub(crate) const SYNC_DIR: &str = "sync directory";

/// A change to the disk that is about to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskOperation<'a> {
    /// A directory is made.
    CreateDir,
    /// A file is opened for writing, and made if it is not there.
    Open,
    /// Bytes are written at a position.
    Write {
        /// Where, from the file's start.
        position: u64,
        /// How many.
        len: usize,
    },
    /// The file is cut to a length.
    Truncate {
        /// The new length.
        len: u64,
    },
    /// What was written to the file is made durable.
    Sync,
    /// The names in the directory are made durable.
    SyncDir,
    /// The file or directory gets another name.
    Rename {
        /// The new path.
        to: &'a Path,
    },
    /// The file is removed, or the directory with all that is in it.
    Remove,
}

/// Sees each change before it happens, and may make it fail: for tests of full disks, failing syncs and crashes.
pub trait DiskHook: Send + Sync {
    /// Called before `operation` on `path`; an error is what the engine gets instead.
    ///
    /// # Errors
    /// Whatever the test wants the disk to answer.
    fn before(&self, path: &Path, operation: DiskOperation<'_>) -> io::Result<()>;
}

/// The disk, with or without somebody watching.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    hook: Option<Arc<dyn DiskHook>>,
}

impl Disk {
    pub(crate) fn new(hook: Option<Arc<dyn DiskHook>>) -> Disk {
        Disk { hook }
    }

    fn before(&self, path: &Path, operation: DiskOperation<'_>) -> io::Result<()> {
        match &self.hook {
            None => Ok(()),
            Some(hook) => hook.before(path, operation),
        }
    }

    /// Makes the directory; one that exists is fine.
    pub(crate) fn create_dir(&self, path: &Path) -> Result<(), LogError> {
        let done = self
            .before(path, DiskOperation::CreateDir)
            .and_then(|()| fs::create_dir_all(path));
        done.map_err(|error| LogError::io("create directory", path, error))
    }

    /// Opens the file for reading and writing, making it if it is not there.
    pub(crate) fn open(&self, path: &Path) -> Result<File, LogError> {
        self.open_direct(path, false)
    }

    /// Writes all the slices from `position` on. On an error some of the bytes may be in the file.
    pub(crate) fn write_at(
        &self,
        file: &File,
        path: &Path,
        position: u64,
        slices: &mut [IoSlice<'_>],
    ) -> Result<(), LogError> {
        let len = slices.iter().map(|slice| slice.len()).sum();
        self.before(path, DiskOperation::Write { position, len })
            .and_then(|()| write_all_vectored_at(file, position, slices, ReadWriteFlags::empty()))
            .map_err(|error| LogError::io("write", path, error))
    }

    /// Opens the file as [`open`](Disk::open) does, to be written past the page cache if `direct`.
    pub(crate) fn open_direct(&self, path: &Path, direct: bool) -> Result<File, LogError> {
        let flags = if direct { OFlags::DIRECT.bits() } else { 0 };
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .custom_flags(flags.cast_signed())
                .open(path)
        };
        let done = self.before(path, DiskOperation::Open).and_then(|()| open());
        done.map_err(|error| LogError::io("open", path, error))
    }

    /// Writes all the bytes, which are on stable storage on return. On an error some of them may be in the file.
    pub(crate) fn write_durably(
        &self,
        file: &File,
        path: &Path,
        position: u64,
        bytes: &[u8],
    ) -> Result<(), LogError> {
        let len = bytes.len();
        let write =
            |flags| write_all_vectored_at(file, position, &mut [IoSlice::new(bytes)], flags);
        let done = match &self.hook {
            None => write(ReadWriteFlags::DSYNC),
            // In two steps, for whoever watches.
            Some(_) => self
                .before(path, DiskOperation::Write { position, len })
                .and_then(|()| write(ReadWriteFlags::empty()))
                .and_then(|()| self.before(path, DiskOperation::Sync))
                .and_then(|()| file.sync_data()),
        };
        done.map_err(|error| LogError::io("write", path, error))
    }

    pub(crate) fn truncate(&self, file: &File, path: &Path, len: u64) -> Result<(), LogError> {
        let done = self
            .before(path, DiskOperation::Truncate { len })
            .and_then(|()| file.set_len(len));
        done.map_err(|error| LogError::io("truncate", path, error))
    }

    /// `fdatasync`: the bytes and the file's length are on stable storage afterwards.
    pub(crate) fn sync(&self, file: &File, path: &Path) -> Result<(), LogError> {
        let done = self
            .before(path, DiskOperation::Sync)
            .and_then(|()| file.sync_data());
        // As it is: not even a full disk is harmless here.
        done.map_err(|error| LogError::Io {
            operation: SYNC,
            path: path.into(),
            source: Arc::new(error),
        })
    }

    /// Makes names created, renamed or removed in the directory durable.
    pub(crate) fn sync_dir(&self, path: &Path) -> Result<(), LogError> {
        let done = self
            .before(path, DiskOperation::SyncDir)
            .and_then(|()| File::open(path))
            .and_then(|directory| directory.sync_all());
        done.map_err(|error| LogError::io(SYNC_DIR, path, error))
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), LogError> {
        let done = self
            .before(from, DiskOperation::Rename { to })
            .and_then(|()| fs::rename(from, to));
        done.map_err(|error| LogError::io("rename", from, error))
    }

    /// Removes the file; one that is gone already is fine.
    pub(crate) fn remove_file(&self, path: &Path) -> Result<(), LogError> {
        let done = self
            .before(path, DiskOperation::Remove)
            .and_then(|()| fs::remove_file(path));
        match done {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(LogError::io("remove", path, error))
            }
            _ => Ok(()),
        }
    }

    /// Removes the directory and all that is in it; one that is gone already is fine.
    pub(crate) fn remove_dir(&self, path: &Path) -> Result<(), LogError> {
        let done = self
            .before(path, DiskOperation::Remove)
            .and_then(|()| fs::remove_dir_all(path));
        match done {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(LogError::io("remove", path, error))
            }
            _ => Ok(()),
        }
    }

    /// Replaces the file's content so that a crash leaves the old or the new, never a mixture. The caller syncs the
    /// directory if the change itself must survive.
    pub(crate) fn replace(&self, path: &Path, content: &[u8]) -> Result<(), LogError> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = Path::new(&temporary);
        let file = self.open(temporary)?;
        self.truncate(&file, temporary, 0)?;
        self.write_at(&file, temporary, 0, &mut [IoSlice::new(content)])?;
        self.sync(&file, temporary)?;
        self.rename(temporary, path)
    }
}

fn write_all_vectored_at(
    file: &File,
    mut position: u64,
    mut slices: &mut [IoSlice<'_>],
    flags: ReadWriteFlags,
) -> io::Result<()> {
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match rustix::io::pwritev2(file, slices, position, flags) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                position += written as u64;
                IoSlice::advance_slices(&mut slices, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_written_back_to_back_and_empty_ones_do_not_matter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let disk = Disk::default();
        let file = disk.open(&path).unwrap();
        let mut slices = [
            IoSlice::new(b""),
            IoSlice::new(b"ab"),
            IoSlice::new(b""),
            IoSlice::new(b"c"),
        ];
        disk.write_at(&file, &path, 3, &mut slices).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"\0\0\0abc");
    }

    #[test]
    fn a_replaced_file_has_the_new_content_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        Disk::default().replace(&path, b"long content").unwrap();
        Disk::default().replace(&path, b"short").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"short");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
