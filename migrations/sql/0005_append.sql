-- What the table's own checks said is said by append_v1, whose callers are told in one sentence; nobody
-- but the owner can insert otherwise. They cost a quarter of a lone append.
ALTER TABLE eventstore.events
    DROP CONSTRAINT events_position_check,
    DROP CONSTRAINT events_revision_check,
    DROP CONSTRAINT events_stream_name_check,
    DROP CONSTRAINT events_event_type_check,
    DROP CONSTRAINT events_metadata_check;
ALTER TABLE eventstore.event_tags DROP CONSTRAINT event_tags_tag_check;
DROP FUNCTION eventstore.append_refusals_v1;
REVOKE ALL ON FUNCTION
    eventstore.name_fault_v1, eventstore.json_fault_v1, eventstore.json_size_v1, eventstore.append_fault_v1,
    eventstore.append_refusals_v2
    FROM PUBLIC;

COMMENT ON FUNCTION eventstore.name_fault_v1 IS 'Part of append_v1: what is wrong with a stream name, an event type or a tag';
COMMENT ON FUNCTION eventstore.json_fault_v1 IS 'Part of append_v1: what is wrong with data or metadata';
COMMENT ON FUNCTION eventstore.json_size_v1 IS 'Part of append_v1: bytes of data or metadata as compact JSON';
COMMENT ON FUNCTION eventstore.append_fault_v1 IS 'Part of append_v1: what is wrong with a batch';
COMMENT ON FUNCTION eventstore.append_refusals_v2 IS 'Part of append_v1: which appends of a batch are not stored, and why';
