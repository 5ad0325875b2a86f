-- Up to which position a group may take events: the head of the log, or what all the projections that
-- it comes after have applied. NULL: one of these is not there.
CREATE FUNCTION eventstore.consumer_reach_v1(_after text[]) RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN _after = '{}' THEN (SELECT coalesce(max(e.position), 0) FROM eventstore.events AS e)
           ELSE (SELECT min(p.checkpoint)
                   FROM eventstore.projection_versions AS v
                   JOIN eventstore.projection_partitions AS p ON p.projection = v.projection AND p.version = v.version
                  WHERE v.serving AND v.projection = ANY (_after)
                 HAVING count(DISTINCT v.projection) = cardinality(_after)) END
$$;
