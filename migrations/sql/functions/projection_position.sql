-- How far a projection is in a stream: the highest revision applied, -1 if none is. Where the stream
-- is parked, the one before the event on which it waits. NULL: no such projection. Costs nothing to
-- keep: it is read from the checkpoint, which is a completed prefix of the log.
CREATE FUNCTION eventstore.projection_position(projection text, stream_name text) RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((SELECT f.revision - 1 FROM eventstore.projection_failures AS f
                      WHERE f.projection = v.projection AND f.version = v.version
                        AND f.stream_name = $2 AND f.state IN ('parked', 'retrying')),
                    (SELECT e.revision FROM eventstore.events AS e
                      WHERE e.stream_name = $2 AND e.position <= p.checkpoint
                      ORDER BY e.revision DESC LIMIT 1),
                    -1)
      FROM eventstore.projection_versions AS v
      JOIN eventstore.projection_partitions AS p
        ON p.projection = v.projection AND p.version = v.version
       AND p.partition = eventstore.partition_of($2, v.partitions)
     WHERE v.projection = $1 AND v.serving
$$;
