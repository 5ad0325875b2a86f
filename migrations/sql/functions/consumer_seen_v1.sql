-- Part of consumer_create_v1 and consumer_beat_v1, under the lock of the group's row: a worker is heard
-- of, and counts until the group's lease has passed. Those that do not count any more are removed.
CREATE FUNCTION eventstore.consumer_seen_v1(_group text, _member text, _lease double precision) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM eventstore.consumer_workers AS w WHERE w.consumer_group = _group AND w.seen_until < clock_timestamp();
    INSERT INTO eventstore.consumer_workers AS w (consumer_group, member, seen_until)
    VALUES (_group, _member, clock_timestamp() + make_interval(secs => _lease))
    ON CONFLICT (consumer_group, member) DO UPDATE SET seen_until = excluded.seen_until;
$$;
