//! What the validator offers, and how much of it it wants. Pure.
//!
//! The list of chutes has no word for being empty: without a row it says that nothing is offered, or that the validator failed
//! before the first row. It is believed after a second one if it can only lack the last chute and everything else the validator
//! says fits; else only after a long while of nothing but such lists.

use std::collections::BTreeMap;

use gepetto::snapshot::{Allowance, Source};
use jiff::{SignedDuration, Timestamp};
use protocol::dto::{ChuteRow, UtilizationRow};
use protocol::ids::ChuteId;
use validator::Listing;

/// Chutes on offer, and how many copies of each are wanted.
#[derive(Clone, Debug, Default)]
pub struct Offers {
    rows: BTreeMap<ChuteId, ChuteRow>,
    /// When a list last named each chute of `rows`.
    named: BTreeMap<ChuteId, Timestamp>,
    read: Source,
    /// Lists without a row, if nothing but such came lately.
    empty: Option<Empty>,
    wanted: BTreeMap<ChuteId, UtilizationRow>,
    wanted_read: Source,
}

#[derive(Clone, Copy, Debug)]
struct Empty {
    first: Timestamp,
    last: Timestamp,
    /// Such lists, some time apart.
    lists: u32,
}

/// How empty lists are judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubts {
    /// Lists at least so far apart count as two.
    pub apart: SignedDuration,
    /// So long nothing but empty lists must come before it is believed that many chutes went at once.
    pub landslide: SignedDuration,
}

impl Offers {
    /// Takes a list of chutes. `sees_us` says whether the validator, asked later than a moment, knows our GPUs and holds nothing
    /// on them: one that lost everything knows no GPU either.
    pub(super) fn take(&mut self, listing: Listing<ChuteRow>, doubts: Doubts, sees_us: impl Fn(Timestamp) -> bool) {
        if listing.came_empty() {
            return self.take_empty(listing.as_of, doubts, sees_us);
        }
        if !listing.items.is_empty() || listing.bad_rows > 0 {
            self.empty = None;
        }
        if listing.completeness.is_complete() {
            self.read = Source::complete(listing.as_of);
            self.rows.clear();
            self.named.clear();
        }
        for row in listing.items {
            self.named.insert(row.chute_id.clone(), listing.as_of);
            self.rows.insert(row.chute_id.clone(), row);
        }
    }

    fn take_empty(&mut self, as_of: Timestamp, doubts: Doubts, sees_us: impl Fn(Timestamp) -> bool) {
        let empty = self.empty.get_or_insert(Empty { first: as_of, last: as_of, lists: 1 });
        if as_of.duration_since(empty.last) >= doubts.apart {
            empty.lists += 1;
            empty.last = as_of;
        }
        let long = as_of.duration_since(empty.first) >= doubts.landslide;
        let the_last_one = self.rows.len() <= 1 && empty.lists >= 2 && sees_us(empty.first);
        if long || the_last_one {
            self.read = Source::complete(as_of);
            self.rows.clear();
            self.named.clear();
        }
    }

    /// Takes a list of demand. It is one document: what it lacks is not known, be it known from an earlier one.
    pub(super) fn take_demand(&mut self, listing: Listing<UtilizationRow>) {
        let complete = listing.completeness.is_complete() && listing.bad_rows == 0;
        self.wanted_read = Source { as_of: Some(listing.as_of), complete };
        self.wanted = listing.items.into_iter().map(|row| (row.chute_id.clone(), row)).collect();
    }

    /// What the validator last listed of a chute.
    #[must_use]
    pub fn get(&self, chute: &ChuteId) -> Option<&ChuteRow> {
        self.rows.get(chute)
    }

    /// When a list last named the chute; nothing once a complete one lacked it.
    #[must_use]
    pub fn named_at(&self, chute: &ChuteId) -> Option<Timestamp> {
        self.named.get(chute).copied()
    }

    /// Whether the latest list came without a row, believed or not.
    #[must_use]
    pub fn came_empty(&self) -> bool {
        self.empty.is_some()
    }

    /// How many more copies of a chute the validator wants, as of [`Offers::wanted_source`].
    #[must_use]
    pub fn allowance(&self, chute: &ChuteId) -> Option<Allowance> {
        let row = self.wanted.get(chute)?;
        Some(Allowance { more: row.allowance()?, counts_pending: row.counts_pending() })
    }

    /// How far the list of chutes can be trusted.
    #[must_use]
    pub fn source(&self) -> Source {
        self.read
    }

    /// How old the list of demand is, and whether all its rows could be read.
    #[must_use]
    pub fn wanted_source(&self) -> Source {
        self.wanted_read
    }
}
