//! Bit-packed counts of equally wide cells.
//!
//! A block holds 32 neighbouring cells and keeps one word per binary digit: word *k* holds digit *k* of all its cells.
//! A block is therefore as wide as its largest count. A larger count adds words and leaves the other blocks alone.
//! One cell is read by collecting a digit from each word; a run of cells is summed by counting ones. All blocks lie in
//! one buffer, oldest first, with two bytes of description per block.

use std::collections::VecDeque;

use crate::counts::{Counts, Total};

/// Cells per block: the digits of a word.
const CELLS: i64 = 32;

/// The buffers grow by this many items at a time, since doubling would leave half of them empty for good.
const GROWTH: usize = 16;

/// Number of words of a block for its good and for its bad counts.
#[derive(Debug, Clone, Copy)]
struct Shape {
    good: u8,
    bad: u8,
}

impl Shape {
    /// The stored form. A row of bytes is added up many at a time.
    const fn bytes(self) -> [u8; 2] {
        [self.good, self.bad]
    }

    const fn of([good, bad]: [u8; 2]) -> Self {
        Self { good, bad }
    }

    fn words(self) -> usize {
        usize::from(self.good) + usize::from(self.bad)
    }
}

/// Counts by the number of their cell. A cell that was never added to reads as zero.
#[derive(Debug, Clone, Default)]
pub(crate) struct BitPacked {
    /// The number of the oldest block.
    first: i64,
    /// A [`Shape`] for each block.
    shapes: VecDeque<[u8; 2]>,
    words: VecDeque<u32>,
}

impl BitPacked {
    /// Adds counts to a cell and returns the part that fitted: a cell holds up to 2⁶⁴−1 events of a kind.
    #[cfg(test)]
    pub(crate) fn add(&mut self, cell: i64, counts: Counts) -> Counts {
        self.change(cell, Counts::ZERO, counts)
    }

    /// Replaces counts of a cell by others and returns the part of the new ones that fitted.
    pub(crate) fn change(&mut self, cell: i64, gone: Counts, counts: Counts) -> Counts {
        if gone == counts {
            return counts;
        }
        let index = self.index_of(cell.div_euclid(CELLS));
        let Some(mut shape) = self.shapes.get(index).copied().map(Shape::of) else { return Counts::ZERO };
        let digit = cell.rem_euclid(CELLS) as u32;
        let at = self.offset(index);
        let good = self.deposit(at, &mut shape.good, digit, (gone.good, counts.good));
        let bad = self.deposit(at + usize::from(shape.good), &mut shape.bad, digit, (gone.bad, counts.bad));
        if let Some(kept) = self.shapes.get_mut(index) {
            *kept = shape.bytes();
        }
        Counts { good, bad }
    }

    /// The counts of one cell.
    pub(crate) fn at(&self, cell: i64) -> Counts {
        let block = cell.div_euclid(CELLS).checked_sub(self.first);
        let index = block.and_then(|block| usize::try_from(block).ok());
        let Some((index, shape)) = index.and_then(|index| Some((index, *self.shapes.get(index)?))) else {
            return Counts::ZERO;
        };
        let (shape, digit) = (Shape::of(shape), cell.rem_euclid(CELLS) as u32);
        let at = self.offset(index);
        let middle = at + usize::from(shape.good);
        let good = gather(self.words.range(at..middle), digit);
        Counts { good, bad: gather(self.words.range(middle..at + shape.words()), digit) }
    }

    /// The sum of the cells `from..to`.
    pub(crate) fn sum(&self, from: i64, to: i64) -> Total {
        let mut total = Total::default();
        let end = self.first + self.shapes.len() as i64;
        let block_of = |cell: i64| cell.div_euclid(CELLS).clamp(self.first, end);
        let (start, stop) = (block_of(from), block_of(to.saturating_sub(1)));
        if from >= to || start == end {
            return total;
        }
        let index = (start - self.first) as usize;
        let mut at = self.offset(index);
        for (block, &shape) in (start..=stop).zip(self.shapes.range(index..)) {
            let shape = Shape::of(shape);
            let cells = mask(block.saturating_mul(CELLS), from, to);
            let middle = at + usize::from(shape.good);
            total.good += self.weigh(at, middle, cells);
            total.bad += self.weigh(middle, at + shape.words(), cells);
            at += shape.words();
        }
        total
    }

