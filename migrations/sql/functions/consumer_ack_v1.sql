-- Deliveries are done: they are removed, and what waits behind them in their streams is free. Gives how
-- many, and those that are not this member's any more: their leases ran out, and others have them.
CREATE FUNCTION eventstore.consumer_ack_v1(_group text, _positions bigint[], _leases bigint[])
RETURNS TABLE (settled integer, lost text[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    _of      eventstore.consumer_groups := eventstore.consumer_lock_v1(_group);
    _done    text[];
    _streams text[];
BEGIN
    WITH done AS (
        DELETE FROM eventstore.deliveries AS d
         WHERE d.ctid = ANY (ARRAY(
                SELECT m.ctid FROM unnest(_positions, _leases) AS a(position, lease)
                 CROSS JOIN LATERAL (
                        SELECT d.ctid, d.lease, d.state FROM eventstore.deliveries AS d
                         WHERE d.consumer_group = _group AND d.position = a.position LIMIT 1) AS m
                 WHERE m.lease = a.lease AND m.state = 'leased'))
        RETURNING d.position || '-' || d.lease AS id, d.stream_name)
    SELECT array_agg(d.id), array_agg(d.stream_name) INTO _done, _streams FROM done AS d;
    IF _of.ordering = 'stream' THEN
        PERFORM eventstore.consumer_unblock_v1(_group, _streams);
    END IF;
    RETURN QUERY
    SELECT coalesce(cardinality(_done), 0),
           ARRAY(SELECT a.position || '-' || a.lease FROM unnest(_positions, _leases) AS a(position, lease)
                 EXCEPT SELECT unnest(_done));
END $$;
