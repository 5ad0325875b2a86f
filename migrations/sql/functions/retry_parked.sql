-- For operators: try a parked stream again from the event that failed; its runner does so at once.
-- NULL: every parked stream. Gives how many, those that are to be tried again already included.
CREATE FUNCTION eventstore.retry_parked(projection text, stream_name text DEFAULT NULL, version integer DEFAULT NULL) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    WITH asked AS (
        UPDATE eventstore.projection_failures AS f
           SET state = 'retrying', tries = CASE f.state WHEN 'parked' THEN 0 ELSE f.tries END
          FROM eventstore.projection_versions AS v
         WHERE v.projection = $1 AND CASE WHEN $3 IS NULL THEN v.serving ELSE v.version = $3 END
           AND f.projection = v.projection AND f.version = v.version
           AND f.state IN ('parked', 'retrying') AND ($2 IS NULL OR f.stream_name = $2)
        RETURNING 1)
    SELECT count(*) FROM asked
$$;
