-- Launch configs asked of a validator. One cannot be given back, so each is followed to its end. The token itself is never stored.

CREATE TABLE launch_attempts (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deployment  uuid NOT NULL REFERENCES deployments (id),
    attempt     integer NOT NULL CHECK (attempt > 0),
    epoch       bigint NOT NULL,
    state       text NOT NULL CHECK (state IN ('asked', 'received', 'refused', 'claimed', 'expired', 'abandoned')),
    config_id   text UNIQUE,
    intent_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    received_at timestamptz,
    settled_at  timestamptz,
    error       text,
    UNIQUE (deployment, attempt),
    CHECK ((config_id IS NULL) = (received_at IS NULL)),
    CHECK (config_id IS NOT NULL OR state NOT IN ('received', 'claimed', 'expired')),
    CHECK ((settled_at IS NULL) = (state IN ('asked', 'received')))
);
-- One at a time; and once a config was claimed, that deployment has had its own.
CREATE UNIQUE INDEX launch_attempts_one_live ON launch_attempts (deployment) WHERE state IN ('asked', 'received', 'claimed');
CREATE INDEX launch_attempts_open ON launch_attempts (intent_at) WHERE settled_at IS NULL;

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON launch_attempts FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_kept();
