-- Part of a batch's transaction: an event could not be applied. 'parked' holds its stream back from
-- there, 'stopped' everything; 'skipped' leaves the event out and says so. A stream that fails again counts one attempt
-- more.
CREATE FUNCTION eventstore.projection_fail_v1(
    _projection  text,
    _version     integer,
    _stream_name text,
    _revision    bigint,
    _position    bigint,
    _state       text,
    _error       text
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    _attempts integer;
BEGIN
    DELETE FROM eventstore.projection_failures AS f
     WHERE f.projection = _projection AND f.version = _version
       AND f.stream_name = _stream_name AND f.state <> 'skipped'
    RETURNING CASE WHEN f.position = _position THEN f.attempts ELSE 0 END INTO _attempts;
    INSERT INTO eventstore.projection_failures (projection, version, stream_name, revision, position, state, error, attempts)
    VALUES (_projection, _version, _stream_name, _revision, _position, _state, _error, coalesce(_attempts, 0) + 1);
END $$;
