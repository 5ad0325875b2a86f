-- The same for one stream and revision. ST009 also where the stream is parked before it.
CREATE FUNCTION eventstore.wait_for(
    projection  text,
    stream_name text,
    revision    bigint,
    timeout     interval DEFAULT '5 seconds'
) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    _until  timestamptz := clock_timestamp() + wait_for.timeout;
    _pause  double precision := 0.01;
    _failed eventstore.projection_failures;
BEGIN
    LOOP
        IF eventstore.projection_position(wait_for.projection, wait_for.stream_name) >= wait_for.revision THEN
            RETURN true;
        END IF;
        PERFORM eventstore.check_projection_runs(wait_for.projection);
        SELECT f.* INTO _failed
          FROM eventstore.projection_versions AS v
          JOIN eventstore.projection_failures AS f ON f.projection = v.projection AND f.version = v.version
         WHERE v.projection = wait_for.projection AND v.serving
           AND f.stream_name = wait_for.stream_name AND f.state = 'parked';
        IF FOUND THEN
            RAISE EXCEPTION 'stream "%" is parked in projection "%" at revision %: %',
                    _failed.stream_name, _failed.projection, _failed.revision, _failed.error
                USING ERRCODE = 'ST009',
                      HINT = 'once the cause is gone: SELECT eventstore.retry_parked(projection, stream_name)';
        END IF;
        IF clock_timestamp() >= _until THEN
            RETURN false;
        END IF;
        PERFORM pg_sleep(_pause);
        _pause := least(_pause * 1.5, 0.05);
    END LOOP;
END $$;
