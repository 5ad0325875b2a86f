-- Consumer groups: what each receives, how far it has taken events from the log, and those of them
-- that are not settled yet. The row of a group is the lock under which its deliveries change.

CREATE TABLE eventstore.consumer_groups (
    consumer_group  text COLLATE "C" PRIMARY KEY CHECK (consumer_group ~ '^[a-z][a-z0-9_]{0,40}$'),
    query           jsonb            NOT NULL,
    ordering        text             NOT NULL CHECK (ordering IN ('stream', 'none')),
    buffer          integer          NOT NULL CHECK (buffer BETWEEN 1 AND 100000),
    lease_seconds   double precision NOT NULL CHECK (lease_seconds BETWEEN 0.001 AND 86400),
    retries         integer          NOT NULL CHECK (retries BETWEEN 0 AND 1000),
    backoff_seconds double precision NOT NULL CHECK (backoff_seconds BETWEEN 0 AND 3600),
    after           text[]           NOT NULL,
    checkpoint      bigint           NOT NULL CHECK (checkpoint >= 0),
    epoch           integer          NOT NULL,
    created_at      timestamptz      NOT NULL DEFAULT now()
);

-- Workers that run a group as their reactor: while one of them is heard of, nobody else removes or
-- changes the group.
CREATE TABLE eventstore.consumer_workers (
    consumer_group text COLLATE "C" NOT NULL,
    member         text COLLATE "C" NOT NULL,
    seen_until     timestamptz      NOT NULL,
    PRIMARY KEY (consumer_group, member)
);

-- Only what is taken from the log and not settled. No foreign key: it would look the group up for
-- each event, and every change is made under the lock of the group's row anyway.
-- A stream is blocked by its rows that `holds`, and by those that are held: only the first of them
-- is `first`. Under ordering none nothing holds, unless a stream is parked.
CREATE TABLE eventstore.deliveries (
    consumer_group text COLLATE "C" NOT NULL,
    position       bigint           NOT NULL,
    stream_name    text COLLATE "C" NOT NULL,
    state          text             NOT NULL CHECK (state IN ('waiting', 'returned', 'leased', 'parked', 'held')),
    first          boolean          NOT NULL,
    holds          boolean          NOT NULL,
    -- No number comes again, also where a group is deleted and made anew.
    lease          bigint           NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    attempt        integer          NOT NULL DEFAULT 0,
    available_at   timestamptz      NOT NULL DEFAULT 'epoch',
    member         text,
    reason         text,
    parked_at      timestamptz,
    PRIMARY KEY (consumer_group, position)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000);
CREATE INDEX deliveries_free_idx
    ON eventstore.deliveries (consumer_group, first, position) WHERE state IN ('waiting', 'returned');
CREATE INDEX deliveries_leased_idx
    ON eventstore.deliveries (consumer_group, available_at) WHERE state = 'leased';
CREATE INDEX deliveries_held_idx
    ON eventstore.deliveries (consumer_group, position) WHERE state = 'held' AND first;
CREATE INDEX deliveries_parked_idx
    ON eventstore.deliveries (consumer_group, position) WHERE state = 'parked';
CREATE INDEX deliveries_stream_idx
    ON eventstore.deliveries (consumer_group, stream_name, position) WHERE holds OR state = 'held';
