COMMENT ON SCHEMA eventstore IS 'An event store: one append-only log. Start with: SELECT * FROM eventstore.events ORDER BY position DESC LIMIT 10';

COMMENT ON TABLE eventstore.events IS 'The log: every event, never changed, never removed. Append with eventstore.append(...)';
COMMENT ON COLUMN eventstore.events.position IS 'Number in the log: 1-based, dense, in commit order';
COMMENT ON COLUMN eventstore.events.revision IS 'Number in the stream: 0-based, dense, in position order';
COMMENT ON COLUMN eventstore.events.recorded_at IS 'When it was appended, by the server''s clock';
COMMENT ON COLUMN eventstore.events.event_id IS 'Unique; an append with the same ids is a retry and stores nothing';
COMMENT ON COLUMN eventstore.events.stream_name IS 'One entity''s events, e.g. order-42; the text before the first - is the category';
COMMENT ON COLUMN eventstore.events.event_type IS 'What happened, e.g. OrderPlaced';
COMMENT ON COLUMN eventstore.events.data IS 'The event''s body, any JSON value';
COMMENT ON COLUMN eventstore.events.metadata IS 'The event''s headers, a JSON object';
COMMENT ON COLUMN eventstore.events.tags IS 'What the event is about, e.g. customer:7; sorted, without repeats; indexed in event_tags';

COMMENT ON TABLE eventstore.event_tags IS 'Index from tag to position, written with tagged events only';
COMMENT ON COLUMN eventstore.event_tags.tag IS 'One of the event''s tags';
COMMENT ON COLUMN eventstore.event_tags.position IS 'Position of the event';

COMMENT ON TABLE eventstore.log IS 'One row: the log''s identity. Its row lock is the append lock';
COMMENT ON COLUMN eventstore.log.singleton IS 'Always true: there is one row';
COMMENT ON COLUMN eventstore.log.store_id IS 'Which log this is, also after dump and restore';
COMMENT ON COLUMN eventstore.log.epoch IS 'Changes when history may have been rewound (restore from an older backup)';
COMMENT ON COLUMN eventstore.log.created_at IS 'When the store was made';

COMMENT ON TABLE eventstore.alembic_version IS 'One row: the revision of this schema. Upgrade with: eventstore migrate';
COMMENT ON COLUMN eventstore.alembic_version.version_num IS 'The newest migration that has run';

COMMENT ON VIEW eventstore.streams IS 'Every stream with its head; one index look-up a stream';
COMMENT ON VIEW eventstore.categories IS 'Every category with its number of events (counts: reads the index)';
COMMENT ON VIEW eventstore.event_types IS 'Every event type with its number of events (counts: reads the index)';
COMMENT ON VIEW eventstore.health IS 'The head, and who holds the append lock for how long (NULL: nobody)';
COMMENT ON COLUMN eventstore.streams.stream_name IS 'e.g. order-42';
COMMENT ON COLUMN eventstore.streams.category IS 'The text before the first -';
COMMENT ON COLUMN eventstore.streams.head_revision IS 'Revision of its last event';
COMMENT ON COLUMN eventstore.streams.first_position IS 'Position of its first event';
COMMENT ON COLUMN eventstore.streams.last_position IS 'Position of its last event';
COMMENT ON COLUMN eventstore.streams.first_recorded_at IS 'When it began';
COMMENT ON COLUMN eventstore.streams.last_recorded_at IS 'When its last event was appended';
COMMENT ON COLUMN eventstore.categories.category IS 'The text before the first - of a stream name';
COMMENT ON COLUMN eventstore.categories.events IS 'How many events';
COMMENT ON COLUMN eventstore.categories.last_position IS 'Position of the last one';
COMMENT ON COLUMN eventstore.event_types.event_type IS 'What happened';
COMMENT ON COLUMN eventstore.event_types.events IS 'How many events';
COMMENT ON COLUMN eventstore.event_types.last_position IS 'Position of the last one';
COMMENT ON COLUMN eventstore.health.store_id IS 'Which log this is';
COMMENT ON COLUMN eventstore.health.epoch IS 'Changes when history may have been rewound';
COMMENT ON COLUMN eventstore.health.head IS 'Last position of the log, 0 when empty';
COMMENT ON COLUMN eventstore.health.head_recorded_at IS 'When the last event was appended';
COMMENT ON COLUMN eventstore.health.append_lock_pid IS 'Backend that holds the append lock; every other append waits for it';
COMMENT ON COLUMN eventstore.health.append_lock_user IS 'Its role';
COMMENT ON COLUMN eventstore.health.append_lock_application IS 'Its application_name';
COMMENT ON COLUMN eventstore.health.append_lock_state IS 'What it does; "idle in transaction" means that a caller forgot to commit';
COMMENT ON COLUMN eventstore.health.append_lock_held IS 'How long its transaction has run';
COMMENT ON COLUMN eventstore.health.append_lock_waiters IS 'How many backends wait for it';

COMMENT ON FUNCTION eventstore.append IS 'Append one event: SELECT eventstore.append(''order-1'', ''OrderPlaced'', ''{"total": 12}''). expected_revision: that revision, -1 no stream, -3 stream exists, NULL any. Give event_id to make a retry safe. Notifies followers on the channel eventstore (payload: the position), unless half of the notification queue is in use (SELECT pg_notification_queue_usage()): they look at the log by themselves, too';
COMMENT ON FUNCTION eventstore.append_v1 IS 'Append a batch of requests, each stored as a whole or not at all: what the service and the libraries call. Arrays in, one row for each append out';
COMMENT ON FUNCTION eventstore.append_refusals_v1 IS 'Part of append_v1: which appends of a batch are retries or refused';
COMMENT ON FUNCTION eventstore.read_stream IS 'Events of a stream after a revision, oldest first: SELECT * FROM eventstore.read_stream(''order-1'')';
COMMENT ON FUNCTION eventstore.read_all IS 'Events of the log after a position, oldest first: SELECT * FROM eventstore.read_all(after => 1200)';
COMMENT ON FUNCTION eventstore.matching_v1 IS 'Positions between two positions that match {"any_of": [{"streams": [], "categories": [], "types": [], "tags": []}]}, oldest first';
COMMENT ON FUNCTION eventstore.matching_backward_v1 IS 'The same, newest first';
COMMENT ON FUNCTION eventstore.query_paths_v1 IS 'Part of matching_v1: the index path of each value of a query';
COMMENT ON FUNCTION eventstore.query_fault_v1 IS 'Part of append_v1: what is wrong with a query, NULL if nothing is';
COMMENT ON FUNCTION eventstore.begin_epoch IS 'For the owner, after a restore from an older backup: positions that clients remember from before are refused from now on';
COMMENT ON FUNCTION eventstore.refuse_change IS 'Trigger: refuses UPDATE, DELETE and TRUNCATE of the log';
