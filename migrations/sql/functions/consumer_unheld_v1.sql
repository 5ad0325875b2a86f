-- Part of consumer_receive_v1: the first held delivery of each stream that nothing holds back any
-- more, neither a delivery before it nor a projection that the group comes after.
CREATE FUNCTION eventstore.consumer_unheld_v1(_group text, _after text[]) RETURNS SETOF bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
    SELECT d.position FROM eventstore.deliveries AS d
     WHERE d.consumer_group = _group AND d.state = 'held' AND d.first
       AND (_after = '{}' OR NOT EXISTS (
            SELECT FROM eventstore.projection_versions AS v
              JOIN eventstore.projection_failures AS f ON f.projection = v.projection AND f.version = v.version
             WHERE v.serving AND v.projection = ANY (_after)
               AND f.stream_name = d.stream_name AND f.state IN ('parked', 'retrying') AND f.position <= d.position))
$$;
