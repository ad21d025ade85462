-- What the chain says of a UID beside who sits there, blocks that nobody could read, and what a subnet prunes by. Nothing here is known
-- of what was kept before.

ALTER TABLE chain_tenures
    -- Whether it was one of the subnet owner's UIDs that are never pruned; like `validator` and `emission_rao` as of the last look, and of
    -- a tenure that ended as of the block before. Null: not known.
    ADD COLUMN owner boolean,
    -- Alpha of the last epoch.
    ADD COLUMN emission_rao numeric(20) CHECK (emission_rao >= 0),
    -- What a registration cost in the block before it was registered. Null also for what goes on with another tenure.
    ADD COLUMN burn_rao numeric(20) CHECK (burn_rao >= 0),
    -- Blocks of immunity when it ended.
    ADD COLUMN immunity_period integer CHECK (immunity_period BETWEEN 0 AND 65535),
    -- The last block that shows it, where the blocks after were left out: it ended at some time after this one, by `ended_at`.
    ADD COLUMN last_seen bigint CHECK (last_seen >= from_block AND last_seen <= ended_at);

-- `unseen`: in blocks that were left out, and how cannot be told.
ALTER TABLE chain_tenures
    DROP CONSTRAINT chain_tenures_how_check,
    ADD CONSTRAINT chain_tenures_how_check
        CHECK (how IN ('replaced', 'swapped', 'sold', 'moved', 'trimmed', 'network_removed', 'unseen'));

-- Blocks that were left out because no node kept them any more.
CREATE TABLE chain_gaps (
    follow     bigint NOT NULL REFERENCES chain_follows (id) ON DELETE CASCADE,
    from_block bigint NOT NULL CHECK (from_block >= 0),
    to_block   bigint NOT NULL CHECK (to_block >= from_block),
    PRIMARY KEY (follow, from_block)
);

-- What a subnet prunes by, as of the last look at it. Its UIDs are as they were then.
CREATE TABLE chain_subnets (
    follow              bigint NOT NULL REFERENCES chain_follows (id) ON DELETE CASCADE,
    netuid              integer NOT NULL CHECK (netuid BETWEEN 0 AND 65535),
    looked_at           bigint NOT NULL,
    immunity_period     integer CHECK (immunity_period BETWEEN 0 AND 65535),
    min_non_immune_uids integer CHECK (min_non_immune_uids BETWEEN 0 AND 65535),
    max_uids            integer CHECK (max_uids BETWEEN 0 AND 65535),
    PRIMARY KEY (follow, netuid)
);

-- When blocks were made, by their authors' clocks: one in 300, and those with which watching began.
CREATE TABLE chain_times (
    follow bigint NOT NULL REFERENCES chain_follows (id) ON DELETE CASCADE,
    block  bigint NOT NULL,
    at_ms  bigint NOT NULL,
    PRIMARY KEY (follow, block)
);
