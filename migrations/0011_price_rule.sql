-- How the price of a registration moves, as of the last look at a subnet. Null: not known, or a runtime that adjusts prices otherwise.
ALTER TABLE chain_subnets
    ADD COLUMN min_burn_rao numeric(20) CHECK (min_burn_rao >= 0),
    ADD COLUMN max_burn_rao numeric(20) CHECK (max_burn_rao >= 0),
    -- Blocks in which the price halves.
    ADD COLUMN burn_half_life integer CHECK (burn_half_life BETWEEN 0 AND 65535),
    -- What a registration multiplies it by, in billionths.
    ADD COLUMN burn_increase_ppb numeric(20) CHECK (burn_increase_ppb >= 0);
