-- Signatures of requests already served, until they are too old to be accepted anyway.
-- Unlogged: a write for every request, worth nothing after its half minute.

CREATE UNLOGGED TABLE nonces (
    signature_hash bytea PRIMARY KEY CHECK (octet_length(signature_hash) BETWEEN 16 AND 64),
    expires_at     timestamptz NOT NULL
);
CREATE INDEX nonces_by_expiry ON nonces (expires_at);
