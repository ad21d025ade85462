-- Deployments, their phases, and who holds which GPU.

CREATE TABLE deployments (
    id             uuid PRIMARY KEY,
    chute_id       text NOT NULL,
    version        text NOT NULL,
    server         text NOT NULL,
    validator      text NOT NULL,
    gpus           text[] NOT NULL CHECK (cardinality(gpus) > 0),
    node_namespace text NOT NULL,
    job_id         text,
    decision       uuid NOT NULL REFERENCES decisions (id),
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at       timestamptz,
    end_reason     text,
    CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);
CREATE INDEX deployments_open ON deployments (server) WHERE ended_at IS NULL;
CREATE INDEX deployments_by_chute ON deployments (chute_id, created_at);
CREATE INDEX deployments_by_job ON deployments (job_id) WHERE job_id IS NOT NULL;

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON deployments FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_kept();
CREATE TRIGGER closing BEFORE UPDATE ON deployments FOR EACH ROW
    EXECUTE FUNCTION closing_is_the_only_update('ended_at', 'end_reason');

CREATE TABLE deployment_phases (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deployment uuid NOT NULL REFERENCES deployments (id),
    phase      text NOT NULL,
    reason     text NOT NULL,
    at         timestamptz NOT NULL
);
CREATE INDEX deployment_phases_by_deployment ON deployment_phases (deployment, id);

CREATE TABLE gpu_claims (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gpu        text NOT NULL,
    deployment uuid NOT NULL REFERENCES deployments (id),
    server     text NOT NULL,
    decision   uuid NOT NULL REFERENCES decisions (id),
    granted_at timestamptz NOT NULL,
    freed_at   timestamptz,
    -- What showed that the GPU was free again.
    freed_by   jsonb,
    CHECK (freed_at >= granted_at),
    CHECK ((freed_at IS NULL) = (freed_by IS NULL)),
    -- One holder at a time, whatever the code above believes.
    CONSTRAINT gpu_claims_one_holder EXCLUDE USING gist (gpu WITH =, tstzrange(granted_at, freed_at) WITH &&)
);
CREATE INDEX gpu_claims_open ON gpu_claims (gpu) WHERE freed_at IS NULL;
CREATE INDEX gpu_claims_by_deployment ON gpu_claims (deployment);

CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON gpu_claims FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_kept();
CREATE TRIGGER closing BEFORE UPDATE ON gpu_claims FOR EACH ROW
    EXECUTE FUNCTION closing_is_the_only_update('freed_at', 'freed_by');

-- Each deployment with the phase it is in.
CREATE VIEW deployments_now AS
SELECT d.*, p.phase, p.reason AS phase_reason, p.at AS phase_at
FROM deployments d
CROSS JOIN LATERAL (
    SELECT phase, reason, at FROM deployment_phases WHERE deployment = d.id ORDER BY id DESC LIMIT 1
) p;
