-- The same for one stream and revision. ST009 also where the stream is parked before it. A notice says
-- so where such a revision was never written.
CREATE FUNCTION eventstore.wait_for(
    projection  text,
    stream_name text,
    revision    bigint,
    timeout     interval DEFAULT '5 seconds'
) RETURNS boolean
LANGUAGE plpgsql VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    _until  timestamptz := clock_timestamp() + wait_for.timeout;
    _pause  double precision := 0.01;
BEGIN
    LOOP
        IF eventstore.projection_position(wait_for.projection, wait_for.stream_name) >= wait_for.revision THEN
            RETURN true;
        END IF;
        PERFORM eventstore.check_projection_runs(wait_for.projection);
        PERFORM eventstore.check_not_parked(wait_for.projection, wait_for.stream_name, wait_for.revision);
        IF clock_timestamp() >= _until THEN
            IF NOT EXISTS (SELECT FROM eventstore.events AS e
                            WHERE e.stream_name = wait_for.stream_name AND e.revision = wait_for.revision)
            THEN
                RAISE NOTICE 'revision % of stream "%" is not written yet', wait_for.revision, wait_for.stream_name;
            END IF;
            RETURN false;
        END IF;
        PERFORM pg_sleep(_pause);
        _pause := least(_pause * 1.5, 0.05);
    END LOOP;
END $$;
