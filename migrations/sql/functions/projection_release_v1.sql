-- Gives partitions back in order: others may take them at once, and it is no crash. NULL: all of
-- them, and the worker is no longer counted.
CREATE FUNCTION eventstore.projection_release_v1(
    _projection text,
    _version    integer,
    _owner      text,
    _partition  integer DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Partitions first, as everyone locks them: who drops the version would wait in a circle.
    UPDATE eventstore.projection_partitions AS p SET owner = NULL
     WHERE p.projection = _projection AND p.version = _version AND p.owner = _owner
       AND (_partition IS NULL OR p.partition = _partition);
    IF _partition IS NULL THEN
        DELETE FROM eventstore.projection_workers AS w
         WHERE w.projection = _projection AND w.version = _version AND w.owner = _owner;
    END IF;
END $$;
