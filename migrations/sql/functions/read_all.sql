-- The log, oldest first, for psql.
CREATE FUNCTION eventstore.read_all(
    after      bigint  DEFAULT 0,
    max_events integer DEFAULT 100
) RETURNS SETOF eventstore.events
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT e.* FROM eventstore.events AS e
     WHERE e.position > read_all.after
     ORDER BY e.position LIMIT read_all.max_events
$$;
