-- Who sat on which UID of which subnet from which block of the chain to which, as finalized blocks told, and what a registration cost.

-- One position for each chain and choice of subnets. Tenures, prices and position move in one transaction.
CREATE TABLE chain_follows (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    genesis     bytea NOT NULL CHECK (octet_length(genesis) = 32),
    -- Only this subnet; all of them where it is null.
    netuid      integer CHECK (netuid BETWEEN 0 AND 65535),
    first_block bigint NOT NULL CHECK (first_block >= 0),
    -- The last block that was taken in.
    block       bigint NOT NULL CHECK (block >= first_block),
    hash        bytea NOT NULL CHECK (octet_length(hash) = 32)
);
CREATE UNIQUE INDEX chain_follows_by_choice ON chain_follows (genesis, coalesce(netuid, -1));

CREATE SEQUENCE chain_lives;

CREATE TABLE chain_tenures (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    follow        bigint NOT NULL REFERENCES chain_follows (id) ON DELETE CASCADE,
    -- The same for tenures that go on with one another: from registration until the place is lost, over swaps, sales and moves.
    life          bigint NOT NULL,
    netuid        integer NOT NULL CHECK (netuid BETWEEN 0 AND 65535),
    uid           integer NOT NULL CHECK (uid BETWEEN 0 AND 65535),
    hotkey        text NOT NULL,
    coldkey       text,
    registered_at bigint NOT NULL,
    -- The first block that shows it: later than its registration for what was there before the first block.
    from_block    bigint NOT NULL,
    ended_at      bigint CHECK (ended_at >= from_block),
    how           text CHECK (how IN ('replaced', 'swapped', 'sold', 'moved', 'trimmed', 'network_removed')),
    -- Whether it could set weights when it was last looked at.
    validator     boolean NOT NULL,
    CHECK ((ended_at IS NULL) = (how IS NULL))
);
-- A UID has one hotkey, and a hotkey one UID of a subnet.
CREATE UNIQUE INDEX chain_tenures_one_hotkey ON chain_tenures (follow, netuid, uid) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX chain_tenures_one_uid ON chain_tenures (follow, netuid, hotkey) WHERE ended_at IS NULL;
CREATE INDEX chain_tenures_by_life ON chain_tenures (follow, netuid, life, id);
CREATE INDEX chain_tenures_by_hotkey ON chain_tenures (hotkey);

CREATE TABLE chain_prices (
    follow   bigint NOT NULL REFERENCES chain_follows (id) ON DELETE CASCADE,
    netuid   integer NOT NULL CHECK (netuid BETWEEN 0 AND 65535),
    block    bigint NOT NULL,
    burn_rao numeric(20) NOT NULL CHECK (burn_rao >= 0),
    PRIMARY KEY (follow, netuid, block)
);