    /// Number of the cells `from..to` with bad counts.
    pub(crate) fn bad_cells(&self, from: i64, to: i64) -> u64 {
        let end = self.first + self.shapes.len() as i64;
        let block_of = |cell: i64| cell.div_euclid(CELLS).clamp(self.first, end);
        let (start, stop) = (block_of(from), block_of(to.saturating_sub(1)));
        if from >= to || start == end {
            return 0;
        }
        let index = (start - self.first) as usize;
        let (mut at, mut cells) = (self.offset(index), 0);
        for (block, &shape) in (start..=stop).zip(self.shapes.range(index..)) {
            let shape = Shape::of(shape);
            let middle = at + usize::from(shape.good);
            at += shape.words();
            let chosen = mask(block.saturating_mul(CELLS), from, to);
            let any = self.words.range(middle..at).fold(0, |any, word| any | word);
            cells += u64::from((any & chosen).count_ones());
        }
        cells
    }

    /// Drops blocks that end before a cell.
    pub(crate) fn forget_before(&mut self, cell: i64) {
        let keep = cell.div_euclid(CELLS);
        while self.first < keep
            && let Some(shape) = self.shapes.pop_front()
        {
            self.words.drain(..Shape::of(shape).words());
            self.first += 1;
        }
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.words.capacity() * size_of::<u32>() + self.shapes.capacity() * size_of::<[u8; 2]>()
    }

    /// Index of a block, which is created when it is missing. The caller bounds the distance.
    fn index_of(&mut self, block: i64) -> usize {
        if self.shapes.is_empty() {
            self.first = block;
        }
        while block < self.first {
            reserve(&mut self.shapes, 1);
            self.shapes.push_front([0; 2]);
            self.first -= 1;
        }
        let index = (block - self.first) as usize;
        while self.shapes.len() <= index {
            reserve(&mut self.shapes, 1);
            self.shapes.push_back([0; 2]);
        }
        index
    }

    fn offset(&self, index: usize) -> usize {
        // the usual block is the newest one or one of the oldest
        if index * 2 > self.shapes.len() {
            self.words.len() - self.words_of(index, self.shapes.len())
        } else {
            self.words_of(0, index)
        }
    }

    /// Number of words of the blocks `from..to`. The loop runs over slices, which the compiler vectorizes.
    fn words_of(&self, from: usize, to: usize) -> usize {
        let (front, back) = self.shapes.as_slices();
        let piece = |shapes: &[[u8; 2]]| shapes.as_flattened().iter().map(|&n| u32::from(n)).sum::<u32>();
        let split = front.len();
        let first = front.get(from.min(split)..to.min(split)).map_or(0, piece);
        let second = back.get(from.saturating_sub(split)..to.saturating_sub(split)).map_or(0, piece);
        (first + second) as usize
    }

    /// Replaces a number in the digit column of the words that start at `at`, adds words where needed, and returns the
    /// part of the new number that fitted.
    fn deposit(&mut self, at: usize, words: &mut u8, digit: u32, (gone, n): (u64, u64)) -> u64 {
        if gone == n {
            return n;
        }
        let have = usize::from(*words);
        let before = gather(self.words.range(at..at + have), digit).saturating_sub(gone);
        let after = before.saturating_add(n);
        let need = (u64::BITS - after.leading_zeros()) as usize;
        if need > have {
            reserve(&mut self.words, need - have);
            for place in have..need {
                self.words.insert(at + place, 0);
            }
            *words = need as u8;
        }
        for (k, word) in self.words.range_mut(at..at + need.max(have)).enumerate() {
            *word = *word & !(1 << digit) | (((after >> k) & 1) as u32) << digit;
        }
        after - before
    }

