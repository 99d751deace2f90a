//! Segments to a socket: memory by vectored writes, files by sendfile.

use std::io::{self, IoSlice};

use bytes::Buf;
use catchword_wire::{FileSlice, Segment};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Buffers in one vectored write.
const MAX_SLICES: usize = 64;
/// Parts of files that are not longer are read and written with what surrounds them: a packet of their own, which wakes
/// the client once more, would cost more than the copy.
const SMALL: usize = 16 << 10;

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
async fn write_run(stream: &mut TcpStream, run: &mut Vec<bytes::Bytes>) -> io::Result<()> {
    let mut first = 0;
    while first < run.len() {
        let written = {
            let slices: Vec<IoSlice<'_>> = run[first..].iter().map(|b| IoSlice::new(b)).collect();
            match stream.try_write_vectored(&slices) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    stream.writable().await?;
                    continue;
                }
                Err(error) => return Err(error),
            }
        };
        let mut left = written;
        while let Some(bytes) = run.get_mut(first) {
            if left < bytes.len() {
                bytes.advance(left);
                break;
            }
            left -= bytes.len();
            first += 1;
        }
    }
    run.clear();
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
