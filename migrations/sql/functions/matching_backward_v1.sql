-- Positions of the events that a query means, newest first: one engine for reads and for append
-- conditions. Each path of the query goes through its own index and only as far as the limit;
-- the result merges these short lists. The settings keep a plan that was made without knowing the
-- limit from reading and sorting everything, and from being compiled, which takes a hundred times
-- as long as running it.
CREATE FUNCTION eventstore.matching_backward_v1(
    _query  jsonb,
    _after  bigint,
    _before bigint,
    _limit  integer
) RETURNS TABLE ("position" bigint)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
BEGIN
    RETURN QUERY
    SELECT DISTINCT m.position
      FROM eventstore.query_paths_v1(_query) AS p
     CROSS JOIN LATERAL (
        (SELECT t.position FROM eventstore.event_tags AS t
           JOIN eventstore.events AS e ON e.position = t.position
          WHERE p.kind = 'tag' AND t.tag = p.key AND t.position > _after AND t.position < _before
            AND e.tags @> p.tags
            AND (p.streams = '{}' OR e.stream_name = ANY (p.streams))
            AND (p.categories = '{}' OR split_part(e.stream_name, '-', 1) = ANY (p.categories))
            AND (p.types = '{}' OR e.event_type = ANY (p.types))
          ORDER BY t.position DESC LIMIT _limit)
        UNION ALL
        (SELECT e.position FROM eventstore.events AS e
          WHERE p.kind = 'stream' AND e.stream_name = p.key
            AND e.position > _after AND e.position < _before
            -- A stream's index has no positions, but no more of its events than of the log's are after
            -- a position, and none has a revision beyond its position.
            AND e.revision > (SELECT h.revision - (SELECT max(l.position) FROM eventstore.events AS l) + _after
                                FROM eventstore.events AS h WHERE h.stream_name = p.key
                               ORDER BY h.stream_name DESC, h.revision DESC LIMIT 1)
            AND e.revision < _before - 1
            AND (p.categories = '{}' OR split_part(e.stream_name, '-', 1) = ANY (p.categories))
            AND (p.types = '{}' OR e.event_type = ANY (p.types))
          ORDER BY e.revision DESC LIMIT _limit)
        UNION ALL
        (SELECT e.position FROM eventstore.events AS e
          WHERE p.kind = 'category' AND split_part(e.stream_name, '-', 1) = p.key
            AND e.position > _after AND e.position < _before
            AND (p.types = '{}' OR e.event_type = ANY (p.types))
          ORDER BY e.position DESC LIMIT _limit)
        UNION ALL
        (SELECT e.position FROM eventstore.events AS e
          WHERE p.kind = 'type' AND e.event_type = p.key
            AND e.position > _after AND e.position < _before
          ORDER BY e.position DESC LIMIT _limit)
        UNION ALL
        (SELECT e.position FROM eventstore.events AS e
          WHERE p.kind = 'all' AND e.position > _after AND e.position < _before
          ORDER BY e.position DESC LIMIT _limit)
     ) AS m
     ORDER BY m.position DESC LIMIT _limit;
END $$;
