-- Part of a retry's transaction: the stream is up to date, and no longer held back.
CREATE FUNCTION eventstore.projection_unpark_v1(_projection text, _version integer, _stream_name text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM eventstore.projection_failures AS f
     WHERE f.projection = _projection AND f.version = _version
       AND f.stream_name = _stream_name AND f.state <> 'skipped'
$$;
