-- Leases the next deliveries of a group to a member, at most `_max` of them and some 4 MB, in order of
-- position. First it takes back what members did not settle within their leases (tried too often, it is
-- parked: an event that ends its members is not delivered for ever), then it fills the buffer from the
-- log. A row for each delivery, or one without. `more`: call again at once; else `look_in` is after how
-- many seconds something may be there without any new event, NULL for never; `position_seen` is after
-- which position an event has to come to be delivered, NULL if that is not what is missing.
-- With nothing to be done it writes nothing.
CREATE FUNCTION eventstore.consumer_receive_v1(_group text, _max integer, _member text)
RETURNS TABLE (more boolean, look_in double precision, position_seen bigint,
               lease bigint, attempt integer, leased_until timestamptz,
               "position" bigint, stream_name text, revision bigint, event_id uuid, event_type text,
               data jsonb, metadata jsonb, tags text[], recorded_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    _of      eventstore.consumer_groups := eventstore.consumer_lock_v1(_group, false);
    _reach   bigint := eventstore.consumer_reach_v1(_of.after);
    _now     timestamptz := clock_timestamp();
    _room    bigint;
    _late    bigint[];
    _unheld  bigint[];
BEGIN
    SELECT _of.buffer - count(*) INTO _room FROM eventstore.deliveries AS d
     WHERE d.consumer_group = _group AND d.state IN ('waiting', 'returned');
    IF _room > 0 AND _reach > _of.checkpoint
       OR EXISTS (SELECT FROM eventstore.deliveries AS d
                   WHERE d.consumer_group = _group AND d.state IN ('waiting', 'returned')
                     AND d.first AND d.available_at <= _now)
       OR EXISTS (SELECT FROM eventstore.deliveries AS d
                   WHERE d.consumer_group = _group AND d.state = 'leased' AND d.available_at <= _now)
       OR EXISTS (SELECT FROM eventstore.consumer_unheld_v1(_group, _of.after))
    THEN
        _of := eventstore.consumer_lock_v1(_group);
        _now := clock_timestamp();  -- not before the wait for that lock
        -- After the projections' checkpoints, which pass over an event and park it in one transaction.
        _reach := eventstore.consumer_reach_v1(_of.after);

        SELECT array_agg(d.position) FILTER (WHERE d.attempt > _of.retries) INTO _late
          FROM eventstore.deliveries AS d
         WHERE d.consumer_group = _group AND d.state = 'leased' AND d.available_at <= _now;
        IF _late IS NOT NULL THEN
            PERFORM eventstore.consumer_park_v1(_group, _late, _of.ordering = 'stream');
        END IF;
        UPDATE eventstore.deliveries AS d SET state = 'returned', lease = d.lease + 1, available_at = _now
         WHERE d.consumer_group = _group AND d.state = 'leased' AND d.available_at <= _now;

        _unheld := ARRAY(SELECT eventstore.consumer_unheld_v1(_group, _of.after));
        IF _unheld <> '{}' THEN
            PERFORM eventstore.consumer_return_v1(_of, _unheld);
        END IF;

        SELECT _of.buffer - count(*) INTO _room FROM eventstore.deliveries AS d
         WHERE d.consumer_group = _group AND d.state IN ('waiting', 'returned');
        IF _room > 0 AND _reach > _of.checkpoint THEN
            _of.checkpoint := eventstore.consumer_fill_v1(_of, _reach, _room::integer);
            UPDATE eventstore.consumer_groups AS g SET checkpoint = _of.checkpoint WHERE g.consumer_group = _group;
        END IF;

        RETURN QUERY
        WITH leased AS (
            UPDATE eventstore.deliveries AS d
               SET state = 'leased', lease = d.lease + 1, attempt = d.attempt + 1, member = _member,
                   available_at = _now + make_interval(secs => _of.lease_seconds)
             WHERE d.ctid = ANY (ARRAY(
                    SELECT f.ctid
                      FROM (SELECT d.ctid, sum(e.size) OVER (ORDER BY d.position) - e.size AS before
                              FROM (SELECT d.ctid, d.position FROM eventstore.deliveries AS d
                                     WHERE d.consumer_group = _group AND d.state IN ('waiting', 'returned')
                                       AND d.first AND d.available_at <= _now
                                     ORDER BY d.position LIMIT _max) AS d
                             CROSS JOIN LATERAL (
                                    -- What is compressed may be a hundred times as large as it is stored.
                                    SELECT CASE WHEN pg_column_compression(e.data) IS NULL THEN pg_column_size(e.data)
                                                ELSE octet_length(e.data::text) END
                                         + CASE WHEN pg_column_compression(e.metadata) IS NULL THEN pg_column_size(e.metadata)
                                                ELSE octet_length(e.metadata::text) END AS size
                                      FROM eventstore.events AS e WHERE e.position = d.position LIMIT 1) AS e) AS f
                     WHERE f.before < 4000000))
            RETURNING d.position, d.lease, d.attempt, d.available_at)
        SELECT true, 0::double precision, NULL::bigint, l.lease, l.attempt, l.available_at,
               e.position, e.stream_name, e.revision, e.event_id, e.event_type, e.data, e.metadata, e.tags, e.recorded_at
          FROM leased AS l
         CROSS JOIN LATERAL (SELECT * FROM eventstore.events AS e WHERE e.position = l.position LIMIT 1) AS e
         ORDER BY l.position;
        IF FOUND THEN
            RETURN;
        END IF;
        SELECT _of.buffer - count(*) INTO _room FROM eventstore.deliveries AS d
         WHERE d.consumer_group = _group AND d.state IN ('waiting', 'returned');
    END IF;

    more := _room > 0 AND _reach > _of.checkpoint;
    position_seen := CASE WHEN _room > 0 AND _of.after = '{}' THEN _of.checkpoint END;
    -- Somebody else's ack may set something free, or a projection go on: nobody tells of these.
    SELECT least(extract(epoch FROM min(l.at) - _now)::double precision,
                 CASE WHEN _of.after <> '{}' OR bool_or(l.blocks) THEN 1 END) INTO look_in
      FROM ((SELECT d.available_at AS at, false AS blocks FROM eventstore.deliveries AS d
              WHERE d.consumer_group = _group AND d.state IN ('waiting', 'returned') AND d.first)
            UNION ALL
            (SELECT d.available_at, true FROM eventstore.deliveries AS d
              WHERE d.consumer_group = _group AND d.state = 'leased'
              ORDER BY d.available_at LIMIT 1)) AS l;
    RETURN NEXT;
END $$;
