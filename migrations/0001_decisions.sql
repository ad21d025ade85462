-- Decisions, and the epoch of the leader that may write them.

-- Equality on text inside an exclusion constraint (gpu_claims) needs it; it is a trusted extension.
CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TABLE leader_epoch (
    singleton   boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    epoch       bigint NOT NULL CHECK (epoch >= 0),
    holder      text NOT NULL,
    acquired_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO leader_epoch (epoch, holder) VALUES (0, '');

CREATE TABLE decisions (
    id          uuid PRIMARY KEY,
    epoch       bigint NOT NULL,
    kind        text NOT NULL,
    action_key  text NOT NULL UNIQUE,
    subject     jsonb NOT NULL,
    reason_code text NOT NULL,
    reason      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    outcome     text,
    CHECK ((finished_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX decisions_open ON decisions (created_at) WHERE finished_at IS NULL;
CREATE INDEX decisions_recent ON decisions (created_at DESC);

-- What has been written about money and decisions stays written.
CREATE FUNCTION ledger_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: % rows are never deleted', TG_TABLE_NAME;
END $$;

-- Arguments: the columns that closing a row may set; the first one tells whether the row is closed.
CREATE FUNCTION closing_is_the_only_update() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before jsonb := to_jsonb(OLD);
    after  jsonb := to_jsonb(NEW);
BEGIN
    IF before = after THEN
        RETURN NEW;
    END IF;
    IF before ->> TG_ARGV[0] IS NOT NULL THEN
        RAISE EXCEPTION 'the ledger is append-only: this % row is closed', TG_TABLE_NAME;
    END IF;
    FOR i IN 0 .. TG_NARGS - 1 LOOP
        before := before - TG_ARGV[i];
        after := after - TG_ARGV[i];
    END LOOP;
    IF before <> after THEN
        RAISE EXCEPTION 'the ledger is append-only: only closing may change a % row', TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON decisions FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_kept();
CREATE TRIGGER closing BEFORE UPDATE ON decisions FOR EACH ROW
    EXECUTE FUNCTION closing_is_the_only_update('finished_at', 'outcome');
