-- After crashes events are tried one by one, and each try is counted before it runs, for good: a
-- handler that ends its process leaves nothing else behind. Gives how often it has been tried.
CREATE FUNCTION eventstore.projection_try_v1(
    _projection text,
    _version    integer,
    _partition  integer,
    _lease      bigint,
    _position   bigint
) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    _tries integer;
BEGIN
    UPDATE eventstore.projection_partitions AS p
       SET tried = _position, tries = CASE WHEN p.tried = _position THEN p.tries ELSE 0 END + 1
     WHERE p.projection = _projection AND p.version = _version AND p.partition = _partition
       AND p.lease = _lease AND p.owner IS NOT NULL
    RETURNING p.tries INTO _tries;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % of projection "%" version % has another runner now', _partition, _projection, _version
            USING ERRCODE = 'ST006';
    END IF;
    RETURN _tries;
END $$;
