-- Last statement of a batch's transaction: everything up to the position is applied. ST006 as above.
CREATE FUNCTION eventstore.projection_checkpoint_v1(
    _projection text,
    _version    integer,
    _partition  integer,
    _lease      bigint,
    _checkpoint bigint
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE eventstore.projection_partitions AS p
       SET checkpoint = _checkpoint, crashes = 0, tries = 0, moved_at = clock_timestamp()
     WHERE p.projection = _projection AND p.version = _version AND p.partition = _partition
       AND p.lease = _lease AND p.owner IS NOT NULL AND p.checkpoint <= _checkpoint;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % of projection "%" version % has another runner now', _partition, _projection, _version
            USING ERRCODE = 'ST006';
    END IF;
END $$;
