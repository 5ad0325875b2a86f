-- A worker's heartbeat, as projection_lease_v1; and it ends the batches of workers that are no longer
-- heard of. One that stands still would hold its partition for as long as it does, and no timeout of
-- PostgreSQL 15 ends it between two messages of a statement. With the caller's own rights, so that it
-- ends no other login's connections: what it may not end is told in a warning.
CREATE FUNCTION eventstore.projection_beat_v1(
    _projection text,
    _version    integer,
    _owner      text,
    _seconds    double precision,
    _known_as   text DEFAULT NULL
) RETURNS TABLE (partition integer, lease bigint, checkpoint bigint, epoch integer, crashes integer, surplus boolean)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    _still record;
BEGIN
    RETURN QUERY SELECT * FROM eventstore.projection_lease_v1(_projection, _version, _owner, _seconds, _known_as);
    -- Under that lock nobody else takes over, who would be the holder. A row's holder is its xmax.
    FOR _still IN
        SELECT p.partition, p.owner, l.pid
          FROM eventstore.projection_partitions AS p
         CROSS JOIN LATERAL (SELECT l.pid FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
                              WHERE l.locktype = 'transactionid' AND l.transactionid = p.xmax
                                AND l.mode = 'ExclusiveLock' AND l.granted
                                AND a.application_name = 'eventstore worker' LIMIT 1) AS l
         WHERE p.projection = _projection AND p.version = _version AND p.owner <> _owner
           AND NOT EXISTS (SELECT FROM eventstore.projection_workers AS w
                            WHERE w.projection = p.projection AND w.version = p.version
                              AND w.owner = p.owner AND w.seen_until >= clock_timestamp())
    LOOP
        BEGIN
            PERFORM pg_terminate_backend(_still.pid);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE WARNING 'worker % stands still in a batch of projection "%", partition %, and is another login''s', _still.owner, _projection, _still.partition
                USING HINT = format('SELECT pg_terminate_backend(%s)', _still.pid);
        END;
    END LOOP;
END $$;
