//! Segments to a socket: memory by vectored writes, files by sendfile.

use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use catchword_wire::{FileSlice, Segment};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Buffers in one vectored write.
const MAX_SLICES: usize = 64;
/// Parts of files that are not longer are read and written with what surrounds them: a packet of their own, which wakes
/// the client once more, would cost more than the copy.
const SMALL: usize = 16 << 10;

/// Writes what the socket takes at once, if all of it is in memory or small. Returns what is left.
///
/// Almost every answer goes this way; the other one's state would make each idle connection larger.
pub(super) fn write_now(stream: &TcpStream, segments: Vec<Segment>) -> io::Result<Vec<Segment>> {
    let is_large = |segment: &Segment| matches!(segment, Segment::File(slice) if slice.len > SMALL);
    if segments.len() > MAX_SLICES || segments.iter().any(is_large) {
        return Ok(segments);
    }
    let read = segments.iter().map(Segment::read);
    let mut run = read.collect::<io::Result<Vec<Bytes>>>()?;
    let mut first = 0;
    match try_write(stream, &mut run, &mut first) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    Ok(run.drain(first..).map(Segment::Bytes).collect())
}

/// Writes all segments in order; waits while the socket is full.
pub(super) async fn write_all(stream: &mut TcpStream, segments: Vec<Segment>) -> io::Result<()> {
    let mut run = Vec::with_capacity(segments.len().min(MAX_SLICES));
    for segment in segments {
        match segment {
            Segment::File(slice) if slice.len > SMALL => {
                write_run(stream, &mut run).await?;
                send_file(stream, slice).await?;
            }
            small => {
                run.push(small.read()?);
                if run.len() == MAX_SLICES {
                    write_run(stream, &mut run).await?;
                }
            }
        }
    }
    write_run(stream, &mut run).await
}

/// Writes buffers and empties the list.
async fn write_run(stream: &mut TcpStream, run: &mut Vec<Bytes>) -> io::Result<()> {
    let mut first = 0;
    while first < run.len() {
        match try_write(stream, run, &mut first) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                stream.writable().await?;
            }
            Err(error) => return Err(error),
        }
    }
    run.clear();
    Ok(())
}

/// Writes once, from the buffer `first` on, and moves it past what was written.
fn try_write(stream: &TcpStream, run: &mut [Bytes], first: &mut usize) -> io::Result<()> {
    let slices: Vec<IoSlice<'_>> = run[*first..].iter().map(|b| IoSlice::new(b)).collect();
    let mut left = stream.try_write_vectored(&slices)?;
    while let Some(bytes) = run.get_mut(*first) {
        if left < bytes.len() {
            bytes.advance(left);
            break;
        }
        left -= bytes.len();
        *first += 1;
    }
    Ok(())
}

/// Sends a part of a file from the page cache, without copying it through this process.
async fn send_file(stream: &mut TcpStream, slice: FileSlice) -> io::Result<()> {
    let mut position = slice.position;
    let mut left = slice.len;
    while left > 0 {
        let sent = stream.try_io(Interest::WRITABLE, || {
            rustix::fs::sendfile(&*stream, &*slice.file, Some(&mut position), left)
                .map_err(io::Error::from)
        });
        match sent {
            // The file was cut: the frame's length cannot be kept any more, so the connection has to go.
            Ok(0) => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "a log file became shorter while it was sent",
                ));
            }
            Ok(sent) => left -= sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
