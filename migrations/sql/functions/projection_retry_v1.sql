-- The same for a stream that is to be tried again. NULL: it is not.
CREATE FUNCTION eventstore.projection_retry_v1(_projection text, _version integer, _stream_name text) RETURNS integer
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE eventstore.projection_failures AS f SET tries = f.tries + 1
     WHERE f.projection = _projection AND f.version = _version
       AND f.stream_name = _stream_name AND f.state = 'retrying'
    RETURNING f.tries
$$;
