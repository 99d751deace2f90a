//! How much goes into one of ZooKeeper's transactions. Pure.

/// The most nodes at once.
const MOST: usize = 500;
/// The most bytes of their paths. A server takes less than a megabyte at once, and with the directories above a new node its
/// path may be there four times.
const MOST_BYTES: usize = 200 << 10;

/// How many of the nodes whose paths have these lengths, in bytes, go into one transaction: from the first on, and one at
/// least if there is any.
pub fn fitting(lengths: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let fits = |(at, length): &(usize, usize)| {
        bytes += length;
        *at == 0 || bytes <= MOST_BYTES
    };
    lengths.take(MOST).enumerate().take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_bounded_by_nodes_and_by_bytes_and_is_never_empty() {
        let of = |count, length| fitting(std::iter::repeat_n(length, count));
        assert_eq!(of(0, 40), 0);
        assert_eq!(of(300, 40), 300);
        assert_eq!(of(3000, 40), MOST);
        assert_eq!(of(3000, 2048), 100, "long names");
        assert_eq!(of(2, MOST_BYTES + 1), 1, "one goes whatever its length");
    }
}
