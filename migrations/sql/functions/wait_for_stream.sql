-- The same for one stream and revision. ST009 also where the stream is parked before it.
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
            RETURN false;
        END IF;
        PERFORM pg_sleep(_pause);
        _pause := least(_pause * 1.5, 0.05);
    END LOOP;
END $$;
