-- For psql: deliveries are done. Gives how many; a notice tells of each that is no longer of whoever
-- received it. ST004: one is no id.
CREATE FUNCTION eventstore.ack(consumer_group text, VARIADIC deliveries text[]) RETURNS integer
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    _settled integer;
    _lost    text[];
BEGIN
    SELECT a.settled, a.lost INTO STRICT _settled, _lost
      FROM eventstore.consumer_leases_v1($2) AS l
     CROSS JOIN LATERAL eventstore.consumer_ack_v1($1, l.positions, l.leases) AS a;
    PERFORM eventstore.consumer_lost_v1($1, _lost);
    RETURN _settled;
END $$;
