-- For psql: the next deliveries of a group, over consumer_receive_v1. Settle each by its id.
CREATE FUNCTION eventstore.receive(consumer_group text, max_events integer DEFAULT 10)
RETURNS TABLE (delivery text, attempt integer, leased_until timestamptz,
               "position" bigint, stream_name text, revision bigint, event_type text, data jsonb, metadata jsonb)
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.position || '-' || r.lease, r.attempt, r.leased_until,
           r.position, r.stream_name, r.revision, r.event_type, r.data, r.metadata
      FROM eventstore.consumer_receive_v1($1, $2, session_user) AS r
     WHERE r.position IS NOT NULL
$$;
