-- Deliveries are not done. `_action`: retry (again after `_delay` seconds, NULL: the group's backoff,
-- doubled with each attempt up to an hour; tried too often, parked), park (as the group's ordering has
-- it: the stream, or the event alone), park_event, park_stream, skip (left out for good), release (given
-- back untried: not counted). Gives how many, how many of these are parked, and those that are not this
-- member's any more.
CREATE FUNCTION eventstore.consumer_nack_v1(
    _group     text,
    _positions bigint[],
    _leases    bigint[],
    _action    text             DEFAULT 'retry',
    _delay     double precision DEFAULT NULL,
    _reason    text             DEFAULT NULL
) RETURNS TABLE (settled integer, parked integer, lost text[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    _of     eventstore.consumer_groups := eventstore.consumer_lock_v1(_group);
    _now    timestamptz := clock_timestamp();
    _mine   bigint[];
    _ids    text[];
    _tired  bigint[];  -- of them, those that are parked
BEGIN
    IF _action NOT IN ('retry', 'park', 'park_event', 'park_stream', 'skip', 'release') OR _delay NOT BETWEEN 0 AND 86400 THEN
        RAISE EXCEPTION 'nack: unknown action or delay: %, %; an action is retry, park, park_event, park_stream, skip or release; a delay is 0 to 86400 seconds',
                _action, _delay USING ERRCODE = 'ST004',
            DETAIL = '{"problem": "an action is retry, park, park_event, park_stream, skip or release; a delay is 0 to 86400 seconds"}';
    END IF;
    IF _action = 'skip' THEN
        RETURN QUERY SELECT a.settled, 0, a.lost FROM eventstore.consumer_ack_v1(_group, _positions, _leases) AS a;
        RETURN;
    END IF;
    SELECT array_agg(d.position), array_agg(d.position || '-' || d.lease),
           array_agg(d.position) FILTER (WHERE _action LIKE 'park%' OR _action = 'retry' AND d.attempt > _of.retries)
      INTO _mine, _ids, _tired
      FROM (SELECT DISTINCT * FROM unnest(_positions, _leases)) AS a(position, lease)
     CROSS JOIN LATERAL (
            SELECT d.position, d.lease, d.attempt, d.state FROM eventstore.deliveries AS d
             WHERE d.consumer_group = _group AND d.position = a.position LIMIT 1) AS d
     WHERE d.lease = a.lease AND d.state = 'leased';
    IF _tired IS NOT NULL THEN
        PERFORM eventstore.consumer_park_v1(
            _group, _tired,
            CASE _action WHEN 'park_stream' THEN true WHEN 'park_event' THEN false ELSE _of.ordering = 'stream' END,
            coalesce(_reason, 'no reason is given'));
    END IF;
    UPDATE eventstore.deliveries AS d
       SET state = 'returned', lease = d.lease + 1, reason = coalesce(_reason, d.reason),
           attempt = d.attempt - (_action = 'release')::integer,
           available_at = CASE WHEN _action = 'release' THEN _now
                          ELSE _now + make_interval(secs => coalesce(
                               _delay, least(_of.backoff_seconds * 2 ^ least(d.attempt - 1, 30), 3600))) END
     WHERE d.consumer_group = _group AND d.position = ANY (_mine) AND d.state = 'leased';
    RETURN QUERY
    SELECT coalesce(cardinality(_mine), 0), coalesce(cardinality(_tired), 0),
           ARRAY(SELECT a.position || '-' || a.lease FROM unnest(_positions, _leases) AS a(position, lease)
                 EXCEPT SELECT unnest(_ids));
END $$;
