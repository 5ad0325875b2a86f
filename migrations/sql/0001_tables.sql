-- One store is one schema. Every name that begins with "eventstore" is rewritten to the store's
-- schema by the loader in env.py, roles included, so that two stores in one cluster share nothing.

CREATE TABLE eventstore.log (
    singleton  boolean     PRIMARY KEY DEFAULT true CHECK (singleton),
    store_id   uuid        NOT NULL DEFAULT gen_random_uuid(),
    epoch      integer     NOT NULL DEFAULT 1 CHECK (epoch > 0),
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO eventstore.log DEFAULT VALUES;

CREATE TABLE eventstore.events (
    position    bigint           PRIMARY KEY CHECK (position > 0),
    revision    bigint           NOT NULL CHECK (revision >= 0),
    recorded_at timestamptz      NOT NULL,
    event_id    uuid             NOT NULL CONSTRAINT events_event_id_key UNIQUE,
    stream_name text COLLATE "C" NOT NULL
        CONSTRAINT events_stream_name_check CHECK (
            octet_length(stream_name) BETWEEN 1 AND 255
            AND stream_name !~ '[\u0001-\u001f\u007f-\u009f]'
            AND stream_name IS NFC NORMALIZED),
    event_type  text COLLATE "C" NOT NULL
        CONSTRAINT events_event_type_check CHECK (
            octet_length(event_type) BETWEEN 1 AND 255
            AND event_type !~ '[\u0001-\u001f\u007f-\u009f]'),
    data        jsonb            NOT NULL,
    metadata    jsonb            NOT NULL
        CONSTRAINT events_metadata_check CHECK (jsonb_typeof(metadata) = 'object'),
    tags        text[]           NOT NULL,
    CONSTRAINT events_stream_name_revision_key UNIQUE (stream_name, revision)
);
CREATE INDEX events_category_position_idx
    ON eventstore.events (split_part(stream_name, '-', 1), position);
CREATE INDEX events_event_type_position_idx
    ON eventstore.events (event_type, position);

CREATE TABLE eventstore.event_tags (
    tag      text COLLATE "C" NOT NULL CHECK (octet_length(tag) BETWEEN 1 AND 255),
    position bigint           NOT NULL,
    PRIMARY KEY (tag, position)
);

-- The second wall: not even the owner changes history by a slip of the hand.
CREATE FUNCTION eventstore.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only: % on %.% is refused', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'ST005', HINT = 'events are never changed or removed; append a correcting event';
END $$;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON eventstore.events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstore.refuse_change();
CREATE TRIGGER event_tags_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON eventstore.event_tags
    FOR EACH STATEMENT EXECUTE FUNCTION eventstore.refuse_change();
ALTER TABLE eventstore.events ENABLE ALWAYS TRIGGER events_append_only;
ALTER TABLE eventstore.event_tags ENABLE ALWAYS TRIGGER event_tags_append_only;
