-- First statement of a batch's transaction: locks the partition for it, refuses a runner whose lease
-- was taken over (ST006), and tells under which names the tables are, which of the batch's streams
-- are held back (NULL: of all streams), which events to come are left out, whether appends apply it
-- themselves, and whether it is clear: no stream at all is held back, and no event to come left out.
CREATE FUNCTION eventstore.projection_begin_v1(
    _projection text,
    _version    integer,
    _partition  integer,
    _lease      bigint,
    _streams    text[]
) RETURNS TABLE (checkpoint bigint, serving boolean, held text[], skipped bigint[], inline boolean, clear boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    SELECT p.checkpoint INTO checkpoint FROM eventstore.projection_partitions AS p
     WHERE p.projection = _projection AND p.version = _version AND p.partition = _partition
       AND p.lease = _lease AND p.owner IS NOT NULL
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % of projection "%" version % has another runner now', _partition, _projection, _version
            USING ERRCODE = 'ST006';
    END IF;
    SELECT v.serving, v.inline INTO serving, inline FROM eventstore.projection_versions AS v
     WHERE v.projection = _projection AND v.version = _version;
    clear := NOT EXISTS (SELECT FROM eventstore.projection_failures AS f
                          WHERE f.projection = _projection AND f.version = _version
                            AND (f.state IN ('parked', 'retrying') OR f.state = 'skipped' AND f.position > checkpoint));
    held := ARRAY(SELECT f.stream_name FROM eventstore.projection_failures AS f
                   WHERE NOT clear AND f.projection = _projection AND f.version = _version
                     AND (_streams IS NULL OR f.stream_name = ANY (_streams))
                     AND f.state IN ('parked', 'retrying'));
    skipped := ARRAY(SELECT f.position FROM eventstore.projection_failures AS f
                      WHERE NOT clear AND f.projection = _projection AND f.version = _version
                        AND f.position > checkpoint AND f.state = 'skipped');
    RETURN NEXT;
END $$;
