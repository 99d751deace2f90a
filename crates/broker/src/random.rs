//! Randomness from the operating system, for ids.

/// 16 random bytes.
pub(crate) fn bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(n) => filled += n,
            Err(rustix::io::Errno::INTR) => {}
            // No kernel that runs this program lacks the call.
            Err(error) => panic!("the operating system gives no random bytes: {error}"),
        }
    }
    bytes
}

/// A random number.
pub(crate) fn number() -> u64 {
    let b = bytes();
    u64::from_be_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])
}
