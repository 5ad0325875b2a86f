-- Part of wait_for: refuses to wait for a revision of a stream that is parked at it or before.
CREATE FUNCTION eventstore.check_not_parked(_projection text, _stream_name text, _revision bigint) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    _failed eventstore.projection_failures;
BEGIN
    SELECT f.* INTO _failed
      FROM eventstore.projection_versions AS v
      JOIN eventstore.projection_failures AS f ON f.projection = v.projection AND f.version = v.version
     WHERE v.projection = _projection AND v.serving
       AND f.stream_name = _stream_name AND f.revision <= _revision AND f.state = 'parked';
    IF FOUND THEN
        RAISE EXCEPTION 'stream "%" is parked in projection "%" at revision %: %',
                _failed.stream_name, _failed.projection, _failed.revision, _failed.error
            USING ERRCODE = 'ST009',
                  HINT = 'once the cause is gone: SELECT eventstore.retry_parked(projection, stream_name)';
    END IF;
END $$;