    /// The sum of the chosen cells over the words `at..to`, least digit first.
    fn weigh(&self, at: usize, to: usize, cells: u32) -> u128 {
        let (front, back) = self.words.as_slices();
        // a ring buffer wraps inside one block at most
        match front.get(at..to) {
            Some(words) => weigh_words(words, cells),
            None => match at.checked_sub(front.len()).and_then(|at| back.get(at..to - front.len())) {
                Some(words) => weigh_words(words, cells),
                None => {
                    let (low, high) = (front.get(at..).unwrap_or_default(), to - front.len());
                    let high = back.get(..high).unwrap_or_default();
                    weigh_words(low, cells) + (weigh_words(high, cells) << low.len())
                }
            },
        }
    }
}

fn weigh_words(words: &[u32], cells: u32) -> u128 {
    if cells.is_power_of_two() {
        return u128::from(gather(words.iter(), cells.trailing_zeros()));
    }
    words.iter().rev().fold(0, |sum, word| (sum << 1) + u128::from((word & cells).count_ones()))
}

fn gather<'w>(words: impl DoubleEndedIterator<Item = &'w u32>, digit: u32) -> u64 {
    words.rev().fold(0, |n, word| n << 1 | u64::from(word >> digit & 1))
}

/// The digits that stand for the cells `from..to`, in the block whose first cell is `begin`.
fn mask(begin: i64, from: i64, to: i64) -> u32 {
    let below = |cell: i64| (1_u64 << (cell.saturating_sub(begin)).clamp(0, CELLS)) - 1;
    (below(to) & !below(from)) as u32
}

fn reserve<T>(buffer: &mut VecDeque<T>, more: usize) {
    if buffer.capacity() - buffer.len() < more {
        buffer.reserve_exact(more.max(GROWTH));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(good: u64, bad: u64) -> Counts {
        Counts { good, bad }
    }

    #[test]
    fn a_cell_holds_as_much_as_its_type_and_says_what_fitted() {
        let mut series = BitPacked::default();
        assert_eq!(series.add(7, counts(u64::MAX - 1, 3)), counts(u64::MAX - 1, 3));
        assert_eq!(series.add(7, counts(5, 0)), counts(1, 0));
        assert_eq!(series.sum(7, 8).counts(), counts(u64::MAX, 3));
        assert_eq!(series.sum(0, 7).counts(), Counts::ZERO);
    }

    #[test]
    fn a_quiet_series_is_small_and_an_empty_one_takes_nothing() {
        let mut series = BitPacked::default();
        assert_eq!(series.heap_bytes(), 0);
        for cell in 0..2160 {
            series.add(cell, counts(1, 0));
        }
        assert!(series.heap_bytes() < 800, "{} bytes for 2,160 cells", series.heap_bytes());
    }

    proptest! {
        #[test]
        fn any_run_of_cells_is_summed_like_a_list(
            start in prop_oneof![Just(0_i64), -500_i64..500],
            added in prop::collection::vec((0_i64..300, any::<u32>(), 0_u32..34, 0_u64..9), 0..80),
            runs in prop::collection::vec((-10_i64..310, -10_i64..310), 1..20),
            forgotten in 0_i64..300,
        ) {
            let mut series = BitPacked::default();
            let mut list = vec![(0_u128, 0_u128); 300];
            for (cell, noise, digits, bad) in added {
                let good = u64::from(noise) << 32 >> digits.max(1);
                series.add(start + cell, counts(good, bad));
                list[cell as usize].0 += u128::from(good);
                list[cell as usize].1 += u128::from(bad);
            }
            let truth = |from: i64, to: i64| {
                let cells = (from.max(0)..to.min(300)).map(|cell| list[cell as usize]);
                cells.fold(Total::default(), |t, (good, bad)| Total { good: t.good + good, bad: t.bad + bad })
            };
            for &(from, to) in &runs {
                // another test covers cells that saturate
                prop_assume!(list.iter().all(|cell| cell.0 <= u128::from(u64::MAX)));
                prop_assert_eq!(series.sum(start + from, start + to), truth(from, to), "{}..{}", from, to);
            }
            series.forget_before(start + forgotten);
            for (from, to) in runs {
                let from = from.max(forgotten);
                prop_assert_eq!(series.sum(start + from, start + to), truth(from, to), "after forgetting");
            }
        }
    }
}
