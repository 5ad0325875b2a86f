-- Part of consumer_receive_v1: takes at most `_room` events after the group's checkpoint from the log,
-- looking at 10,000 positions at most. Gives the new checkpoint. An event whose stream is parked, here
-- or in a projection that the group comes after, is held and takes no place in the buffer.
CREATE FUNCTION eventstore.consumer_fill_v1(_of eventstore.consumer_groups, _reach bigint, _room integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
DECLARE
    _upto  bigint := least(_reach, _of.checkpoint + 10000);
    _taken integer;
    _last  bigint;
BEGIN
    WITH found AS MATERIALIZED (
        SELECT m.position, e.stream_name,
               row_number() OVER (PARTITION BY e.stream_name ORDER BY m.position) = 1 AS leads
          FROM eventstore.matching_v1(_of.query, _of.checkpoint, _upto + 1, _room) AS m
         CROSS JOIN LATERAL (SELECT e.stream_name FROM eventstore.events AS e WHERE e.position = m.position LIMIT 1) AS e
    ), stream AS MATERIALIZED (
        SELECT f.stream_name, b.blocked,
               coalesce(b.held, false) OR _of.after <> '{}' AND EXISTS (
                    SELECT FROM eventstore.projection_versions AS v
                      JOIN eventstore.projection_failures AS p ON p.projection = v.projection AND p.version = v.version
                     WHERE v.serving AND v.projection = ANY (_of.after)
                       AND p.stream_name = f.stream_name AND p.state IN ('parked', 'retrying')) AS held
          FROM found AS f
          LEFT JOIN LATERAL (
                SELECT true AS blocked, d.state IN ('held', 'parked') AS held FROM eventstore.deliveries AS d
                 WHERE d.consumer_group = _of.consumer_group AND d.stream_name = f.stream_name
                   AND (d.holds OR d.state = 'held')
                 ORDER BY d.position DESC LIMIT 1) AS b ON true
         WHERE f.leads
    ), taken AS (
        INSERT INTO eventstore.deliveries (consumer_group, position, stream_name, state, first, holds)
        SELECT _of.consumer_group, f.position, f.stream_name,
               CASE WHEN s.held THEN 'held' ELSE 'waiting' END,
               s.blocked IS NULL AND (f.leads OR _of.ordering = 'none' AND NOT s.held),
               _of.ordering = 'stream'
          FROM found AS f JOIN stream AS s USING (stream_name)
        RETURNING position)
    SELECT count(*), max(t.position) INTO _taken, _last FROM taken AS t;
    RETURN CASE WHEN _taken < _room THEN _upto ELSE _last END;
END $$;
