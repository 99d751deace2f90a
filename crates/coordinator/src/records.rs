//! The records that a step has decided, in their order.
//!
//! Keys and values lie one after the other in one buffer, and headers are shared: a commit of a hundred partitions
//! allocates nothing and counts no references for each of them.

use std::sync::Arc;

use bytes::Bytes;

use crate::effect::Headers;

/// A buffer that once held more than so many bytes is given back when it is cleared.
const KEPT_BYTES: usize = 256 << 10;

/// A record for `__consumer_offsets` or `__transaction_state` by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoordinatorRecord {
    /// Kafka's key: two bytes of type, then the fields.
    pub key: Bytes,
    /// Kafka's value: two bytes of version, then the fields. `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Who moved the bookmark and why; see [`crate::record::headers`].
    pub headers: Headers,
}

/// The same, among others in [`Records`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Kafka's key: two bytes of type, then the fields.
    pub key: &'a [u8],
    /// Kafka's value: two bytes of version, then the fields. `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Who moved the bookmark and why; see [`crate::record::headers`].
    pub headers: &'a Headers,
}

/// Records in the order in which they are to be appended.
#[derive(Debug, Clone, Default)]
pub struct Records {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Each differs from the one before it.
    headers: Vec<Headers>,
}

/// Where a record ends; it begins where the one before it ends.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key_end: usize,
    end: usize,
    is_tombstone: bool,
    headers: usize,
}

impl Records {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets them, and keeps the memory unless it is large.
    pub fn clear(&mut self) {
        if self.bytes.capacity() > KEPT_BYTES {
            *self = Records::default();
        }
        self.bytes.clear();
        self.entries.clear();
        self.headers.clear();
    }

    /// All, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RecordRef<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }

    fn begin(&self, index: usize) -> usize {
        index
            .checked_sub(1)
            .map_or(0, |before| self.entries[before].end)
    }

    fn get(&self, index: usize) -> RecordRef<'_> {
        let entry = self.entries[index];
        RecordRef {
            key: &self.bytes[self.begin(index)..entry.key_end],
            value: (!entry.is_tombstone).then(|| &self.bytes[entry.key_end..entry.end]),
            headers: &self.headers[entry.headers],
        }
    }

    /// Adds one at the end.
    pub fn push(&mut self, record: RecordRef<'_>) {
        let key = |bytes: &mut Vec<u8>| bytes.extend_from_slice(record.key);
        match record.value {
            Some(value) => self.put(record.headers, key, |bytes| bytes.extend_from_slice(value)),
            None => self.put_tombstone(record.headers, key),
        }
    }

    /// Adds one, whose key and value are written behind what is there.
    pub(crate) fn put(
        &mut self,
        headers: &Headers,
        key: impl FnOnce(&mut Vec<u8>),
        value: impl FnOnce(&mut Vec<u8>),
    ) {
        key(&mut self.bytes);
        let key_end = self.bytes.len();
        value(&mut self.bytes);
        self.enter(headers, key_end, false);
    }

    /// Adds one without a value, whose key is written behind what is there.
    pub(crate) fn put_tombstone(&mut self, headers: &Headers, key: impl FnOnce(&mut Vec<u8>)) {
        key(&mut self.bytes);
        self.enter(headers, self.bytes.len(), true);
    }

    fn enter(&mut self, headers: &Headers, key_end: usize, is_tombstone: bool) {
        let last = self.headers.last();
        if !last.is_some_and(|last| Arc::ptr_eq(last, headers)) {
            self.headers.push(headers.clone());
        }
        self.entries.push(Entry {
            key_end,
            end: self.bytes.len(),
            is_tombstone,
            headers: self.headers.len() - 1,
        });
    }

    /// Takes over all of `other`, which is left empty.
    pub fn append(&mut self, other: &mut Records) {
        if self.is_empty() {
            std::mem::swap(self, other);
        } else {
            self.extend(other.iter());
        }
        other.clear();
    }

    /// Takes off all from the one of number `at` on.
    pub(crate) fn split_off(&mut self, at: usize) -> Records {
        let mut rest = Records::default();
        rest.extend(self.iter().skip(at));
        self.bytes.truncate(self.begin(at));
        self.entries.truncate(at);
        self.headers
            .truncate(self.entries.last().map_or(0, |last| last.headers + 1));
        rest
    }
}

