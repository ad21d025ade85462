-- What was earned, what it cost, and what stood idle. Intervals are half open; `to_at` null means until now.

CREATE TABLE compute_intervals (
    instance_id     text PRIMARY KEY,
    deployment      uuid REFERENCES deployments (id),
    config_id       text,
    validator       text NOT NULL,
    chute_id        text NOT NULL,
    version         text NOT NULL,
    server          text NOT NULL,
    gpu_count       integer NOT NULL CHECK (gpu_count > 0),
    -- The validator's own times, not ours.
    created_at      timestamptz NOT NULL,
    verified_at     timestamptz,
    activated_at    timestamptz,
    deleted_at      timestamptz,
    deletion_reason text,
    -- Whether a private chute's owner paid for it: other rules decide then whether it counts.
    private         boolean NOT NULL DEFAULT false,
    recorded_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX compute_intervals_open ON compute_intervals (server) WHERE deleted_at IS NULL;
CREATE INDEX compute_intervals_by_deployment ON compute_intervals (deployment);

-- A time once told is never told differently.
CREATE FUNCTION told_times_stay() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    field record;
BEGIN
    FOR field IN SELECT key, value FROM jsonb_each(jsonb_strip_nulls(to_jsonb(OLD))) LOOP
        IF to_jsonb(NEW) -> field.key IS DISTINCT FROM field.value THEN
            RAISE EXCEPTION 'the ledger is append-only: % of this % row is already written', field.key, TG_TABLE_NAME;
        END IF;
    END LOOP;
    RETURN NEW;
END $$;
CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON compute_intervals FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_kept();
CREATE TRIGGER told BEFORE UPDATE ON compute_intervals FOR EACH ROW EXECUTE FUNCTION told_times_stay();

-- The rate of one instance, in millionths; the validator's figure already counts the instance's GPUs.
CREATE TABLE multiplier_segments (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instance_id      text NOT NULL,
    multiplier_micro bigint NOT NULL CHECK (multiplier_micro >= 0),
    source           text NOT NULL,
    from_at          timestamptz NOT NULL,
    to_at            timestamptz CHECK (to_at >= from_at)
);
CREATE UNIQUE INDEX multiplier_segments_one_open ON multiplier_segments (instance_id) WHERE to_at IS NULL;
CREATE INDEX multiplier_segments_by_instance ON multiplier_segments (instance_id, from_at);
CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON multiplier_segments FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_kept();
CREATE TRIGGER closing BEFORE UPDATE ON multiplier_segments FOR EACH ROW EXECUTE FUNCTION closing_is_the_only_update('to_at');

-- What one GPU of a server costs per hour, in millionths of a US dollar.
CREATE TABLE cost_intervals (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    server             text NOT NULL,
    gpu_hour_micro_usd bigint NOT NULL CHECK (gpu_hour_micro_usd >= 0),
    gpu_count          integer NOT NULL CHECK (gpu_count >= 0),
    from_at            timestamptz NOT NULL,
    to_at              timestamptz CHECK (to_at >= from_at)
);
CREATE UNIQUE INDEX cost_intervals_one_open ON cost_intervals (server) WHERE to_at IS NULL;
CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON cost_intervals FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_kept();
CREATE TRIGGER closing BEFORE UPDATE ON cost_intervals FOR EACH ROW EXECUTE FUNCTION closing_is_the_only_update('to_at');

CREATE TABLE idle_intervals (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gpu         text NOT NULL,
    server      text NOT NULL,
    reason_code text NOT NULL,
    from_at     timestamptz NOT NULL,
    to_at       timestamptz CHECK (to_at >= from_at)
);
CREATE UNIQUE INDEX idle_intervals_one_open ON idle_intervals (gpu) WHERE to_at IS NULL;
CREATE INDEX idle_intervals_by_server ON idle_intervals (server, from_at);
CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON idle_intervals FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_kept();
CREATE TRIGGER closing BEFORE UPDATE ON idle_intervals FOR EACH ROW EXECUTE FUNCTION closing_is_the_only_update('to_at');

-- Seconds that [from_at, to_at) and [window_from, window_to) have in common; an open interval lasts as long as the window.
CREATE FUNCTION span_seconds(from_at timestamptz, to_at timestamptz, window_from timestamptz, window_to timestamptz)
RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT greatest(0, extract(epoch FROM least(coalesce(to_at, window_to), window_to) - greatest(from_at, window_from)))::float8
$$;
