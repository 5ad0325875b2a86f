-- A worker does not run a group any more.
CREATE FUNCTION eventstore.consumer_leave_v1(_group text, _member text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM eventstore.consumer_workers AS w WHERE w.consumer_group = _group AND w.member = _member
$$;
