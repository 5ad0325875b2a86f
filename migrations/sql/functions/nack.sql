-- For psql: a delivery is not done: retry, park, park_event, park_stream, skip or release it. Gives
-- whether it still was of whoever received it; if not, a notice says why. ST004: it is no id, or there is
-- no such action.
CREATE FUNCTION eventstore.nack(
    consumer_group text,
    delivery       text,
    action         text             DEFAULT 'retry',
    reason         text             DEFAULT NULL,
    delay          double precision DEFAULT NULL
) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    _settled integer;
    _lost    text[];
BEGIN
    SELECT n.settled, n.lost INTO STRICT _settled, _lost
      FROM eventstore.consumer_leases_v1(ARRAY[$2]) AS l
     CROSS JOIN LATERAL eventstore.consumer_nack_v1($1, l.positions, l.leases, $3, $5, $4) AS n;
    PERFORM eventstore.consumer_lost_v1($1, _lost);
    RETURN _settled = 1;
END $$;
