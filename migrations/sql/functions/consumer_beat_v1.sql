-- A worker's heartbeat for a group that it runs: it is heard of, and the leases of its deliveries begin
-- anew, as by consumer_renew_v1. `undone_after`: whoever makes the group anew after that position
-- passes over nothing but what is parked and what is held.
CREATE FUNCTION eventstore.consumer_beat_v1(_group text, _member text, _positions bigint[], _leases bigint[])
RETURNS TABLE (settled integer, lost text[], undone_after bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    _of eventstore.consumer_groups := eventstore.consumer_lock_v1(_group);
BEGIN
    PERFORM eventstore.consumer_seen_v1(_group, _member, _of.lease_seconds);
    RETURN QUERY
    SELECT r.settled, r.lost,
           least(_of.checkpoint,
                 (SELECT d.position FROM eventstore.deliveries AS d
                   WHERE d.consumer_group = _group AND d.state IN ('waiting', 'returned') AND d.first
                   ORDER BY d.position LIMIT 1) - 1,
                 (SELECT min(d.position) FROM eventstore.deliveries AS d
                   WHERE d.consumer_group = _group AND d.state = 'leased') - 1)
      FROM eventstore.consumer_renew_v1(_group, _positions, _leases) AS r;
END $$;
