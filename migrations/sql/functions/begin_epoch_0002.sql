-- As before, and projections whose checkpoint the log still has go on in the new epoch: read tables
-- and checkpoints were restored with the log. One that is ahead of it stays behind in its epoch, and
-- its runner says that history was rewound.
CREATE OR REPLACE FUNCTION eventstore.begin_epoch() RETURNS integer
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    _epoch integer;
BEGIN
    UPDATE eventstore.log AS l SET epoch = l.epoch + 1 RETURNING l.epoch INTO STRICT _epoch;
    UPDATE eventstore.projection_partitions AS p SET epoch = _epoch
     WHERE p.epoch = _epoch - 1
       AND p.checkpoint <= (SELECT coalesce(max(e.position), 0) FROM eventstore.events AS e);
    -- Nor do appends apply it any more.
    UPDATE eventstore.projection_versions AS v SET inline = false
     WHERE EXISTS (SELECT FROM eventstore.projection_partitions AS p
                    WHERE p.projection = v.projection AND p.version = v.version AND p.epoch <> _epoch);
    RETURN _epoch;
END $$;
