-- For psql: makes a consumer group, or changes one, over consumer_create_v1. Gives whether it was made.
-- It is given the events of these types, in streams of these categories or in these streams, with all of
-- these tags; without any of these, all events. `start_after` counts only when it is made; NULL: those
-- that come from now on. What else is NULL is the default, or of a group that is there stays as it is.
CREATE FUNCTION eventstore.create_consumer(
    consumer_group  text,
    types           text[]           DEFAULT NULL,
    categories      text[]           DEFAULT NULL,
    streams         text[]           DEFAULT NULL,
    tags            text[]           DEFAULT NULL,
    after           text[]           DEFAULT NULL,
    ordering        text             DEFAULT NULL,
    buffer          integer          DEFAULT NULL,
    lease_seconds   double precision DEFAULT NULL,
    retries         integer          DEFAULT NULL,
    backoff_seconds double precision DEFAULT NULL,
    start_after     bigint           DEFAULT 0
) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    _of    eventstore.consumer_groups;
    _query jsonb := jsonb_strip_nulls(jsonb_build_object(
        'types', to_jsonb(nullif(create_consumer.types, '{}')),
        'categories', to_jsonb(nullif(create_consumer.categories, '{}')),
        'streams', to_jsonb(nullif(create_consumer.streams, '{}')),
        'tags', to_jsonb(nullif(create_consumer.tags, '{}'))));
BEGIN
    SELECT * INTO _of FROM eventstore.consumer_groups AS g WHERE g.consumer_group = create_consumer.consumer_group;
    RETURN eventstore.consumer_create_v1(
        create_consumer.consumer_group,
        CASE WHEN num_nonnulls(create_consumer.types, create_consumer.categories, create_consumer.streams,
                               create_consumer.tags) = 0 AND _of.query IS NOT NULL THEN _of.query
             ELSE jsonb_build_object('any_of', jsonb_build_array(_query)) END,
        create_consumer.start_after,
        coalesce(create_consumer.ordering, _of.ordering, 'stream'),
        coalesce(create_consumer.buffer, _of.buffer, 200),
        coalesce(create_consumer.lease_seconds, _of.lease_seconds, 30),
        coalesce(create_consumer.retries, _of.retries, 5),
        coalesce(create_consumer.backoff_seconds, _of.backoff_seconds, 1),
        coalesce(create_consumer.after, _of.after, '{}'));
END $$;
