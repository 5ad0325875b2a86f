-- Part of ack and nack: positions and leases of deliveries, of their ids. ST004: one is no id.
CREATE FUNCTION eventstore.consumer_leases_v1(_deliveries text[], OUT positions bigint[], OUT leases bigint[])
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    _fault text := (
        SELECT format('a delivery''s id is as receive() gives it, like 17-1795478549149026: %L', d)
          FROM unnest(_deliveries) AS d WHERE (d ~ '^[1-9][0-9]{0,17}-[1-9][0-9]{0,17}$') IS NOT TRUE LIMIT 1);
BEGIN
    IF _fault IS NOT NULL THEN
        RAISE EXCEPTION '%', _fault USING ERRCODE = 'ST004', DETAIL = jsonb_build_object('problem', _fault);
    END IF;
    positions := ARRAY(SELECT split_part(d, '-', 1)::bigint FROM unnest(_deliveries) AS d);
    leases := ARRAY(SELECT split_part(d, '-', 2)::bigint FROM unnest(_deliveries) AS d);
END $$;
