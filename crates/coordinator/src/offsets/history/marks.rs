//! Which records of a log go: a bit each, and the bytes of those that stay as history.
//!
//! Memory: 24 bytes for each 64 offsets among which there is a record at all.

const PAGE: i64 = 64;

#[derive(Debug, Clone, Copy)]
struct Page {
    number: i64,
    gone: u64,
    /// Bytes of records that were replaced and stay.
    history_bytes: u32,
}

/// Marks by offset. Whatever has no mark stays.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// In ascending order.
    pages: Vec<Page>,
}

impl Marks {
    /// What room for the marks of one more offset costs, at most.
    pub(super) const COST: usize = size_of::<Page>();

    /// Makes room for an offset that is not below those before it. Says whether that took memory.
    pub(super) fn reach(&mut self, offset: i64) -> bool {
        let number = offset.div_euclid(PAGE);
        if self.pages.last().is_some_and(|page| page.number >= number) {
            return false;
        }
        self.pages.push(Page {
            number,
            gone: 0,
            history_bytes: 0,
        });
        true
    }

    fn page(&self, offset: i64) -> Option<usize> {
        let number = offset.div_euclid(PAGE);
        self.pages
            .binary_search_by_key(&number, |page| page.number)
            .ok()
    }

    /// The record at `offset` stays as history.
    pub(super) fn keep(&mut self, offset: i64, bytes: u32) {
        if let Some(at) = self.page(offset) {
            let page = &mut self.pages[at];
            page.history_bytes = page.history_bytes.saturating_add(bytes);
        }
    }

    /// The record at `offset` goes.
    pub(super) fn drop(&mut self, offset: i64) {
        if let Some(at) = self.page(offset) {
            self.pages[at].gone |= 1 << offset.rem_euclid(PAGE);
        }
    }

    /// The record at `offset` does not go after all.
    pub(super) fn restore(&mut self, offset: i64) {
        if let Some(at) = self.page(offset) {
            self.pages[at].gone &= !(1 << offset.rem_euclid(PAGE));
        }
    }

    pub(super) fn is_gone(&self, offset: i64) -> bool {
        let page = self.page(offset).map(|at| self.pages[at].gone);
        page.is_some_and(|gone| gone & 1 << offset.rem_euclid(PAGE) != 0)
    }

    /// Whether anything goes.
    pub(super) fn any_gone(&self) -> bool {
        self.pages.iter().any(|page| page.gone != 0)
    }

    /// Marks everything as gone that is so old that the history after it fits `max_bytes`. Returns the offset where that
    /// ends.
    pub(super) fn drop_oldest(&mut self, max_bytes: u64) -> i64 {
        let bytes = |page: &Page| u64::from(page.history_bytes);
        let mut total: u64 = self.pages.iter().map(bytes).sum();
        let mut end = i64::MIN;
        for page in &mut self.pages {
            if total <= max_bytes {
                break;
            }
            total -= bytes(page);
            page.gone = u64::MAX;
            end = (page.number + 1) * PAGE;
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_again_and_take_memory_only_where_there_are_records() {
        let mut marks = Marks::default();
        let taken = [0, 1, 63, 64, 1_000_000].map(|offset| marks.reach(offset));
        assert_eq!(taken, [true, false, false, true, true]);
        marks.drop(63);
        marks.drop(1_000_000);
        let gone: Vec<i64> = [0, 1, 62, 63, 64, 500, 999_999, 1_000_000]
            .into_iter()
            .filter(|offset| marks.is_gone(*offset))
            .collect();
        assert_eq!(gone, [63, 1_000_000]);
        marks.restore(63);
        assert!(!marks.is_gone(63) && marks.any_gone());
    }

    #[test]
    fn the_oldest_go_until_the_rest_fits() {
        let mut marks = Marks::default();
        for offset in [0, 64, 128] {
            marks.reach(offset);
            marks.keep(offset, 100);
        }
        assert_eq!(marks.drop_oldest(300), i64::MIN);
        assert!(!marks.any_gone());
        assert_eq!(marks.drop_oldest(199), 128);
        assert!(marks.is_gone(0) && marks.is_gone(64) && !marks.is_gone(128));
    }
}
