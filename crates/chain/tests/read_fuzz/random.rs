//! Chance, and bytes that are nearly right.

/// A small generator of our own: a failure is repeated by its number, and a million inputs cost little.
pub(crate) struct Random(u64);

impl Random {
    /// All that follows from a case's number. One generator gives `seed`, and another begins where that one is: neighbouring numbers
    /// have nothing in common.
    pub(crate) fn of_case(case: u64) -> Self {
        Self(Self(case).next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn byte(&mut self) -> u8 {
        // The ends of ranges more often than chance has them.
        if self.one_in(3) { [0, 1, 2, 3, 4, 0x7f, 0x80, 0xfc, 0xfe, 0xff][self.below(10)] } else { self.next().to_le_bytes()[0] }
    }

    pub(crate) fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.byte()).collect()
    }

    pub(crate) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Spoils right bytes a little: some changed, lost or put in, or the end gone. Now and then nothing.
    pub(crate) fn spoil(&mut self, bytes: &mut Vec<u8>) {
        if self.one_in(4) {
            bytes.truncate(self.below(bytes.len() + 1));
        }
        for _ in 0..self.below(6) {
            // A length or a case stands early in most things.
            let early = if self.one_in(4) { 16 } else { usize::MAX };
            let at = self.below(bytes.len().min(early));
            match self.below(4) {
                0 | 1 if !bytes.is_empty() => bytes[at] = self.byte(),
                2 if !bytes.is_empty() => drop(bytes.remove(at)),
                3 => drop(bytes.splice(at..at, self.one(&CLAIMS).iter().copied())),
                _ => bytes.insert(at, self.byte()),
            }
        }
    }
}

/// Lengths that claim what is not there, in each of SCALE's four forms.
pub(crate) const CLAIMS: [&[u8]; 6] = [
    &[0xfc],
    &[0xfd, 0xff],
    &[0xfe, 0xff, 0xff, 0xff],
    &[0x02, 0, 0, 0x01],
    &[0x03, 0, 0, 0, 0x40],
    &[0x13, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
];
