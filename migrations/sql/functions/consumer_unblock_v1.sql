-- Part of all that settles deliveries: what is now the first of these streams is no longer blocked.
CREATE FUNCTION eventstore.consumer_unblock_v1(_group text, _streams text[]) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $$
    UPDATE eventstore.deliveries AS d SET first = true
     WHERE d.ctid = ANY (ARRAY(
            SELECT n.ctid FROM unnest(_streams) AS s(stream_name)
             CROSS JOIN LATERAL (
                    SELECT n.ctid, n.first FROM eventstore.deliveries AS n
                     WHERE n.consumer_group = _group AND n.stream_name = s.stream_name AND (n.holds OR n.state = 'held')
                     ORDER BY n.position LIMIT 1) AS n
             WHERE NOT n.first))
$$;
