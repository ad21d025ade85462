-- How far each saga over several stores has come, so that it can go on, or back, after a crash.

CREATE TABLE saga_steps (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    saga      text NOT NULL,
    subject   text NOT NULL,
    step      text NOT NULL,
    state     text NOT NULL CHECK (state IN ('started', 'done', 'undone')),
    epoch     bigint NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    detail    jsonb NOT NULL DEFAULT '{}',
    -- Set when the whole saga ended; its rows stay as history and a new run starts from nothing.
    closed_at timestamptz
);
CREATE UNIQUE INDEX saga_steps_one_run ON saga_steps (saga, subject, step) WHERE closed_at IS NULL;
