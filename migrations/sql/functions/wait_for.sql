-- For psql and plain SQL clients: wait until a projection has applied everything up to a position.
-- true: it has; false: not within the timeout. Raises at once where waiting is in vain: ST008 there
-- is no such projection, ST009 it is paused or stopped, or the stream of the event at that position
-- is parked. A notice says so where the position was never written. Looks every 10 to 50 ms; the service's own
-- waits are woken and hold no connection.
CREATE FUNCTION eventstore.wait_for(
    projection text,
    "position" bigint,
    timeout    interval DEFAULT '5 seconds'
) RETURNS boolean
LANGUAGE plpgsql VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    _until      timestamptz := clock_timestamp() + wait_for.timeout;
    _pause      double precision := 0.01;
    _checkpoint bigint;
BEGIN
    LOOP
        SELECT min(p.checkpoint) INTO _checkpoint
          FROM eventstore.projection_versions AS v
          JOIN eventstore.projection_partitions AS p ON p.projection = v.projection AND p.version = v.version
         WHERE v.projection = wait_for.projection AND v.serving;
        -- After the checkpoint, which passes over an event and parks it in one transaction.
        PERFORM eventstore.check_not_parked(wait_for.projection, e.stream_name, e.revision)
           FROM eventstore.events AS e WHERE e.position = wait_for.position;
        IF _checkpoint >= wait_for.position AND NOT EXISTS (
            SELECT FROM eventstore.events AS e  -- its stream is being tried again
             WHERE e.position = wait_for.position
               AND eventstore.projection_position(wait_for.projection, e.stream_name) < e.revision)
        THEN
            RETURN true;
        END IF;
        PERFORM eventstore.check_projection_runs(wait_for.projection);
        IF clock_timestamp() >= _until THEN
            IF NOT EXISTS (SELECT FROM eventstore.events AS e WHERE e.position >= wait_for.position) THEN
                RAISE NOTICE 'position % is not written yet', wait_for.position;
            END IF;
            RETURN false;
        END IF;
        PERFORM pg_sleep(_pause);
        _pause := least(_pause * 1.5, 0.05);
    END LOOP;
END $$;