impl<'a> Extend<RecordRef<'a>> for Records {
    fn extend<I: IntoIterator<Item = RecordRef<'a>>>(&mut self, records: I) {
        records.into_iter().for_each(|record| self.push(record));
    }
}

impl PartialEq for Records {
    fn eq(&self, other: &Records) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Records {}

impl CoordinatorRecord {
    /// As it stands among others.
    pub fn as_ref(&self) -> RecordRef<'_> {
        RecordRef {
            key: &self.key,
            value: self.value.as_deref(),
            headers: &self.headers,
        }
    }
}

impl From<RecordRef<'_>> for CoordinatorRecord {
    fn from(record: RecordRef<'_>) -> CoordinatorRecord {
        CoordinatorRecord {
            key: Bytes::copy_from_slice(record.key),
            value: record.value.map(Bytes::copy_from_slice),
            headers: record.headers.clone(),
        }
    }
}

impl FromIterator<CoordinatorRecord> for Records {
    fn from_iter<I: IntoIterator<Item = CoordinatorRecord>>(all: I) -> Records {
        let mut records = Records::default();
        all.into_iter()
            .for_each(|record| records.push(record.as_ref()));
        records
    }
}

impl IntoIterator for Records {
    type Item = CoordinatorRecord;
    type IntoIter = std::vec::IntoIter<CoordinatorRecord>;

    /// Each by itself: copied, so not for a hot path.
    fn into_iter(self) -> Self::IntoIter {
        let each: Vec<_> = self.iter().map(CoordinatorRecord::from).collect();
        each.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some record; neighbours often share their headers, as those of one request do.
    fn one(n: usize, shared: &[Headers; 2]) -> CoordinatorRecord {
        CoordinatorRecord {
            key: Bytes::from(format!("key-{n}")),
            value: (!n.is_multiple_of(3)).then(|| Bytes::from(vec![b'v'; n % 5])),
            headers: shared[n / 4 % 2].clone(),
        }
    }

    #[test]
    fn records_are_those_that_were_put_however_they_are_joined_and_parted() {
        let header = (Bytes::from_static(b"cw.client"), None);
        let shared = [Headers::default(), Headers::from([header])];
        for parted in 0..20 {
            let model: Vec<_> = (0..20).map(|n| one(n, &shared)).collect();
            let mut all: Records = model.iter().cloned().collect();
            let mut rest = all.split_off(parted);
            assert_eq!((all.len(), rest.len()), (parted, 20 - parted));
            assert!(all.clone().into_iter().eq(model[..parted].iter().cloned()));
            assert!(rest.clone().into_iter().eq(model[parted..].iter().cloned()));
            all.append(&mut rest);
            assert!(rest.is_empty() && rest.bytes() == 0);
            assert!(all.iter().eq(model.iter().map(CoordinatorRecord::as_ref)));
        }
    }

    #[test]
    fn an_empty_value_is_no_tombstone() {
        let mut records = Records::default();
        let headers = Headers::default();
        records.put(&headers, |key| key.push(1), |_| ());
        records.put_tombstone(&headers, |key| key.push(2));
        let values: Vec<_> = records.iter().map(|record| record.value).collect();
        assert_eq!(values, [Some(&[][..]), None]);
    }

    #[test]
    fn a_large_buffer_is_not_kept() {
        let mut records = Records::default();
        let headers = Headers::default();
        records.put(&headers, |_| (), |value| value.resize(100, 0));
        records.clear();
        assert!(records.is_empty() && records.bytes.capacity() >= 100);
        records.put(&headers, |_| (), |value| value.resize(KEPT_BYTES + 1, 0));
        records.clear();
        assert_eq!(records.bytes.capacity(), 0);
    }
}
