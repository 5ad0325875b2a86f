-- The friendly form for psql: one event, over append_v1. A refusal is an error with our SQLSTATE.
-- It wakes followers when its transaction commits, by the channel of the schema's name; the payload
-- is the new head. A full notification queue would make that commit fail, too late to be caught
-- here, so it does not notify while half of the queue is in use: followers poll, and are late only.
-- append_v1 notifies nobody.
CREATE OR REPLACE FUNCTION eventstore.append(
    stream_name       text,
    event_type        text,
    data              jsonb  DEFAULT '{}',
    metadata          jsonb  DEFAULT '{}',
    expected_revision bigint DEFAULT NULL,
    event_id          uuid   DEFAULT NULL,
    tags              text[] DEFAULT '{}'
) RETURNS TABLE ("position" bigint, revision bigint, replayed boolean)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    _result  record;
    _facts   text;
    _tags    text[] := ARRAY(SELECT DISTINCT t.tag COLLATE "C" FROM unnest(append.tags) AS t(tag) ORDER BY 1);
BEGIN
    IF num_nulls(append.stream_name, append.event_type, append.data, append.metadata, append.tags) > 0 THEN
        RAISE EXCEPTION 'stream_name, event_type, data, metadata and tags must not be NULL (null of JSON is ''null''::jsonb)'
            USING ERRCODE = 'ST004',
                  DETAIL = '{"problem": "stream_name, event_type, data, metadata and tags must not be NULL"}';
    END IF;
    SELECT * INTO STRICT _result
      FROM eventstore.append_v1(
            ARRAY[1], ARRAY[append.stream_name], ARRAY[coalesce(append.expected_revision, -2)], ARRAY[1],
            ARRAY[coalesce(append.event_id, gen_random_uuid())], ARRAY[append.event_type],
            ARRAY[append.data], ARRAY[append.metadata], ARRAY[_tags::text],
            append.event_id IS NOT NULL) AS r;
    _facts := _result.facts::text;
    IF _result.outcome = 'appended' AND pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify('eventstore', _result.position::text);
    END IF;
    CASE _result.outcome
    WHEN 'appended', 'replayed' THEN
        RETURN QUERY SELECT _result.position, _result.revision, _result.outcome = 'replayed';
    WHEN 'revision_conflict' THEN
        RAISE EXCEPTION 'stream "%" is not at the expected revision %', append.stream_name,
                CASE append.expected_revision WHEN -1 THEN '-1 (no stream)' WHEN -3 THEN '-3 (stream exists)'
                                              ELSE append.expected_revision::text END
            USING ERRCODE = 'ST001', DETAIL = _facts,
                  HINT = 'read the stream again and decide on its new state; leave expected_revision out to append at any revision';
    ELSE
        RAISE EXCEPTION 'event id % is used already, by an event in another stream or with another type, data or tags',
                append.event_id
            USING ERRCODE = 'ST013', DETAIL = _facts;
    END CASE;
END $$;
