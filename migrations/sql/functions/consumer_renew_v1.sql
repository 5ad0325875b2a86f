-- Deliveries take longer: their leases begin anew. Gives how many, and those that are not this member's
-- any more.
CREATE FUNCTION eventstore.consumer_renew_v1(_group text, _positions bigint[], _leases bigint[])
RETURNS TABLE (settled integer, lost text[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    _of  eventstore.consumer_groups := eventstore.consumer_lock_v1(_group);
    _ids text[];
BEGIN
    WITH renewed AS (
        UPDATE eventstore.deliveries AS d
           SET available_at = clock_timestamp() + make_interval(secs => _of.lease_seconds)
          FROM unnest(_positions, _leases) AS a(position, lease)
         WHERE d.consumer_group = _group AND d.position = a.position AND d.lease = a.lease AND d.state = 'leased'
        RETURNING d.position || '-' || d.lease AS id)
    SELECT array_agg(r.id) INTO _ids FROM renewed AS r;
    RETURN QUERY
    SELECT coalesce(cardinality(_ids), 0),
           ARRAY(SELECT a.position || '-' || a.lease FROM unnest(_positions, _leases) AS a(position, lease)
                 EXCEPT SELECT unnest(_ids));
END $$;
