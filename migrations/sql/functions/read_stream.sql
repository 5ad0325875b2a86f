-- The events of one stream, oldest first, for psql.
CREATE FUNCTION eventstore.read_stream(
    stream_name text,
    after       bigint  DEFAULT -1,
    max_events  integer DEFAULT 100
) RETURNS SETOF eventstore.events
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT e.* FROM eventstore.events AS e
     WHERE e.stream_name = read_stream.stream_name AND e.revision > read_stream.after
     ORDER BY e.revision LIMIT read_stream.max_events
$$;
