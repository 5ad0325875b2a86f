-- What a decider has made of a stream up to an event, so that a long stream is not read whole. Never
-- the truth: one that is missing, or does not fit the log, costs some reading.
CREATE TABLE eventstore.snapshots (
    decider     text COLLATE "C" NOT NULL,
    stream_name text COLLATE "C" NOT NULL,
    version     integer          NOT NULL CHECK (version > 0),
    epoch       integer          NOT NULL CHECK (epoch > 0),
    revision    bigint           NOT NULL CHECK (revision >= 0),
    event_id    uuid             NOT NULL,
    state       jsonb            NOT NULL,
    kept_at     timestamptz      NOT NULL DEFAULT now(),
    PRIMARY KEY (decider, stream_name)
);
GRANT SELECT ON eventstore.snapshots TO eventstore_writer, eventstore_reader, eventstore_worker;
GRANT INSERT, UPDATE, DELETE ON eventstore.snapshots TO eventstore_writer, eventstore_worker;

COMMENT ON TABLE eventstore.snapshots IS 'States that deciders keep of long streams; to remove one costs some reading, no more';
COMMENT ON COLUMN eventstore.snapshots.decider IS 'Whose state it is';
COMMENT ON COLUMN eventstore.snapshots.stream_name IS 'Of which stream';
COMMENT ON COLUMN eventstore.snapshots.version IS 'The decider''s snapshot_version: those of another one are not read';
COMMENT ON COLUMN eventstore.snapshots.epoch IS 'The log''s epoch; those of another one are not read';
COMMENT ON COLUMN eventstore.snapshots.revision IS 'The last event that it is made of';
COMMENT ON COLUMN eventstore.snapshots.event_id IS 'That event''s id: if the stream has another one there, the snapshot is not read';
COMMENT ON COLUMN eventstore.snapshots.state IS 'The state, as its type is written';
COMMENT ON COLUMN eventstore.snapshots.kept_at IS 'When it was written';
