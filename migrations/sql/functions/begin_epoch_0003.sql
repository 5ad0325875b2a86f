-- As before, and consumer groups whose checkpoint the log still has go on in the new epoch: what they
-- have not settled was restored with the log. One that is ahead of it stays behind in its epoch, and
-- refuses to deliver.
CREATE OR REPLACE FUNCTION eventstore.begin_epoch() RETURNS integer
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    _epoch integer;
    _head  bigint;
BEGIN
    UPDATE eventstore.log AS l SET epoch = l.epoch + 1 RETURNING l.epoch INTO STRICT _epoch;
    SELECT coalesce(max(e.position), 0) INTO _head FROM eventstore.events AS e;
    UPDATE eventstore.projection_partitions AS p SET epoch = _epoch
     WHERE p.epoch = _epoch - 1 AND p.checkpoint <= _head;
    -- Nor do appends apply it any more.
    UPDATE eventstore.projection_versions AS v SET inline = false
     WHERE EXISTS (SELECT FROM eventstore.projection_partitions AS p
                    WHERE p.projection = v.projection AND p.version = v.version AND p.epoch <> _epoch);
    UPDATE eventstore.consumer_groups AS g SET epoch = _epoch
     WHERE g.epoch = _epoch - 1 AND g.checkpoint <= _head;
    RETURN _epoch;
END $$;
