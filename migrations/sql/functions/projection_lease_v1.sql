-- A worker's heartbeat: it is heard of, takes free partitions up to its share, and is told which it
-- holds. `surplus` ones are beyond its share: it finishes their batch and releases them. It holds them
-- for as long as it is heard of. A partition whose owner is not, and did not release it in order, is
-- taken over; if there are events to apply, with one crash more: a checkpoint resets it. ST007: it has
-- another fingerprint now than the one that is given.
CREATE FUNCTION eventstore.projection_lease_v1(
    _projection text,
    _version    integer,
    _owner      text,
    _seconds    double precision,
    _known_as   text DEFAULT NULL
) RETURNS TABLE (partition integer, lease bigint, checkpoint bigint, epoch integer, crashes integer, surplus boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    _now   timestamptz;
    _of    eventstore.projection_versions;
    _share integer;
    _held  integer;
BEGIN
    -- One heartbeat of a version at a time, so that two workers do not both take what is free.
    SELECT * INTO _of FROM eventstore.projection_versions AS v
     WHERE v.projection = _projection AND v.version = _version FOR NO KEY UPDATE;
    IF NOT FOUND OR _of.state <> 'running' THEN
        RETURN;
    ELSIF _of.fingerprint <> _known_as THEN
        RAISE EXCEPTION 'projection "%" version % was given another definition', _projection, _version
            USING ERRCODE = 'ST007';
    END IF;
    _now := clock_timestamp();  -- not before the wait for that lock
    INSERT INTO eventstore.projection_workers AS w (projection, version, owner, seen_until)
    VALUES (_projection, _version, _owner, _now + make_interval(secs => _seconds))
    ON CONFLICT (projection, version, owner) DO UPDATE SET seen_until = excluded.seen_until;
    DELETE FROM eventstore.projection_workers AS w
     WHERE w.projection = _projection AND w.version = _version AND w.seen_until < _now - interval '1 day';
    -- What is left over when they are shared out evenly stays with those who hold the most.
    SELECT _of.partitions / w.workers + (w.place <= _of.partitions % w.workers)::integer INTO _share
      FROM (SELECT w.owner, count(*) OVER () AS workers,
                   row_number() OVER (ORDER BY count(p.partition) DESC, w.owner) AS place
              FROM eventstore.projection_workers AS w
              LEFT JOIN eventstore.projection_partitions AS p USING (projection, version, owner)
             WHERE w.projection = _projection AND w.version = _version
               AND (w.seen_until >= _now OR w.owner = _owner)
             GROUP BY w.owner) AS w
     WHERE w.owner = _owner;
    SELECT count(*) INTO _held FROM eventstore.projection_partitions AS p
     WHERE p.projection = _projection AND p.version = _version AND p.owner = _owner;
    -- A batch under way holds its partition, and nobody waits for that here: the others would wait, too.
    UPDATE eventstore.projection_partitions AS p
       SET owner = _owner, lease = p.lease + 1,
           crashes = p.crashes + (p.owner IS NOT NULL AND p.checkpoint < (
               SELECT coalesce(max(e.position), 0) FROM eventstore.events AS e))::integer
     WHERE (p.projection, p.version, p.partition) IN (
            SELECT f.projection, f.version, f.partition FROM eventstore.projection_partitions AS f
             WHERE f.projection = _projection AND f.version = _version AND f.owner IS DISTINCT FROM _owner
               AND NOT EXISTS (SELECT FROM eventstore.projection_workers AS w
                                WHERE w.projection = f.projection AND w.version = f.version
                                  AND w.owner = f.owner AND w.seen_until >= _now)
             ORDER BY f.partition LIMIT greatest(_share - _held, 0)
               FOR UPDATE SKIP LOCKED);
    RETURN QUERY
    SELECT p.partition, p.lease, p.checkpoint, p.epoch, p.crashes,
           row_number() OVER (ORDER BY p.partition) > _share
      FROM eventstore.projection_partitions AS p
     WHERE p.projection = _projection AND p.version = _version AND p.owner = _owner
     ORDER BY p.partition;
END $$;
