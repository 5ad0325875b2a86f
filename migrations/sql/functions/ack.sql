-- For psql: deliveries are done. Gives how many; others are no longer of whoever received them.
CREATE FUNCTION eventstore.ack(consumer_group text, VARIADIC deliveries text[]) RETURNS integer
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT a.settled
      FROM eventstore.consumer_ack_v1($1, ARRAY(SELECT split_part(d, '-', 1)::bigint FROM unnest($2) AS d),
                                      ARRAY(SELECT split_part(d, '-', 2)::bigint FROM unnest($2) AS d)) AS a
$$;
