-- For psql: a delivery is not done: retry, park, park_event, park_stream, skip or release it. Gives
-- whether it still was of whoever received it.
CREATE FUNCTION eventstore.nack(
    consumer_group text,
    delivery       text,
    action         text             DEFAULT 'retry',
    reason         text             DEFAULT NULL,
    delay          double precision DEFAULT NULL
) RETURNS boolean
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT n.settled = 1
      FROM eventstore.consumer_nack_v1($1, ARRAY[split_part($2, '-', 1)::bigint], ARRAY[split_part($2, '-', 2)::bigint],
                                       $3, $5, $4) AS n
$$;
