-- Servers, their GPUs, and the chutes the validators list, with what they used to be.

CREATE TABLE servers (
    name       text PRIMARY KEY,
    -- The node's UID in its Kubernetes; null until a node was seen.
    server_id  text,
    validator  text NOT NULL,
    gpu_ref    text NOT NULL,
    gpu_count  integer NOT NULL CHECK (gpu_count >= 0),
    address    text,
    first_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
    removed_at timestamptz
);

CREATE TABLE server_history (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    server text NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The row as it was from then on.
    facts  jsonb NOT NULL
);
CREATE INDEX server_history_by_server ON server_history (server, at);

CREATE TABLE gpus (
    uuid       text PRIMARY KEY,
    server     text NOT NULL,
    model      text NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Since when it is in this server, under this model.
    placed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    removed_at timestamptz
);
CREATE INDEX gpus_by_server ON gpus (server);

CREATE TABLE gpu_history (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gpu    text NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    facts  jsonb NOT NULL
);
CREATE INDEX gpu_history_by_gpu ON gpu_history (gpu, at);

CREATE TABLE chutes (
    chute_id   text NOT NULL,
    version    text NOT NULL,
    validator  text NOT NULL,
    name       text NOT NULL,
    -- What the validator listed, as it listed it.
    listed     jsonb NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
    removed_at timestamptz,
    PRIMARY KEY (chute_id, version)
);

CREATE TABLE chute_history (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chute_id text NOT NULL,
    version  text NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    facts    jsonb NOT NULL
);
CREATE INDEX chute_history_by_chute ON chute_history (chute_id, at);

-- A statement that changes nothing writes no history.
CREATE FUNCTION keep_server_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR OLD IS DISTINCT FROM NEW THEN
        INSERT INTO server_history (server, facts) VALUES (NEW.name, to_jsonb(NEW));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER history AFTER INSERT OR UPDATE ON servers FOR EACH ROW EXECUTE FUNCTION keep_server_history();

CREATE FUNCTION keep_gpu_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR OLD IS DISTINCT FROM NEW THEN
        INSERT INTO gpu_history (gpu, facts) VALUES (NEW.uuid, to_jsonb(NEW));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER history AFTER INSERT OR UPDATE ON gpus FOR EACH ROW EXECUTE FUNCTION keep_gpu_history();

CREATE FUNCTION keep_chute_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR OLD IS DISTINCT FROM NEW THEN
        INSERT INTO chute_history (chute_id, version, facts) VALUES (NEW.chute_id, NEW.version, to_jsonb(NEW));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER history AFTER INSERT OR UPDATE ON chutes FOR EACH ROW EXECUTE FUNCTION keep_chute_history();
