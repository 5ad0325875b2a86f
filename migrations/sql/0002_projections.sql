-- Projections: what is defined, how far each partition is, who may write it, and what failed.

CREATE TABLE eventstore.projection_versions (
    projection  text COLLATE "C" NOT NULL CHECK (projection ~ '^[a-z][a-z0-9_]{0,40}$'),
    version     integer          NOT NULL CHECK (version > 0),
    query       jsonb            NOT NULL,
    tables      text[]           NOT NULL CHECK (cardinality(tables) > 0),
    fingerprint text             NOT NULL,
    partitions  integer          NOT NULL CHECK (partitions BETWEEN 1 AND 64),
    serving     boolean          NOT NULL,
    state       text             NOT NULL DEFAULT 'running'
        CHECK (state IN ('running', 'paused', 'stopped')),
    reason      text,
    inline      boolean          NOT NULL DEFAULT false,
    created_at  timestamptz      NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, version)
);
-- The version whose tables have the plain names.
CREATE UNIQUE INDEX projection_versions_serving_idx
    ON eventstore.projection_versions (projection) WHERE serving;

CREATE TABLE eventstore.projection_partitions (
    projection   text COLLATE "C" NOT NULL,
    version      integer          NOT NULL,
    partition    integer          NOT NULL CHECK (partition >= 0),
    checkpoint   bigint           NOT NULL DEFAULT 0 CHECK (checkpoint >= 0),
    epoch        integer          NOT NULL,
    -- No number comes again, also where a version is dropped and begun anew.
    lease        bigint           NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    owner        text,
    crashes      integer          NOT NULL DEFAULT 0,
    tried        bigint,
    tries        integer          NOT NULL DEFAULT 0,
    moved_at     timestamptz,
    PRIMARY KEY (projection, version, partition),
    FOREIGN KEY (projection, version) REFERENCES eventstore.projection_versions ON DELETE CASCADE
);

-- Who would run a projection: partitions are shared out evenly among those who were seen lately.
CREATE TABLE eventstore.projection_workers (
    projection text COLLATE "C" NOT NULL,
    version    integer          NOT NULL,
    owner      text             NOT NULL,
    seen_until timestamptz      NOT NULL,
    PRIMARY KEY (projection, version, owner),
    FOREIGN KEY (projection, version) REFERENCES eventstore.projection_versions ON DELETE CASCADE
);

-- Events that could not be applied. parked: the stream waits here, from this event on. retrying:
-- somebody asked for another try. stopped: the projection waits here. skipped: left out for good.
CREATE TABLE eventstore.projection_failures (
    projection  text COLLATE "C" NOT NULL,
    version     integer          NOT NULL,
    stream_name text COLLATE "C" NOT NULL,
    revision    bigint           NOT NULL,
    position    bigint           NOT NULL,
    state       text             NOT NULL CHECK (state IN ('parked', 'retrying', 'stopped', 'skipped')),
    error       text             NOT NULL,
    attempts    integer          NOT NULL DEFAULT 1,
    tries       integer          NOT NULL DEFAULT 0,
    failed_at   timestamptz      NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, version, position),
    FOREIGN KEY (projection, version) REFERENCES eventstore.projection_versions ON DELETE CASCADE
);
CREATE UNIQUE INDEX projection_failures_stream_idx
    ON eventstore.projection_failures (projection, version, stream_name) WHERE state <> 'skipped';
